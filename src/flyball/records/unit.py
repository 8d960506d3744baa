"""What is registered, and what is promoted and rolled back as one."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from flyball.records.keeping import Keeping
from flyball.records.maps import AnswerMap


class Format(StrEnum):
    ONNX = "onnx"
    """onnxruntime, inside the gateway process."""
    LIGHTGBM = "lightgbm"
    """LightGBM's own text, inside the gateway process."""
    CODE = "code"
    """cloudpickle of the trained estimator: only in a worker process of its own."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Every file of a package with its SHA-256. The digest of this record names the version's bytes."""

    files: dict[str, str]
    """Relative POSIX path → hex digest. `manifest.json` itself is not in it."""
    format: Format


class SnapshotRef(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable version of a dataset."""

    table: str
    """Name of the table below the project's snapshot store (never a location)."""
    version: int
    """Delta version."""
    content_digest: str
    schema_digest: str
    rows: int
    since: datetime | None
    until: datetime | None


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """Where a version came from: enough to make it again."""

    run_key: str
    """Digest of all step keys: the same key is the same run."""
    mlflow_run: str
    git_commit: str | None
    git_dirty: bool
    code_digest: str
    environment_digest: str
    snapshot: SnapshotRef
    parameters: dict[str, Any]
    seed: int
    strategy: str = ""
    """On which of the snapshot's rows it was fitted, as an entrant of a tournament is called; empty: all but the holdout."""
    fitted_until: datetime | None = None
    """Newest row that it was fitted on: later ones judge it fairly. None: made by a Flyball that did not say."""
    capture: Keeping | None = None
    """What flyball.yaml said of capture when the package was made: it goes for columns that are features no more. None: made by a Flyball that did not say."""
    threshold: float | None = None
    """Two classes: the score from which an answer was the positive one where accuracy and F1 were measured on the holdout; None: one half."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model."""

    model: str
    number: int
    """As in the MLflow registry."""
    manifest_digest: str
    format: Format
    created_at: datetime
    lineage: Lineage
    metrics: dict[str, float]
    """On the holdout."""
    signer: str | None = None
    """Identity of the signature's key; None: not signed (signatures come with a later issue)."""


class Unit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The release unit: what answers, changed only as a whole. What has its default is not stored: the digest of a unit made before a field is what it was."""

    id: str
    """`u` + first 12 hex digits of the digest of the fields below."""
    model: str
    version: int
    manifest_digest: str
    threshold: float | None
    """Binary only: score at or above it is the positive class."""
    policy_digest: str
    calibration: AnswerMap | None = None
    """Before the threshold; None: scores are answered as the model gives them."""
