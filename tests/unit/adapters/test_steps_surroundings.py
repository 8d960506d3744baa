import subprocess
import sys
from pathlib import Path

import pytest
from projects import HISTOGRAM, Told, package_in, project, request, spec

from flyball.adapters.environment import code_digest, environment_digest, git_state
from flyball.adapters.packages import LocalPackages
from flyball.adapters.registry_mlflow import MlflowRegistry
from flyball.adapters.steps import run_steps
from flyball.adapters.user_code import user_code
from flyball.errors import TrainingError


def test_the_codes_digest_is_of_the_projects_own_python(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = code_digest(tmp_path)
    for folder in (".venv", ".flyball"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "b.py").write_text("2")
    (tmp_path / "notes.txt").write_text("3")
    assert code_digest(tmp_path) == before
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.py").write_text("4")
    assert code_digest(tmp_path) != before
    assert environment_digest() == environment_digest()


def test_git_tells_the_commit_and_what_differs_from_it(tmp_path: Path) -> None:
    assert git_state(tmp_path).commit is None

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments], cwd=tmp_path, check=True, capture_output=True
        )

    git("init")
    (tmp_path / "a.py").write_text("1")
    git("add", "a.py")
    git("commit", "-m", "one")
    clean = git_state(tmp_path)
    assert len(str(clean.commit)) == 40
    assert (clean.dirty, clean.diff_digest) == (False, None)
    (tmp_path / "a.py").write_text("2")
    dirty = git_state(tmp_path)
    assert (dirty.commit, dirty.dirty) == (clean.commit, True)
    assert len(str(dirty.diff_digest)) == 64


def test_two_projects_may_have_modules_of_one_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text("from other import who\n")
        (tmp_path / name / "other.py").write_text(f"def who():\n    return {name!r}\n")
    path, modules = list(sys.path), set(sys.modules)
    for name in ("a", "b", "a"):
        with user_code(tmp_path / name) as load:
            assert load("mine:who")() == name
    assert sys.path == path
    assert set(sys.modules) <= modules
    (tmp_path / "a" / "random.py").write_text("")
    with pytest.raises(TrainingError, match="'random' has the name of one of Python's own"), user_code(tmp_path / "a"):
        pass


def test_a_model_that_does_not_convert_is_served_as_code_and_the_reason_is_told(tmp_path: Path) -> None:
    declared = spec(data={"features": {"hour": None, "wind": {"missing": True}}})
    results = run_steps(request(project(tmp_path / "p", HISTOGRAM), declared), Told())
    assert results[-1].values["format"] == "code"
    assert any(words.startswith("ONNX") for words in results[-1].values["words"])
    package = package_in(tmp_path / "p", results)
    assert (package / "model" / "code" / "pipeline.py").read_text() == HISTOGRAM


def test_mlflow_itself_loads_what_is_registered(tmp_path: Path) -> None:
    package = package_in(tmp_path / "p", run_steps(request(project(tmp_path / "p")), Told()))
    registry, packages = MlflowRegistry(tmp_path / "state"), LocalPackages()
    version = registry.register(
        "flights", package, packages.lineage(package), packages.manifest(package), packages.metrics(package),
        packages.lineage(package).snapshot.until,
    )  # fmt: skip
    registry.mark("flights", version.number, "champion")
    script = (
        "import mlflow; mlflow.set_tracking_uri('sqlite:///' + __import__('sys').argv[1]);"
        "model = mlflow.onnx.load_model('models:/flights@champion'); print(len(model.graph.input))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "state" / "mlflow.db")], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "3", done.stderr
    assert registry.fetch("flights", 1).is_dir()
