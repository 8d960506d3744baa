"""A project's packages, for whoever needs them outside the project."""

from pathlib import Path

from flyball.adapters.export import export_package
from flyball.adapters.packages import read_manifest
from flyball.adapters.registry_mlflow import MlflowRegistry
from flyball.errors import NotFound
from flyball.records import codec
from flyball.spec.load import load_project
from flyball.wiring.workspace import STATE
from flyball.wiring.worlds import quiet_libraries


def package_of(project_dir: Path, version: int) -> Path:
    """Where a version's package lies, every byte checked. Raises NotFound, ArtifactDamaged, SpecError."""
    quiet_libraries()
    directory = project_dir.resolve()
    spec = load_project(directory)
    try:
        return MlflowRegistry(directory / STATE, server_url=spec.tracking_url).fetch(spec.model, version)
    except NotFound as absent:
        raise NotFound(absent.found, next_step="flyball versions lists what is there") from absent


def export_version(project_dir: Path, version: int, target: Path) -> str:
    """Copy a version's package to `target`, which must not exist; the digest of its manifest."""
    package = package_of(project_dir, version)
    export_package(package, target.resolve())
    return codec.digest(read_manifest(package))
