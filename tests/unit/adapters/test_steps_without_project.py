"""What answers is what was judged: a code model that needs more of its project than its package holds is none."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from projects import Told, package_in, project, request, rows, served, spec

from flyball.adapters import estimators
from flyball.adapters.bench.run import advice, faster_as_code
from flyball.adapters.conversion.elsewhere import Packed, answers_elsewhere
from flyball.adapters.environment import code_files
from flyball.adapters.model_input import feeds_of, frame_of
from flyball.adapters.packages import CODE_SPEEDUP, LocalPackages
from flyball.adapters.steps import run_steps
from flyball.adapters.user_code import own_modules, user_code
from flyball.control.bench_reports import LoadRow
from flyball.errors import TrainingError
from flyball.gates.decide import REFUSED_MISSING
from flyball.gateway.runtimes.contract import CodeLimits
from flyball.gateway.units import load
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.jobs import StepResult
from flyball.records.signature import Column, ColumnType, Signature

SIGNATURE = Signature(task="binary", columns=(Column(name="x", type=ColumnType.NUMBER),), classes=("no", "yes"))

READING = """
import json
from pathlib import Path

import numpy as np
import polars as pl

HERE = Path(__file__).parent
TEXT = str(HERE / "lookup.json")
KEPT = json.loads((HERE / "lookup.json").read_text())

def lately(x):
    from lib.late import shifted
    return shifted(x)

class Model:
    def predict(self, frame):
        x = frame["x"].to_numpy()
        return 1 / (1 + np.exp(-lately(x) * {weight}))

def train(features, label, parameters, seed):
    return Model()
"""


def written(directory: Path, weight: str) -> Path:
    (directory / "lib").mkdir(parents=True)
    (directory / "lib/__init__.py").touch()
    (directory / "lib/late.py").write_text("def shifted(x):\n    return x + 0.5\n")
    (directory / "lookup.json").write_text('{"w": 2.0}')
    (directory / "pipeline.py").write_text(READING.format(weight=weight))
    return directory


def asked_elsewhere(directory: Path, frame: pl.DataFrame, *, texts_moved: bool = True) -> np.ndarray:
    with user_code(directory) as loaded:
        content = estimators.dump(loaded("pipeline:train")(None, None, {}, 1), own_modules(directory))
    (directory / ".flyball").mkdir(exist_ok=True)
    packed = Packed(content, code_files(directory), directory)
    return answers_elsewhere(packed, SIGNATURE, frame, directory / ".flyball", texts_moved=texts_moved)


@pytest.mark.parametrize(
    "weight",
    [
        pytest.param("json.loads((Path(__file__).parent / 'lookup.json').read_text())['w']", id="beside its module"),
        pytest.param("json.loads((HERE / 'lookup.json').read_text())['w']", id="by a path of its module"),
        pytest.param("json.load(open(TEXT))['w']", id="by a text of its module"),
        pytest.param("pl.read_json(TEXT)['w'][0]", id="by a library"),
        pytest.param("json.load(open('lookup.json'))['w']", id="where it is started"),
    ],
)
def test_a_model_that_reads_a_file_of_its_project_when_it_is_asked_is_refused_by_the_files_name(
    tmp_path: Path, weight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = written(tmp_path / "p", weight)
    monkeypatch.chdir(directory)
    with pytest.raises(TrainingError, match=r"the model needs lookup\.json when it is asked") as refused:
        asked_elsewhere(directory, pl.DataFrame({"x": [0.0, 1.0]}, schema={"x": pl.Float32}))
    assert "read it in train()" in refused.value.next_step


def test_a_model_that_keeps_what_its_project_holds_answers_elsewhere_as_at_home(tmp_path: Path) -> None:
    found = asked_elsewhere(written(tmp_path / "p", "KEPT['w']"), pl.DataFrame({"x": [0.0, 1.0]}, schema={"x": pl.Float32}))
    np.testing.assert_allclose(found[:, 0], 1 / (1 + np.exp([-1.0, -3.0])))


def test_a_model_that_ends_its_process_is_told(tmp_path: Path) -> None:
    directory = written(tmp_path / "p", "__import__('os')._exit(7)")
    with pytest.raises(TrainingError, match="ended with exit code 7"):
        asked_elsewhere(directory, pl.DataFrame({"x": [0.0]}, schema={"x": pl.Float32}))


ONE = pl.DataFrame({"x": [0.0]}, schema={"x": pl.Float32})


def test_a_model_that_writes_into_its_project_is_told_what_it_needs(tmp_path: Path) -> None:
    directory = written(tmp_path / "p", "(HERE / 'log' / 'answers.txt').write_text('2')")
    (directory / "log").mkdir()
    with pytest.raises(TrainingError, match=r"the model needs log/answers\.txt when it is asked") as refused:
        asked_elsewhere(directory, ONE)
    assert "writes no files" in refused.value.next_step


def test_a_model_that_is_killed_is_told_what_is_likely(tmp_path: Path) -> None:
    directory = written(tmp_path / "p", "__import__('os').kill(__import__('os').getpid(), 9)")
    with pytest.raises(TrainingError, match="was killed: most likely there was not enough memory"):
        asked_elsewhere(directory, ONE)
    assert [each.name for each in (directory / ".flyball").iterdir()] == []


@pytest.mark.parametrize("kept", ["HERE / '.venv' / 'w.txt'", "str(HERE / '.venv' / 'w.txt')"])
def test_a_library_that_lies_in_the_project_stays_where_it_is(tmp_path: Path, kept: str) -> None:
    directory = written(tmp_path / "p", "float(open(PLACE).read())")
    (directory / ".venv").mkdir()
    (directory / ".venv" / "w.txt").write_text("2.0")
    code = directory / "pipeline.py"
    code.write_text(code.read_text().replace("KEPT =", f"PLACE = {kept}\nKEPT ="))
    np.testing.assert_allclose(asked_elsewhere(directory, ONE)[:, 0], 1 / (1 + np.exp(-1.0)))


def test_only_texts_that_begin_with_the_projects_path_are_moved(tmp_path: Path) -> None:
    directory = tmp_path / "p"
    words = [f"x{directory}/y", f"https://h{directory}/v1", f"{directory}way"]
    weight = " + ".join(f"({word!r}.encode().hex() == {word.encode().hex()!r})" for word in words)
    found = asked_elsewhere(written(directory, f"({weight})"), ONE)
    np.testing.assert_allclose(found[:, 0], 1 / (1 + np.exp(-1.5)))


def test_the_child_says_nothing_of_how_it_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error::RuntimeWarning")
    asked_elsewhere(written(tmp_path / "p", "2.0"), ONE)
    assert "RuntimeWarning" not in capfd.readouterr().err


NAIVE = """
import json
from pathlib import Path

