"""Metrics of answers are of those that will be served; what was measured at another threshold is not taken from the cache."""

from pathlib import Path

import msgspec
import polars as pl
import pytest
from projects import TUNED, Told, package_in, project, request, rows, served, spec
from sklearn.metrics import f1_score

from flyball.adapters.packages import LocalPackages
from flyball.adapters.steps import evaluate, run_steps
from flyball.control.ports import StepRequest
from flyball.errors import TrainingError
from flyball.records.evidence import Evidence
from flyball.records.jobs import StepResult

STEPS = ["snapshot", "validate", "train", "evaluate", "package"]


def cached(wanted: StepRequest) -> tuple[list[str], dict[str, StepResult]]:
    told = Told()
    results = run_steps(wanted, told)
    return told.statuses("cached"), {result.step: result for result in results}


def evidence_in(directory: Path, results: dict[str, StepResult]) -> dict[str, Evidence]:
    return {each.name: each for each in LocalPackages().evaluation(package_in(directory, [*results.values()]))}


def at(threshold: float | None, **more: object) -> object:
    return spec(serve={} if threshold is None else {"threshold": threshold}, **more)


def test_the_holdout_is_measured_at_the_declared_threshold_and_another_one_measures_anew(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    _, plain = cached(request(directory, at(None)))
    assert cached(request(directory, at(0.5))) == (STEPS, plain)
    done, low = cached(request(directory, at(0.2)))
    assert done == ["snapshot", "validate", "train"]
    assert cached(request(directory, at(0.2)))[0] == STEPS
    found, before = evidence_in(directory, low), evidence_in(directory, plain)
    kept = directory / ".flyball" / "cache" / f"evaluate-{low['evaluate'].key[:16]}" / evaluate.SCORES
    scores = pl.read_parquet(kept).to_numpy()[:, 0]
    labels = rows().sort("at")["late"].to_numpy()[-len(scores) :]
    assert found["f1"].value == pytest.approx(f1_score(labels, scores >= 0.2))
    assert found["f1"].method.endswith(", positive from 0.2 on")
    assert before["f1"].value == pytest.approx(f1_score(labels, scores >= 0.5))
    assert found["f1"].value != before["f1"].value
    assert {name: found[name] for name in ("log_loss", "brier", "roc_auc")} == {
        name: before[name] for name in ("log_loss", "brier", "roc_auc")
    }
    # the same model, whatever its unit's threshold is
    packages = LocalPackages()
    of_plain, of_low = (packages.lineage(package_in(directory, [*each.values()])) for each in (plain, low))
    assert (of_plain.run_key, of_plain.threshold, of_low.threshold) == (of_low.run_key, None, 0.2)


def test_the_champion_is_measured_at_its_units_threshold(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    _, first = cached(request(directory, at(0.2)))
    champion = served(package_in(directory, [*first.values()]))
    keys = set()
    for threshold in (0.5, 0.2, 0.7):
        unit = msgspec.structs.replace(champion.unit, threshold=threshold)
        beside = request(directory, at(0.2))._replace(champion=msgspec.structs.replace(champion, unit=unit))
        _, results = cached(beside)
        found = evidence_in(directory, results)
        scores = pl.read_parquet(directory / ".flyball" / "cache" / f"evaluate-{first['evaluate'].key[:16]}" / evaluate.SCORES)
        labels = rows().sort("at")["late"].to_numpy()[-len(scores) :]
        assert found["champion_f1"].value == pytest.approx(f1_score(labels, scores.to_numpy()[:, 0] >= threshold))
        assert found["f1_difference"].value == pytest.approx(found["f1"].value - found["champion_f1"].value)
        keys.add(results["evaluate"].key)
    assert len(keys) == 3


def test_parameters_are_tuned_by_the_answers_that_will_be_served(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    by_f1 = {**TUNED, "tuning": {**TUNED["tuning"], "metric": "f1"}}
    _, plain = cached(request(directory, at(None, train=by_f1)))
    done, low = cached(request(directory, at(0.2, train=by_f1)))
    assert "train" not in done
    told = [[trial["f1"] for trial in results["train"].values["trials"]] for results in (plain, low)]
    assert told[0] != told[1]
    cached(request(directory, at(None, train=TUNED)))
    assert "train" in cached(request(directory, at(0.2, train=TUNED)))[0]


def words_of(told: Told) -> list[str]:
    return [each.words for each in told if each.step == "evaluate"]


OWN = """
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
import polars as pl

def only_numbers(frame):
    return frame.select(pl.selectors.float()).fill_nan(0.0).to_numpy()

def train(features, label, parameters, seed):
    model = FixedThresholdClassifier(LogisticRegression(), threshold=0.1)
    return make_pipeline(FunctionTransformer(only_numbers), model).fit(features, label)
"""


def test_a_threshold_inside_the_model_is_passed_over_only_where_flyball_yaml_says_which_one_counts(tmp_path: Path) -> None:
    directory = project(tmp_path / "p", OWN)
    told = Told()
    run_steps(request(directory, at(0.1)), told)
    assert not [each for each in words_of(told) if "warning" in each]
    run_steps(request(directory, at(0.5)), told)  # the metrics are the same, and so may be the key
    for _ in range(2):  # also where the evaluation is kept
        with pytest.raises(TrainingError, match=r"threshold of its own, 0\.1") as refused:
            run_steps(request(directory, at(None)), Told())
        assert "serve: {threshold: 0.1}" in refused.value.next_step


def test_a_threshold_that_was_tuned_on_single_precision_is_found(tmp_path: Path) -> None:
    """scikit-learn gives it as a float32."""
    tuned = "TunedThresholdClassifierCV(LogisticRegression(), scoring='recall')"
    own = OWN.replace("FixedThresholdClassifier(LogisticRegression(), threshold=0.1)", tuned)
    own = own.replace("FixedThresholdClassifier", "TunedThresholdClassifierCV")
    with pytest.raises(TrainingError, match=r"threshold of its own, 0\.\d+") as refused:
        run_steps(request(project(tmp_path / "p", own), at(None)), Told())
    assert "write `serve: {threshold: 0." in refused.value.next_step


def test_another_threshold_than_the_models_is_told_where_it_is_declared(tmp_path: Path) -> None:
    told = Told()
    run_steps(request(project(tmp_path / "p", OWN), at(0.4)), told)
    (words,) = [each for each in words_of(told) if each.startswith("warning: predict says yes")]
    assert "by its own threshold, 0.1" in words
    assert "from 0.4 on" in words


def test_a_model_that_divides_at_one_half_is_not_spoken_of(tmp_path: Path) -> None:
    told = Told()
    run_steps(request(project(tmp_path / "p"), at(None)), told)
    assert not [each for each in words_of(told) if "warning" in each]
