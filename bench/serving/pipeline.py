"""The model of every table here: a scikit-learn pipeline over ten columns, as other servers take it and as ONNX; rows to ask for, and what is right."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flyball.records.signature import Column, ColumnType, Signature

Row = dict[str, Any]

NUMBERS = tuple(f"n{k}" for k in range(6))
WORDS = ("c0", "c1")
COUNTS = ("c2", "c3")
COLOURS = ("red", "green", "blue", "white", "black")
SHOPS = tuple(f"shop-{k:02d}" for k in range(12))
TRAINED_ON, ASKED = 50_000, 1_000

SIGNATURE = Signature(
    task="binary",
    columns=(
        *(Column(name=name, type=ColumnType.NUMBER) for name in NUMBERS),
        Column(name="c0", type=ColumnType.CATEGORY, categories=COLOURS),
        Column(name="c1", type=ColumnType.CATEGORY, categories=SHOPS),
        *(Column(name=name, type=ColumnType.INTEGER) for name in COUNTS),
    ),
    classes=("0", "1"),
)

TOLERANCE = 1e-5
"""ONNX computes in float32, scikit-learn in float64: beyond this it is another number, not another rounding."""


class Workspace(NamedTuple):
    """Models on disk, and in memory what to ask and what is right."""

    directory: Path
    """`champion.joblib`, `champion.onnx`, `canary.onnx`, `rows.json`."""
    rows: list[Row]
    estimators: dict[str, Any]
    right: dict[str, list[float]]
    """`champion` and `canary` → the probability of class 1 for each of `rows`, by scikit-learn."""


def prepare(directory: Path) -> Workspace:
    """Train both models, convert them, and hold the conversion against the originals on every row that will be asked."""
    import joblib

    directory.mkdir(parents=True, exist_ok=True)
    features, label = _drawn(TRAINED_ON, seed=0)
    asked, _ = _drawn(ASKED, seed=1)
    rows: list[Row] = asked.to_dict("records")
    estimators = {"champion": _fitted(features, label, 0), "canary": _fitted(features[:30_000], label[:30_000], 7)}
    right: dict[str, list[float]] = {}
    for name, estimator in estimators.items():
        content = to_onnx(estimator)
        (directory / f"{name}.onnx").write_bytes(content)
        right[name] = estimator.predict_proba(asked)[:, 1].tolist()
        worst = float(np.abs(session(content).run(None, feed(rows))[-1][:, 1] - right[name]).max())
        if worst > TOLERANCE:
            raise RuntimeError(f"{name}.onnx differs from its pipeline by {worst:g}, at most {TOLERANCE:g} was expected")
    joblib.dump(estimators["champion"], directory / "champion.joblib")
    (directory / "rows.json").write_text(json.dumps(rows))
    return Workspace(directory, rows, estimators, right)


def scored(estimator: Any, rows: list[Row]) -> list[float]:
    """By scikit-learn: what any server should say."""
    import pandas as pd

    return list(estimator.predict_proba(pd.DataFrame(rows, columns=[column.name for column in SIGNATURE.columns]))[:, 1])


def session(content: bytes) -> Any:
    """As the gateway opens it: one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def feed(rows: list[Row]) -> dict[str, np.ndarray[Any, Any]]:
    """Rows as the ONNX model's inputs, each (n, 1)."""
    return {
        name: np.array([[row[name]] for row in rows], dtype=object if name in WORDS else np.float32)
        for name in (*NUMBERS, *WORDS, *COUNTS)
    }


def to_onnx(estimator: Any) -> bytes:
    """One input a column, as Flyball's package step converts it: the ceiling and the hand-written servers run the same file."""
    from flyball.adapters.conversion.onnx_graph import of_columns

    return of_columns(estimator, SIGNATURE, double=True)


def _fitted(features: Any, label: Any, seed: int) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = ColumnTransformer([
        ("numbers", StandardScaler(), list(NUMBERS)),
        ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(WORDS)),
        ("counts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(COUNTS)),
    ])  # fmt: skip
    trees = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=seed)
    # Counts reach the model as floats, here and in ONNX: categories of another type would not be found.
    return Pipeline([("columns", columns), ("trees", trees)]).fit(features.astype(dict.fromkeys(COUNTS, float)), label)


def _drawn(n: int, seed: int) -> tuple[Any, Any]:
    """(features, label): six numbers of different scale, two words, two small counts, and a label that depends on most of them.

    The numbers are multiples of 1/128: the same in float32 and float64, so that servers of either see the same rows."""
    import pandas as pd

    draw = np.random.default_rng(seed)
    scale, centre = np.array([1, 2, 5, 10, 0.5, 100]), np.array([0, 1, -3, 20, 0.1, 400])
    frame = pd.DataFrame(np.round((draw.normal(size=(n, 6)) * scale + centre) * 128) / 128, columns=list(NUMBERS))
    frame["c0"], frame["c1"] = draw.choice(COLOURS, n), draw.choice(SHOPS, n)
    frame["c2"], frame["c3"] = draw.integers(0, 4, n), draw.integers(1, 8, n)
    logit = (
        frame.n0 + 0.4 * (frame.n1 - 1) * (frame.c2 - 1.5) + 0.1 * (frame.n2 + 3) + 0.8 * np.sin(frame.n3 / 5)
        + 1.1 * (frame.c0 == "red") - 1.5 * frame.c1.isin(["shop-03", "shop-07"])
        + 0.15 * (frame.c3 - 4) * frame.n4 + 0.002 * (frame.n5 - 400) - 0.4
    )  # fmt: skip
    return frame, (draw.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