import numpy as np

class Naive:
    classes_ = np.array([0, 1])

    def predict(self, frame):
        return self.predict_proba(frame)[:, 1] > 0.5

    def predict_proba(self, frame):
        weight = {weight}
        p = 1 / (1 + np.exp(-frame["wind"].to_numpy() * weight / 10))
        return np.c_[1 - p, p]

def train(features, label, parameters, seed):
    return Naive()
"""
READ = "json.loads((Path(__file__).parent / 'lookup.json').read_text())['w']"


def naive(directory: Path, weight: str, frame: pl.DataFrame) -> Path:
    project(directory, NAIVE.format(weight=weight), frame)
    (directory / "lookup.json").write_text('{"w": 2.0}')
    return directory


def whole() -> pl.DataFrame:
    return rows().with_columns(pl.col("wind").fill_null(3.0))


def test_a_run_fails_where_its_model_reads_a_file_of_the_project(tmp_path: Path) -> None:
    directory = naive(tmp_path / "p", READ, whole())
    with pytest.raises(TrainingError, match=r"needs lookup\.json"):
        run_steps(request(directory, spec(data={"features": ["hour", "wind"]})), Told())


NEIGHBOURS = """
from pathlib import Path

from sklearn.neighbors import KNeighborsRegressor

HERE = Path(__file__).parent

class Kept:
    def __setstate__(self, state):
        self.weight = (HERE / "lookup.json").read_text() if {reads} else state

    def __getstate__(self):
        return 2.0

def train(features, label, parameters, seed):
    model = KNeighborsRegressor(15, algorithm="kd_tree").fit(features, label)
    model.kept = Kept()
    return model
