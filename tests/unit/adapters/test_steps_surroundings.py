import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from projects import HISTOGRAM, LOGISTIC, Told, package_in, project, request, spec

from flyball.adapters.environment import code_digest, environment_digest, git_state, read_files, refuse_change, surroundings
from flyball.adapters.packages import LocalPackages
from flyball.adapters.registry_mlflow import MlflowRegistry
from flyball.adapters.steps import run_steps
from flyball.adapters.user_code import user_code
from flyball.errors import StoreUnavailable, TrainingError
from flyball.records.jobs import Progress


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


@pytest.mark.parametrize(
    ("module", "beside"),
    [
        (".flyball.damaged/snapshots/m.py", ()),
        (".flyball-gateway/m.py", ()),
        ("mlartifacts/1/models/m-1/artifacts/model/code/m.py", ()),
        ("backup/mlartifacts/1/models/m-1/artifacts/model/code/m.py", ()),
        ("backup/jobs/j-0001/m.py", ("backup/flyball.db", "backup/HEAD")),
        ("packages/3/model/code/m.py", ("packages/3/manifest.json", "packages/3/signature.json", "packages/3/lineage.json")),
    ],
)
def test_a_backup_or_a_package_in_the_project_is_no_code_of_it(tmp_path: Path, module: str, beside: tuple[str, ...]) -> None:
    (tmp_path / "pipeline.py").write_text('open("words.json")\n')
    before = surroundings(tmp_path)
    for name in (module, str(Path(module).with_name("words.json")), *beside):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("2")
    assert surroundings(tmp_path) == before
    refuse_change(tmp_path, before)


@pytest.mark.parametrize(
    "beside", [("manifest.json",), ("signature.json",), ("mlartifacts/x", "mlflow.db"), (), ("../flyball.db",)]
)
def test_what_only_looks_like_that_is_code(tmp_path: Path, beside: tuple[str, ...]) -> None:
    (tmp_path / "sub" / "mlartifacts").mkdir(parents=True)
    for name in beside:
        (tmp_path / "sub" / name).write_text("1")
    before = code_digest(tmp_path)
    (tmp_path / "sub" / "c.py").write_text("4")
    assert code_digest(tmp_path) != before


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


@pytest.mark.parametrize("fails", ["status", "diff"])
def test_a_commit_of_which_git_cannot_tell_what_differs_is_not_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    git = tmp_path / "git"
    git.write_text(f'#!/bin/sh\ncase "$1" in {fails}) exit 128;; rev-parse) echo abc;; *) echo " M a.py";; esac\n')
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert git_state(tmp_path) == ("abc", True, None)


def test_a_module_that_cannot_be_read_is_told_in_words(tmp_path: Path) -> None:
    directory, told = project(tmp_path / "p"), Told()
    (directory / "more.py").symlink_to("/proc/self/mem")  # of root, too, the first byte cannot be read
    with pytest.raises(StoreUnavailable, match="cannot be read: Input/output error"):
        run_steps(request(directory), told)
    assert told[-1].status == "failed"


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


READS = 'import json\nparameters = json.load(open("params.json"))\nwords = open("words/vocab.csv")\n'


@pytest.mark.parametrize("name", ["params.json", "words/vocab.csv"])
def test_what_a_module_reads_is_part_of_the_code(tmp_path: Path, name: str) -> None:
    (tmp_path / "pipeline.py").write_text(READS)
    before = code_digest(tmp_path)
    (tmp_path / "words").mkdir()
    (tmp_path / name).write_text("1")
    first = code_digest(tmp_path)
    (tmp_path / name).write_text("2")
    assert len({before, first, code_digest(tmp_path)}) == 3


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("saved_vocab.json", 'json.load(open("saved_vocab.json"))'),
        ("write_ahead.json", 'json.load(open("write_ahead.json"))'),
        ("vocab.json", 'size = json.load(open("vocab.json"))["a"]'),
        ("vocab.json", 'size = json.load(open("vocab.json")).get("w", "x")'),
        ("vocab.json", 'load_saved("vocab.json")'),
        ("embeddings.npy", 'np.load("embeddings.npy")'),
        ("embeddings.npy", 'np.load(\n    HERE / "embeddings.npy"\n)'),
        ("holidays.parquet", 'H = HERE / "holidays.parquet"'),
        ("start.lgb", 'lgb.Booster(model_file="start.lgb")'),
        ("start.onnx", 'ort.InferenceSession("start.onnx")'),
        ("weights/start.pt", 'torch.load(Path("weights") / "start.pt")'),
        ("vocab", 'open("vocab")'),
        ("large.json", 'open("large.json")'),
    ],
)
def test_whatever_file_a_module_reads_is_part_of_the_code(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / "pipeline.py").write_text(f"{line}\n")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    found = set()
    for content in (b"\x93NUMPY\x001", b"\x93NUMPY\x002", b"3" * 2_000_000):
        (tmp_path / name).write_bytes(content)
        found.add(code_digest(tmp_path))
    assert len(found) == 3
    assert read_files(tmp_path) == (Path(name),)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("out.json", 'open("out.json", "w").write("1")'),
        ("out.json", 'json.dump(found, open(os.path.join(place, "out.json"), mode="wb"))'),
        ("out.json", 'Path("out.json").open("x")'),
        ("out.json", 'Path("out.json").write_text("1")'),
        ("out.json", 'frame.to_json("out.json")'),
        ("out.json", 'plot.savefig("out.json")'),
        ("out.json", 'np.save("out.json", found)'),
        ("optuna.db", 'optuna.create_study(storage="sqlite:///optuna.db", load_if_exists=True)'),
        ("mlflow.db", 'mlflow.set_tracking_uri("sqlite:///mlflow.db")'),
        ("model.pkl", 'MODEL = Path("out") / "model.pkl"'),
        ("roc.png", 'PLOT = "roc.png"'),
    ],
)
def test_what_a_module_only_writes_or_a_training_makes_is_no_code(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / "pipeline.py").write_text(f"{line}\n")
    (tmp_path / name).write_text("1")
    assert read_files(tmp_path) == ()


