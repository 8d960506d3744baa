"""A package taken out of the registry: a copy that is whole, or is not there."""

from pathlib import Path

from flyball.adapters.durable_directories import make_directory_durably
from flyball.adapters.packages import MANIFEST, checked_bytes, verify_package
from flyball.errors import Conflict, StoreUnavailable


def export_package(package: Path, target: Path) -> None:
    """Copy what the manifest names and nothing else. Raises Conflict when `target` is there, ArtifactDamaged, StoreUnavailable."""
    if target.exists():
        raise Conflict(f"{target} is there already", next_step="name a directory that does not exist")
    manifest = verify_package(package)

    def fill(directory: Path) -> None:
        for name in manifest.files:
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(checked_bytes(package, name))
        (directory / MANIFEST).write_bytes((package / MANIFEST).read_bytes())

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        make_directory_durably(target, fill)
    except OSError as error:
        raise StoreUnavailable(f"{target}: {error.strerror or error}") from error
    verify_package(target)
