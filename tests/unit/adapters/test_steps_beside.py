"""A champion that cannot be asked about the holdout: what is told of it, and what the gate makes of that."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree
from typing import Any

import polars as pl
import pytest
from projects import AILING, AS_OF, Told, package_in, project, request, rows, served, spec

from flyball.adapters.environment import surroundings
from flyball.adapters.model_input import frame_of
from flyball.adapters.packages import LocalPackages
from flyball.adapters.steps import run_steps
from flyball.adapters.steps.cache import StepCache
from flyball.adapters.steps.evaluate import answers_of
from flyball.adapters.steps.run import no_secrets
from flyball.adapters.steps.situation import Run
from flyball.errors import ArtifactDamaged, DataError, TrainingError
from flyball.gates.decide import UNASKED, GateSituation, decide, policy_of
from flyball.records.decisions import Plan
from flyball.records.evidence import Evidence, Outcome
from flyball.records.jobs import StepResult
from flyball.records.unit import Format
from flyball.spec import ProjectSpec

UNDECLARED: dict[str, Any] = {"latency_p99_ms": 10_000}
DECLARED: dict[str, Any] = {**UNDECLARED, "champion": {"metric": "log_loss", "margin": 0.01}}


def judged(directory: Path, results: Sequence[StepResult], declared: ProjectSpec) -> Plan:
    """By the gate, as control has it judged."""
    evidence = LocalPackages().evaluation(package_in(directory, results))
    situation = GateSituation(candidate="run-1", challenger="it", champion="u1", evidence=evidence)
    return decide(situation, policy_of(declared), AS_OF)


def difference(directory: Path, results: Sequence[StepResult]) -> Evidence:
    evidence = LocalPackages().evaluation(package_in(directory, results))
    return next(item for item in evidence if item.name == "log_loss_difference")


def test_a_champion_that_needs_a_feature_of_before_is_compared_with_by_the_release(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    champion = package_in(directory, run_steps(request(directory), Told()))
    fewer = spec(data={"features": ["hour", "carrier"]}, gates=UNDECLARED)
    results = run_steps(request(directory, fewer, champion=champion), Told())
    assert difference(directory, results).value is None
    plan = judged(directory, results, fewer)
    assert plan.actions[0].kind == "register"
    assert "is left out: the champion cannot be asked about the holdout: it needs the features wind" in plan.rationale
    asked_for = spec(data={"features": ["hour", "carrier"]}, gates=DECLARED)
    plan = judged(directory, run_steps(request(directory, asked_for, champion=champion), Told()), asked_for)
    assert (plan.outcome, plan.actions[0].kind) == (Outcome.ERROR, "refuse")
    assert "without gates.champion in flyball.yaml" in plan.rationale


def test_a_champion_whose_model_raises_is_told_and_compared_with_by_the_release(tmp_path: Path) -> None:
    directory = project(tmp_path / "p", AILING.replace("AILMENT", "len(frame) == 120"))
    never = spec(evaluate={"holdout": 0.5})
    champion = package_in(directory, run_steps(request(directory, never), Told()))
    declared = spec(gates=UNDECLARED)
    results = run_steps(request(project(directory), declared, champion=champion), Told())
    found = difference(directory, results)
    assert found.value is None
    assert "the champion cannot be asked about the holdout: the model of u" in found.note
    assert "hunter2" not in found.note
    assert judged(directory, results, declared).actions[0].kind == "register"


@pytest.mark.parametrize("kind", ["MemoryError", "OSError", "ImportError"])
@pytest.mark.parametrize("raised", ["raise {kind}('hunter2')", "raise ValueError('no') from {kind}('hunter2')"])
def test_a_machine_in_trouble_lets_no_challenger_through_unjudged(tmp_path: Path, raised: str, kind: str) -> None:
    ill = AILING.replace("AILMENT", "len(frame) == 120 and Path(__file__).with_name('ill').exists()")
    ill = "from pathlib import Path\n" + ill.replace('raise ValueError("hunter2")', raised.format(kind=kind))
    directory = project(tmp_path / "p", ill.replace("__file__", repr(str(tmp_path / "p" / "pipeline.py"))))
    champion = package_in(directory, run_steps(request(directory, spec(evaluate={"holdout": 0.5})), Told()))
    asked = request(project(directory), spec(gates=UNDECLARED), champion=champion)
    (directory / "ill").touch()
    with pytest.raises(TrainingError, match=r"the model of u.* failed"):
        run_steps(asked, Told())
    (directory / "ill").unlink()
    assert difference(directory, run_steps(asked, Told())).value is not None, "nothing was kept of it"


KNOWN = """
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

def train(features, label, parameters, seed):
    prepare = ColumnTransformer([("known", OneHotEncoder(), ["carrier"])])
    return make_pipeline(prepare, LogisticRegression()).fit(features, label)
"""


def test_a_compiled_champion_that_refuses_what_it_has_not_seen_keeps_nobody_from_following_it(tmp_path: Path) -> None:
    only = {"features": ["carrier"]}
    directory = project(tmp_path / "p", KNOWN)
    champion = package_in(directory, run_steps(request(directory, spec(data=only, evaluate={"holdout": 0.5})), Told()))
    assert served(champion).format is Format.ONNX
    new = pl.when(pl.int_range(pl.len()) % 7 == 0).then(pl.lit("new")).otherwise("carrier").alias("carrier")
    declared = spec(data=only, gates=UNDECLARED)
    results = run_steps(request(project(directory, KNOWN, frame=rows().with_columns(new)), declared, champion=champion), Told())
    assert "the champion cannot be asked about the holdout" in difference(directory, results).note
    assert judged(directory, results, declared).actions[0].kind == "register"


def test_a_champion_whose_bytes_are_damaged_lets_no_challenger_through_unjudged(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    champion = tmp_path / "champion"
    copytree(package_in(directory, run_steps(request(directory, spec(evaluate={"holdout": 0.5})), Told())), champion)
    model = champion / "model" / "model.onnx"
    model.chmod(0o600)
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(ArtifactDamaged):
        run_steps(request(directory, spec(gates=UNDECLARED), champion=champion), Told())


BORROWED = """
from elsewhere_in_a_library import Naive