def test_a_look_at_the_code_lists_the_project_once_and_asks_about_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    for name in ("pipeline.py", "words.json", "data/module.py", "data/rows.csv"):
        (tmp_path / name).write_text('open("words.json")\nopen("rows.csv")\n')
    walk, is_file = os.walk, Path.is_file
    walks, asked = [], []
    monkeypatch.setattr("flyball.adapters.environment.os.walk", lambda root: walks.append(root) or walk(root))
    monkeypatch.setattr(Path, "is_file", lambda self: asked.append(self.name) or is_file(self))
    around = surroundings(tmp_path)
    assert walks.count(tmp_path) == 1
    assert {"pipeline.py", "words.json", "module.py"} <= set(asked)
    assert "rows.csv" not in asked
    walks.clear()
    asked.clear()
    refuse_change(tmp_path, around)
    assert (walks, sorted(asked)) == ([tmp_path], ["module.py", "pipeline.py"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("other.json", "1"),
        ("README.md", "params.json"),
        (".params.json", "1"),
        ("data/params.json", "1"),
        (".flyball/params.json", "1"),
        ("schema.yaml", "1"),
        ("flyball.yaml", "1"),
        ("written.json", "1"),
        ("rows.csv", "1"),
        ("loaded.csv", "1"),
        ("saved_model.bin", "1"),
        ("train.log", "1"),
        ("vocab", "1"),
    ],
)
def test_rows_results_and_what_flyball_writes_are_no_code(tmp_path: Path, name: str, content: str) -> None:
    read = "".join(f'open("{each}")\n' for each in ("schema.yaml", "flyball.yaml", "rows.csv", "train.log"))
    written = 'open("written.json", "w").write("1")\njoblib.dump(model, "saved_model.bin")\n# README.md\nvocab = None\n'
    (tmp_path / "pipeline.py").write_text(f"{READS}{read}{written}")
    (tmp_path / "rows.py").write_text('def read(until):\n    return open("loaded.csv")\n')
    files = spec(data={"source": {"files": "rows*.csv"}}).data
    loader = spec(data={"source": {"loader": "rows:read"}}).data
    declared = loader if name == "loaded.csv" else files
    before = code_digest(tmp_path, declared)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    assert code_digest(tmp_path, declared) == before


def test_code_that_is_installed_to_be_edited_is_part_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = environment_digest()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "mine.py").write_text("1")
    installed = tmp_path / "site" / "mine-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (installed / "direct_url.json").write_text(
        json.dumps({"url": (tmp_path / "source").as_uri(), "dir_info": {"editable": True}})
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    first = environment_digest()
    (tmp_path / "source" / "mine.py").write_text("2")
    assert len({before, first, environment_digest()}) == 3


@pytest.mark.parametrize("spoken", ["train", "refit", "package"])
def test_code_that_changes_while_it_runs_is_kept_under_no_key(tmp_path: Path, spoken: str) -> None:
    directory = project(tmp_path / "p", LOGISTIC)
    words = {"train": "fitting on", "refit": "fitting once more", "package": "asking the model"}[spoken]

    def tell(progress: Progress) -> None:
        if progress.words.startswith(words):
            (directory / "pipeline.py").write_text(LOGISTIC + "\nmore = 1\n")

    declared = spec(evaluate={"refit": spoken == "refit"})
    with pytest.raises(TrainingError, match="the project's code changed while it ran"):
        run_steps(request(directory, declared), tell)
    assert not list((directory / ".flyball" / "cache").glob(f"{spoken}-*"))
    (directory / "pipeline.py").write_text(LOGISTIC)
    assert run_steps(request(directory, declared), Told())[-1].step == "package"