"""


@pytest.mark.parametrize(("reads", "form"), [(True, "onnx"), (False, "code")])
def test_a_data_format_is_served_where_code_that_is_faster_needs_its_project(tmp_path: Path, reads: bool, form: str) -> None:
    directory = project(tmp_path / "p", NEIGHBOURS.format(reads=reads), rows(4000).drop_nulls("wind"))
    (directory / "lookup.json").write_text("2.0")
    declared = spec(task="regression", data={"label": "minutes", "features": ["wind"]})
    found = run_steps(request(directory, declared), Told())[-1].values
    assert found["format"] == form
    assert any("not served as code, which is faster: the model needs lookup.json" in words for words in found["words"]) is reads
    package = directory / ".flyball" / found["package"]
    evidence = {item.name: item for item in LocalPackages().evaluation(package)}
    assert {"code_speedup_one_row", "code_speedup_many_rows"}.isdisjoint(evidence) is reads
    if reads:
        return
    assert evidence[CODE_SPEEDUP].value > 1
    assert "speedup_one_row" not in evidence
    told = advised(package)
    assert "since its proven data format is slower" in told
    assert f"{evidence[CODE_SPEEDUP].value:.3g} times as fast" in told


STALLING = """
import time
from sklearn.neighbors import KNeighborsRegressor

class Stalling:
    def __init__(self, model):
        self.model, self.calls = model, 0

    def __call__(self, rows):
        self.calls += len(rows) == 1
        if len(rows) == 1 and self.calls % 50 == 0:
            time.sleep(0.3)
        return KNeighborsRegressor.predict(self.model, rows)

def train(features, label, parameters, seed):
    model = KNeighborsRegressor(15, algorithm="kd_tree").fit(features, label)
    model.predict = Stalling(model)
    return model
"""


@pytest.mark.parametrize(("most_ms", "form"), [(200, "onnx"), (1000, "code")])
def test_a_data_format_is_served_where_code_that_is_faster_fails_the_gate_of_latency(
    tmp_path: Path, most_ms: int, form: str
) -> None:
    directory = project(tmp_path / "p", STALLING, rows(4000).drop_nulls("wind"))
    declared = spec(task="regression", data={"label": "minutes", "features": ["wind"]}, gates={"latency_p99_ms": most_ms})
    found = run_steps(request(directory, declared), Told())[-1].values
    assert found["format"] == form, found["words"]
    told = [words for words in found["words"] if "not served as code, which is faster: latency_p99_ms is" in words]
    assert len(told) == (1 if form == "onnx" else 0)
    assert (found["latency_ms"]["latency_p99_ms"] < 200) is (form == "onnx")


def test_converting_is_advised_where_no_data_format_was_proven(tmp_path: Path) -> None:
    directory = naive(tmp_path / "p", "2.0", whole())
    told = advised(package_in(directory, run_steps(request(directory, spec(data={"features": ["hour", "wind"]})), Told())))
    assert "a model that converts to ONNX" in told
    assert "proven" not in told


def advised(package: Path) -> str:
    """By `flyball bench`, whatever it measures."""
    load = LoadRow(rows=1, connections=1, requests_per_second=100.0, rows_per_second=100.0, p50_ms=10.0, p99_ms=10.0)
    return advice(LocalPackages().manifest(package).format, [load, load], (), faster_as_code(package))


def known(word: str) -> str:
    """A weight that is 2 for who knows a text by its characters, wherever that leads to."""
    return f"2.0 if WORD.encode().hex() == {word.encode().hex()!r} else 3.0"


def with_word(directory: Path, weight: str) -> Path:
    naive(directory, weight, whole())
    code = directory / "pipeline.py"
    code.write_text(code.read_text().replace("class Naive", f"WORD = {str(directory / 'login')!r}\n\nclass Naive"))
    return directory


def test_a_text_that_begins_as_the_projects_path_may_be_a_word_that_the_model_knows(tmp_path: Path) -> None:
    directory = with_word(tmp_path / "p", known(str(tmp_path / "p" / "login")))
    results = run_steps(request(directory, spec(data={"features": ["hour", "wind"]})), Told())
    assert results[-1].values["parity"] == 0.0


def test_a_model_that_has_something_else_where_its_file_is_not_there_does_not_pass(tmp_path: Path) -> None:
    directory = with_word(tmp_path / "p", "float(Path(WORD).read_text()) if Path(WORD).exists() else 3.0")
    (directory / "login").write_text("2.0")
    with pytest.raises(TrainingError, match="the model needs login when it is asked"):
        run_steps(request(directory, spec(data={"features": ["hour", "wind"]})), Told())


def test_a_served_model_needs_no_project(tmp_path: Path) -> None:
    directory = naive(tmp_path / "p", "2.0", whole())
    package = package_in(directory, run_steps(request(directory, spec(data={"features": ["hour", "wind"]})), Told()))
    assert all(item.name != REFUSED_MISSING for item in LocalPackages().evaluation(package))
    shutil.move(directory / "pipeline.py", tmp_path / "gone.py")
    unit = served(package)
    model = load(unit, CodeLimits(environment=tuple(os.environ.items())))
    assert model.score(feeds_of(frame_of(whole(), unit.signature.columns).head(2)), 2).shape == (2, 1)
    model.close()


def refused_by(directory: Path, features: object) -> tuple[list[bool], list[Evidence], Sequence[str]]:
    """What requests may leave out, what the gate is told of it, and the step's words."""
    results = run_steps(request(directory, spec(data={"features": features})), Told())
    package = package_in(directory, results)
    refused = [item for item in LocalPackages().evaluation(package) if item.name == REFUSED_MISSING]
    return [column.missing for column in LocalPackages().signature(package).columns], refused, results[-1].values["words"]


