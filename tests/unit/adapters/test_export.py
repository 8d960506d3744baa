"""A package taken out of the registry is whole, or is not there."""

import hashlib
from pathlib import Path

import pytest

from flyball.adapters.export import export_package
from flyball.adapters.packages import MANIFEST, verify_package
from flyball.errors import ArtifactDamaged, Conflict
from flyball.records import codec
from flyball.records.unit import Format, Manifest


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {"model/model.onnx": b"model", "model/code/a.py": b"a = 1", "signature.json": b"{}"}
    directory = tmp_path / "package"
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    manifest = Manifest(files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()}, format=Format.ONNX)
    (directory / MANIFEST).write_bytes(codec.encode(manifest))
    return directory


def test_the_copy_has_the_same_bytes_and_nothing_else(package: Path, tmp_path: Path) -> None:
    (package / "model" / "registered_model_meta").write_text("left by MLflow")
    target = tmp_path / "far" / "away"
    export_package(package, target)
    assert verify_package(target) == verify_package(package)
    assert not (target / "model" / "registered_model_meta").exists()


def test_a_damaged_package_leaves_nothing_behind(package: Path, tmp_path: Path) -> None:
    (package / "model" / "model.onnx").write_bytes(b"mode1")
    with pytest.raises(ArtifactDamaged, match="digest"):
        export_package(package, tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package"]


def test_what_is_there_is_not_overwritten(package: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(Conflict, match="there already"):
        export_package(package, tmp_path / "target")
