"""A package taken out of the registry: a copy that is whole, or is not there, and what it says of itself there."""

from pathlib import Path

import msgspec

from flyball.adapters.durable_directories import make_directory_durably
from flyball.adapters.packages import MANIFEST, checked_bytes, verify_package
from flyball.errors import ArtifactDamaged, Conflict, StoreUnavailable
from flyball.machine import package_files
from flyball.records import codec, exported
from flyball.records.exported import FILE, Exported
from flyball.records.keeping import Keeping


def export_package(package: Path, target: Path, version: int, keeping: Keeping, keep: str = "") -> None:
    """Copy what the manifest names, and write beside it which version it is and what of its requests may be captured.

    Raises Conflict when `target` is there, ArtifactDamaged, StoreUnavailable.
    """
    if target.exists():
        raise Conflict(f"{target} is there already", next_step="name a directory that does not exist")
    manifest = verify_package(package)
    said = Exported(version=version, manifest_digest=codec.digest(manifest), keeping=keeping, keep=keep).sealed()

    def fill(directory: Path) -> None:
        # What tells a package first: who looks through the project meanwhile must not take its modules for the project's.
        (directory / MANIFEST).write_bytes((package / MANIFEST).read_bytes())
        for name in sorted(manifest.files, key=lambda name: "/" in name):
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(checked_bytes(package, name))
        (directory / FILE).write_bytes(codec.encode(said))

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        make_directory_durably(target, fill)
    except OSError as error:
        raise StoreUnavailable(f"{target}: {error.strerror or error}") from error
    verify_package(target)


def exported_of(package: Path, manifest_digest: str) -> Exported | None:
    """What was written beside a package when it was exported; None: an earlier release did, or nobody. Raises ArtifactDamaged."""
    path = package / FILE
    try:
        said = exported.read(package_files.whole(package, FILE))
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise ArtifactDamaged(f"{path} cannot be read: {error}", expected="what flyball export wrote") from error
    if said is None:
        expected = (
            "what flyball export wrote: export again, and say in the routing file what is to be captured otherwise (capture:)"
        )
        raise ArtifactDamaged(f"{path} was changed", expected=expected)
    if said.manifest_digest != manifest_digest:
        raise ArtifactDamaged(
            f"{path} was written for the manifest {said.manifest_digest[:12]}…",
            expected=f"{manifest_digest[:12]}…, as it lies there",
        )
    return said