def test_what_flyball_yaml_lets_be_missing_and_the_model_refuses_is_evidence_for_the_gate(tmp_path: Path) -> None:
    directory = naive(tmp_path / "p", "2.0", whole())
    missing, (refused,), words = refused_by(directory, {"hour": None, "wind": {"missing": True}})
    assert (missing, refused.value, refused.n) == ([False, True], 0.0, 600)
    assert "of wind (missing: true in flyball.yaml; 0 of 600 rows lack it): put an imputer before it" in refused.note
    assert refused.note in words


def test_what_rows_of_the_data_lack_and_the_model_refuses_to_do_without_is_evidence_for_the_gate(tmp_path: Path) -> None:
    holed = whole().with_columns(pl.when(pl.int_range(pl.len()) < 7).then(None).otherwise(pl.col("wind")).alias("wind"))
    missing, (refused,), words = refused_by(naive(tmp_path / "p", "2.0", holed), ["hour", "wind"])
    assert (missing, refused.value, refused.n) == ([False, True], 7.0, 600)
    assert "of wind (missing: true in schema.yaml; 7 of 600 rows lack it): put an imputer before it" in refused.note
    assert refused.note in words


REFUSING = """
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

def train(features, label, parameters, seed):
    return {model}.fit(features.to_numpy(), label.to_numpy())
"""


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of SVC's probability
@pytest.mark.parametrize(
    "model",
    [
        "GradientBoostingClassifier(n_estimators=20, random_state=seed)",
        "AdaBoostClassifier(n_estimators=20, random_state=seed)",
        "make_pipeline(StandardScaler(), SVC(probability=True, random_state=seed))",
    ],
)
def test_what_only_the_served_form_answers_without_is_evidence_for_the_gate(tmp_path: Path, model: str) -> None:
    directory = project(tmp_path / "p", REFUSING.format(model=model), whole())
    missing, (refused,), words = refused_by(directory, {"hour": None, "wind": {"missing": True}})
    assert (missing, refused.value, refused.n) == ([False, True], 0.0, 600)
    assert "of wind (missing: true in flyball.yaml" in refused.note
    assert any("the trained model refuses missing values of wind: ValueError" in each for each in words)


def test_a_package_of_before_that_was_asked_is_made_anew(tmp_path: Path) -> None:
    directory = naive(tmp_path / "p", "2.0", whole())
    asked = request(directory, spec(data={"features": ["hour", "wind"]}))
    run_steps(asked, Told())
    told = Told()
    run_steps(asked, told)
    assert "package" in told.statuses("cached")
    (kept,) = (directory / ".flyball/cache").glob("package-*/result.json")
    result = codec.decode(kept.read_bytes(), StepResult)
    before = {name: value for name, value in result.values.items() if name != "refusals_as_trained"}
    kept.write_bytes(codec.encode(msgspec.structs.replace(result, values=before)))
    told.clear()
    run_steps(asked, told)
    assert told.statuses("done") == ["package"]