def train(features, label, parameters, seed):
    return Naive()
"""
LIBRARY = """
import numpy as np

class Naive:
    classes_ = np.array([0, 1])

    def predict(self, frame):
        return self.predict_proba(frame)[:, 1] > 0.5

    def predict_proba(self, frame):
        p = 1 / (1 + np.exp(-frame["wind"].to_numpy() / 10))
        return np.c_[1 - p, p]
"""


@pytest.mark.parametrize("waits", [True, False])
def test_one_whose_library_is_gone_keeps_nobody_from_its_place_unless_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    (library / "elsewhere_in_a_library.py").write_text(LIBRARY)
    monkeypatch.setenv("PYTHONPATH", f"{os.environ.get('PYTHONPATH', '')}:{library}")
    monkeypatch.syspath_prepend(library)
    whole = rows().with_columns(pl.col("wind").fill_null(3.0))
    declared = spec(data={"features": ["hour", "wind"]}, gates=UNDECLARED)
    directory = project(tmp_path / "p", BORROWED, frame=whole)
    first = package_in(directory, run_steps(request(directory, declared), Told()))
    monkeypatch.delitem(sys.modules, "elsewhere_in_a_library")
    shutil.rmtree(library)
    asked = request(project(directory, frame=whole), declared, champion=first)._replace(waits=waits)
    if not waits:
        with pytest.raises(TrainingError, match=r"the model of u.* failed"):
            run_steps(asked, Told())
        return
    found = difference(directory, run_steps(asked, Told()))
    assert found.value is None
    assert "who waits to be the first cannot be asked about the holdout: the model of u" in found.note


TEXT = pl.when(pl.col("hour") > 12).then(pl.lit("late")).otherwise(pl.lit("early"))


@pytest.mark.parametrize(("before", "now", "change"), [("category", "number", pl.col("hour")), ("number", "category", TEXT)])
@pytest.mark.parametrize("gates", [UNDECLARED, DECLARED])
def test_what_no_route_can_hold_beside_the_champion_is_refused_with_what_to_do(
    tmp_path: Path, before: str, now: str, change: pl.Expr, gates: dict[str, Any]
) -> None:
    """No gateway would take the release's table, so nothing would ever compare the two."""
    directory = project(tmp_path / "p")
    of = {"wind": "number", "carrier": "category"}
    champion = package_in(directory, run_steps(request(directory, spec(data={"features": {"hour": before, **of}})), Told()))
    (directory / "schema.yaml").unlink()
    rows().with_columns(change.alias("hour")).write_parquet(directory / "rows.parquet")
    declared = spec(data={"features": {"hour": now, **of}}, gates=gates)
    results = run_steps(request(directory, declared, champion=champion), Told())
    plan = judged(directory, results, declared)
    assert (plan.outcome, plan.actions[0].kind) == (Outcome.ERROR, "refuse")
    assert f"no release can bring it beside the champion: it takes 'hour' as {now}. Expected: {before}" in plan.rationale
    assert "give the feature of the new type a name of its own" in plan.rationale
    assert UNASKED not in {item.name for item in LocalPackages().evaluation(package_in(directory, results))}


def test_another_list_of_classes_is_refused_with_what_to_do(tmp_path: Path) -> None:
    three = {"task": "multiclass", "gates": UNDECLARED}
    of_two = rows().with_columns(pl.col("speed").replace("fast", "usual"))
    directory = project(tmp_path / "p", frame=of_two)
    declared = spec(data={"label": "speed"}, **three)
    champion = package_in(directory, run_steps(request(directory, declared), Told()))
    rows().write_parquet(directory / "rows.parquet")
    plan = judged(directory, run_steps(request(directory, declared, champion=champion), Told()), declared)
    assert (plan.outcome, plan.actions[0].kind) == (Outcome.ERROR, "refuse")
    assert "it answers multiclass (fast, slow, usual); new: fast. Expected: multiclass (slow, usual)" in plan.rationale
    assert "a project of its own (flyball init NAME)" in plan.rationale


@pytest.mark.parametrize(
    ("before", "now", "change", "words"),
    [
        ("category", "number", pl.col("hour"), "knows the feature hour as a category, and it is a number now"),
        ("number", "category", TEXT, "knows a feature as a number, whose values are texts now"),
    ],
)
def test_an_earlier_unit_that_knows_a_feature_as_another_kind_is_told_and_not_asked(
    tmp_path: Path, before: str, now: str, change: pl.Expr, words: str
) -> None:
    directory = project(tmp_path / "p")
    of = {"wind": "number", "carrier": "category"}
    declared = spec(data={"features": {"hour": before, **of}})
    unit = served(package_in(directory, run_steps(request(directory, declared), Told())))
    columns = [column for column in unit.signature.columns if column.name != "hour"]
    features = frame_of(rows(), columns).with_columns(rows().select(change.alias("hour"))["hour"])
    features = features.cast({"hour": pl.Float32}) if now == "number" else features
    asked = request(directory, declared)
    run = Run(asked, Told(), no_secrets, StepCache(asked.state_dir / "cache", Told()), surroundings(directory))
    with pytest.raises(DataError, match=words):
        answers_of(run, unit, features, unit.signature)
