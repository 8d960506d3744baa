"""What lies in a package is looked at before it is read: a package from elsewhere may hold what no program comes back from."""

import hashlib
import os
from pathlib import Path

import pytest

from flyball.adapters.packages import MANIFEST, LocalPackages, checked_bytes, make_manifest, read_manifest, verify_package
from flyball.errors import ArtifactDamaged
from flyball.gateway.code_worker import unpickled
from flyball.gateway.units import verified
from flyball.records import codec
from flyball.records.routing import ServedUnit
from flyball.records.signature import Signature
from flyball.records.unit import Format, Manifest, Unit

MODEL = "model/model.onnx"


def package_of(directory: Path, *more: str) -> ServedUnit:
    """`more`: names that the manifest has beside the model's."""
    (directory / "model" / "code").mkdir(parents=True)
    (directory / MODEL).write_bytes(b"model")
    files = dict.fromkeys((MODEL, *more), hashlib.sha256(b"model").hexdigest())
    manifest = Manifest(files=files, format=Format.ONNX)
    (directory / MANIFEST).write_bytes(codec.encode(manifest))
    unit = Unit(id="u", model="shop", version=1, manifest_digest=codec.digest(manifest), threshold=None, policy_digest="p")
    signature = Signature(task="regression", columns=())
    return ServedUnit(unit=unit, package=str(directory), format=Format.ONNX, signature=signature)


READERS = [lambda package, _: verify_package(package), verified]


@pytest.mark.parametrize("reads", READERS)
@pytest.mark.parametrize("place", [MODEL, "model/code/late.py", "beside"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to("/dev")])
def test_a_package_with_a_pipe_a_device_or_a_link_is_refused_at_once(make, place, reads, tmp_path):
    """A pipe is waited for for ever, and `/dev/zero` read into memory for as long as there is some."""
    served = package_of(tmp_path / "package", place)
    (tmp_path / "package" / place).unlink(missing_ok=True)
    make(tmp_path / "package" / place)
    with pytest.raises(ArtifactDamaged, match="plain files and directories"):
        reads(tmp_path / "package", served)


@pytest.mark.parametrize("reads", READERS)
def test_a_manifest_that_is_a_pipe_is_refused_at_once(reads, tmp_path):
    served = package_of(tmp_path / "package")
    (tmp_path / "package" / MANIFEST).unlink()
    os.mkfifo(tmp_path / "package" / MANIFEST)
    with pytest.raises(ArtifactDamaged, match=r"manifest\.json"):
        reads(tmp_path / "package", served)
    with pytest.raises(ArtifactDamaged, match=r"manifest\.json"):
        read_manifest(tmp_path / "package")


@pytest.mark.parametrize("reads", READERS)
@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "model/../../secret", "a\0b", "\ud800"])
def test_a_manifest_that_names_what_is_not_in_the_package_is_refused(name, reads, tmp_path):
    (tmp_path / "secret").write_bytes(b"model")
    if name == "\ud800":  # no JSON that Python writes; others write it
        served = package_of(tmp_path / "package", "half")
        whole = (tmp_path / "package" / MANIFEST).read_bytes()
        (tmp_path / "package" / MANIFEST).write_bytes(whole.replace(b'"half"', b'"\\ud800"'))
    else:
        served = package_of(tmp_path / "package", name)
    with pytest.raises(ArtifactDamaged):
        reads(tmp_path / "package", served)
    with pytest.raises(ArtifactDamaged):
        checked_bytes(tmp_path / "package", name)


def test_a_worker_that_starts_again_waits_for_no_pipe(tmp_path):
    package_of(tmp_path / "package")
    os.mkfifo(tmp_path / "package" / "model" / "code" / "late.py")
    with pytest.raises(ValueError, match=r"late\.py in the package is no file"):
        unpickled(tmp_path / "package" / "model" / "model.pkl", b"", {"late.py": ""})


UNREADABLE = [b"{", b"1", b'{"files":"\xff"}', b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}"]


@pytest.mark.parametrize("content", UNREADABLE)
def test_a_file_that_cannot_be_decoded_is_damage_whichever_it_is(content, tmp_path):
    """Of a package from elsewhere the manifest may name such files, and be such a one."""
    for named, read in (
        ("signature.json", LocalPackages().signature),
        ("lineage.json", LocalPackages().lineage),
        ("evaluation.json", LocalPackages().metrics),
    ):
        package = tmp_path / named
        package.mkdir()
        (package / named).write_bytes(content)
        (package / MANIFEST).write_bytes(codec.encode(make_manifest(package, Format.ONNX)))
        with pytest.raises(ArtifactDamaged, match=named):
            read(package)
    served = package_of(tmp_path / "package")
    (tmp_path / "package" / MANIFEST).write_bytes(content)
    for reads in READERS:
        with pytest.raises(ArtifactDamaged):
            reads(tmp_path / "package", served)
