"""A project's packages, for whoever needs them outside the project."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from flyball.adapters.export import export_package
from flyball.adapters.ledger import SqliteLedger
from flyball.adapters.packages import LocalPackages, read_manifest
from flyball.adapters.registry_mlflow import MlflowRegistry
from flyball.capture.strictest import replaced
from flyball.control.jobs import version_key
from flyball.control.keeping import keeping_of, kept_by
from flyball.errors import NotFound
from flyball.records import codec
from flyball.records.keeping import Keeping
from flyball.records.routing import RoutingTable
from flyball.records.signature import Signature
from flyball.records.unit import Version
from flyball.spec import ProjectSpec
from flyball.spec.fields import format_duration
from flyball.spec.load import load_project
from flyball.wiring.environment import quiet_libraries
from flyball.wiring.health import ledger_is_there
from flyball.wiring.place import place_of
from flyball.wiring.workspace import STATE

T = TypeVar("T")


def package_of(project_dir: Path, version: int) -> Path:
    """Where a version's package lies, every byte checked by what the ledger has of it. Raises NotFound, ArtifactDamaged, SpecError, OperatorError."""
    quiet_libraries()
    directory = place_of(project_dir)
    spec = load_project(directory)
    try:
        digest = _recorded(directory / STATE, spec.model, version)
        return MlflowRegistry(directory / STATE, server_url=spec.tracking_url).fetch(spec.model, version, digest)
    except NotFound as absent:
        raise NotFound(absent.found, next_step="flyball versions lists what is there") from absent


def _recorded(state_dir: Path, model: str, number: int) -> str:
    """The manifest's digest, as it was judged and registered. What only MLflow tells of a version is nobody's word. Raises NotFound."""
    version = _state(state_dir, "version", version_key(model, number), Version)
    if version is None:
        raise NotFound(f"the model {model!r} has no version {number}")
    return version.manifest_digest


def _state(state_dir: Path, kind: str, key: str, record: type[T]) -> T | None:
    """What the ledger has; None: nothing."""
    if not ledger_is_there(state_dir):
        return None
    ledger = SqliteLedger(state_dir)
    stored = ledger.state(kind, key)
    ledger.close()
    return None if stored is None else codec.revive(stored.value, record)


class ExportedVersion(NamedTuple):
    """A copy of a version's package."""

    manifest_digest: str
    notes: tuple[str, ...]
    """What whoever exported it should know of what will be captured."""


def export_version(project_dir: Path, version: int, target: Path) -> ExportedVersion:
    """Copy a version's package to `target`, which must not exist."""
    package = package_of(project_dir, version)
    directory = place_of(project_dir)
    spec = load_project(directory)
    packages = LocalPackages()
    standing, packaged = (
        kept_by(_state(directory / STATE, "routing", spec.model, RoutingTable)),
        packages.capture(package),
    )
    # A package of an earlier release does not say what of its columns might be captured.
    unknown = _unknown(spec, standing or Keeping(), packages.signature(package)) if packaged is None else ()
    keep = format_duration(spec.capture.keep) if spec.capture.keep else ""
    # By flyball.yaml and, for columns that are features no more, by the table that is served and by the package itself.
    declared = replaced(
        keeping_of(spec, standing, [packaged] if packaged else []) or Keeping(), dict.fromkeys(unknown, "drop"), None
    )
    export_package(package, target.resolve(), version, declared, keep)
    return ExportedVersion(codec.digest(read_manifest(package)), _notes(version, unknown))


def _unknown(spec: ProjectSpec, standing: Keeping, signature: Signature) -> tuple[str, ...]:
    """Columns that it takes and of which nobody says any more what may be captured."""
    known = (*spec.data.feature_names, *standing.columns)
    return tuple(column.name for column in signature.columns if column.name not in known)


def _notes(version: int, unknown: Sequence[str]) -> tuple[str, ...]:
    if not unknown:
        return ()
    fields = ", ".join(f"{name}: keep" for name in unknown)
    note = (
        f"Version {version} takes {', '.join(unknown)}, which flyball.yaml does not have any more: a rule of capture that was there went with it, "
        f"and what nobody rules is dropped from captures. capture: {{fields: {{{fields}}}}} in the routing file keeps it."
    )
    return (note,)
