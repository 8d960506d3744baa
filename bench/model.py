"""A small real model as ONNX, and a package of it: what the gateway and its floor serve alike."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from flyball.gateway.units import MODEL_FILES
from flyball.records import codec
from flyball.records.routing import ServedUnit
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Format, Lineage, Manifest, SnapshotRef, Unit

NAMES = tuple(f"feature_{k}" for k in range(10))
SIGNATURE = Signature(
    task="binary", columns=tuple(Column(name=name, type=ColumnType.NUMBER) for name in NAMES), classes=("0", "1")
)
ROW: dict[str, Any] = {name: 0.5 + index for index, name in enumerate(NAMES)}


def onnx() -> bytes:
    """A scaled logistic regression over ten numbers, one input a column."""
    import polars as pl
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    draw = np.random.default_rng(0)
    frame = pl.DataFrame({name: draw.normal(size=500).astype(np.float32) for name in NAMES})
    label = (frame[NAMES[0]] + frame[NAMES[1]] > 0).cast(pl.Int64).to_numpy()
    scaled = ColumnTransformer([("numbers", StandardScaler(), list(NAMES))])
    model = Pipeline([("columns", scaled), ("fit", LogisticRegression())]).fit(frame, label)
    kinds = [(name, FloatTensorType([None, 1])) for name in NAMES]
    return bytes(to_onnx(model, initial_types=kinds, options={"zipmap": False}).SerializeToString())


def lineage_of(run_key: str) -> Lineage:
    """Of a package that no run has made."""
    snapshot = SnapshotRef(table="rows", version=0, content_digest="", schema_digest="", rows=0, since=None, until=None)
    return Lineage(
        run_key=run_key, mlflow_run="", git_commit=None, git_dirty=False, code_digest="", environment_digest="", snapshot=snapshot,
        parameters={}, seed=0,
    )  # fmt: skip


def package(
    directory: Path, content: bytes, signature: Signature = SIGNATURE, unit_id: str = "u0123456789ab", kind: Format = Format.ONNX
) -> ServedUnit:
    """On disk, as the package step leaves it. No two units share a manifest: each is loaded for itself."""
    files = {
        MODEL_FILES[kind]: content,
        "signature.json": codec.encode(signature),
        "lineage.json": codec.encode(lineage_of(unit_id)),
    }
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    manifest = Manifest(files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()}, format=kind)
    (directory / "manifest.json").write_bytes(codec.encode(manifest))
    digest = codec.digest(manifest)
    unit = Unit(id=unit_id, model="shop", version=1, manifest_digest=digest, threshold=0.5, policy_digest="p")
    return ServedUnit(unit=unit, package=str(directory), format=kind, signature=signature)
