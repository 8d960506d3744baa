"""What a run keeps, when it does work again, and what it says when it cannot."""

import asyncio
import json
import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from projects import AILING, AS_OF, LOGISTIC, TUNED, Told, package_in, project, request, rows, served, spec

from flyball.adapters.executor.files import JobFiles
from flyball.adapters.executor.process import STEP_CHILD
from flyball.adapters.packages import LocalPackages, checked_bytes
from flyball.adapters.scorer_onnx import PackageScorer
from flyball.adapters.steps import run_steps
from flyball.errors import DataError, FlyballError, RequestError, TrainingError
from flyball.gateway.columns import ColumnBuilder
from flyball.gateway.explaining import Attribution, Explainer, Progress
from flyball.gateway.runtimes.contract import CodeLimits
from flyball.gateway.validation import RowReader
from flyball.monitoring import drift, estimates, joint, window_counts
from flyball.monitoring import reference as references
from flyball.monitoring.policy import policy_of
from flyball.monitoring.window import Window
from flyball.records import codec
from flyball.records.background import FILE, MAX_ROWS, Background
from flyball.records.routing import ServedUnit
from flyball.records.signature import Unknown
from flyball.records.unit import Unit


def statuses(directory: Path, *arguments: object, **named: object) -> dict[str, str]:
    told = Told()
    run_steps(request(directory, *arguments, **named), told)
    return {progress.step: progress.status for progress in told if progress.status in ("cached", "done")}


def test_unchanged_data_are_not_trained_on_again(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    first = run_steps(request(directory), Told())
    told = Told()
    assert run_steps(request(directory), told) == first
    assert told.statuses("cached") == ["snapshot", "validate", "train", "evaluate", "package"]
    assert (directory / "schema.yaml").exists()


def test_a_fault_that_is_saved_in_flyball_yaml_fails_no_job_that_is_under_way(tmp_path: Path) -> None:
    """The request has the one that the controller has read."""
    directory = project(tmp_path / "p")
    wanted = request(directory)
    run_steps(wanted, Told())  # in the cache, so that the child has little to do
    (directory / "flyball.yaml").write_text("train: [\n")
    jobs = directory / ".flyball" / "jobs" / "j-0001"
    jobs.mkdir(parents=True)
    JobFiles(jobs).write_request(wanted)
    done = subprocess.run([*STEP_CHILD, str(jobs)], cwd=directory, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert JobFiles(jobs).results() is not None
    assert JobFiles(jobs).error() is None


@pytest.mark.parametrize(
    ("change", "first_done"),
    [
        (lambda directory: rows(seed=4).write_parquet(directory / "rows.parquet"), "snapshot"),
        (
            lambda directory: (directory / "schema.yaml").write_text(
                (directory / "schema.yaml").read_text().replace("integer", "number")
            ),
            "validate",
        ),
        (lambda directory: (directory / "more.py").write_text("x = 1"), "train"),
    ],
)
def test_a_change_is_worked_through_from_where_it_matters(tmp_path: Path, change, first_done: str) -> None:
    directory = project(tmp_path / "p")
    before = run_steps(request(directory), Told())
    change(directory)
    after = run_steps(request(directory), Told())
    renamed = [old.step for old, new in zip(before, after, strict=True) if old.key != new.key]
    assert renamed[0] == first_done
    assert renamed[-1] == "package"
    assert before[-1].values["run_key"] != after[-1].values["run_key"]


def edited(directory: Path, *changes: tuple[str, str]) -> None:
    text = (directory / "schema.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (directory / "schema.yaml").write_text(text)


def test_what_a_person_edits_in_the_schema_is_what_requests_are_held_against(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    run_steps(request(directory), Told())
    edited(
        directory,
        ("extra: refuse", "extra: ignore"),
        ("unknown: as_trained", "unknown: flag"),
        ("hour: {type: integer}", "hour: {type: integer, minimum: 0, maximum: 23}"),
        ("type: category\n", "type: category\n    missing: true\n    unknown: refuse\n"),
        ("[AA, B6, UA]", "[AA, B6, UA, WN]"),
    )
    package = package_in(directory, run_steps(request(directory), Told()))
    signature = LocalPackages().signature(package)
    hour, wind, carrier = signature.columns
    assert signature.extra == "ignore"
    assert (hour.minimum, hour.maximum, wind.minimum) == (0, 23, None)
    assert (carrier.unknown, carrier.missing, carrier.categories) == (Unknown.REFUSE, True, ("AA", "B6", "UA", "WN"))
    reader = RowReader(signature, 10)
    assert reader.read(b'{"rows": [{"hour": 7, "carrier": "WN", "more": 1}]}').n == 1
    with pytest.raises(RequestError) as refused:
        reader.read(b'{"rows": [{"hour": 7, "wind": 1, "carrier": "AAA"}, {"hour": 24}]}')
    assert [(each.path, each.found, each.expected, each.hint) for each in refused.value.faults] == [
        ("rows[0].carrier", '"AAA"', 'one of "AA", "B6", "UA", "WN" or null', "did you mean 'AA'?"),
        ("rows[1].hour", "24", "a whole number from 0 to 23", ""),
    ]


def test_a_package_holds_what_its_predictions_are_explained_against(tmp_path: Path) -> None:
    results = run_steps(request(project(tmp_path / "p")), Told())
    package = package_in(tmp_path / "p", results)
    manifest, signature = LocalPackages().manifest(package), LocalPackages().signature(package)
    background = codec.decode(checked_bytes(package, FILE), Background)
    assert {len(values) for values in background.columns.values()} == {MAX_ROWS - 10}  # every third of the holdout's 120 rows
    assert set(background.columns) == {"hour", "wind", "carrier"}
    assert None in background.columns["wind"]
    digest = results[-1].values["manifest_digest"]
    unit = Unit(id="u1", model="flights", version=1, manifest_digest=digest, threshold=None, policy_digest="")
    served = ServedUnit(unit=unit, package=str(package), format=manifest.format, signature=signature)
    explainer = Explainer(served, CodeLimits(environment=tuple(os.environ.items())))
    rows = [{"hour": 20, "wind": None, "carrier": "B6"}, {"hour": 6, "wind": 3.5, "carrier": "ZZ"}]
    table = ColumnBuilder(signature).of_rows(RowReader(signature, 9).read(json.dumps({"rows": rows}).encode()))

    async def explained() -> list[Attribution]:
        return await asyncio.to_thread(explainer.explain, table.columns, [0, 0], Progress())

    told = asyncio.run(explained())
    explainer.close()
    scores = PackageScorer().score(package, rows)[:, 0]
    assert [one.base + sum(one.fields.values()) for one in told] == pytest.approx(scores.tolist(), abs=1e-6)
    assert told[0].base == told[1].base
    assert told[0].fields["hour"] > 0 > told[1].fields["hour"]


@pytest.mark.parametrize(
    "fields",
    [
        {"hour": "drop", "wind": "hash", "carrier": "drop"},
        {"hour": {"sample": 0.1}, "wind": {"sample": 0.1}, "carrier": {"sample": 0.5}},
        {"hour": "drop", "wind": "drop"},
    ],
)
def test_a_version_of_which_capture_keeps_hardly_a_column_is_made_and_its_windows_are_judged(
    tmp_path: Path, fields: dict
) -> None:
    declared = spec(capture={"fields": fields})
    package = package_in(tmp_path / "p", run_steps(request(project(tmp_path / "p"), declared), Told()))
    reference = codec.decode(checked_bytes(package, references.FILE), references.Reference)
    hidden = {name for name, rule in fields.items() if rule in ("drop", "hash")}
    assert set(reference.names) == {"hour", "wind", "carrier", "prediction"} - hidden
    assert codec.decode(checked_bytes(package, joint.FILE), joint.Directions).names == ()
    scores = np.full((300, 1), 0.9)
    seen = window_counts.profile_of(reference, {}, scores, 300)
    window = Window(model="flights", unit="u1", start=AS_OF, end=AS_OF + timedelta(days=1))
    state = drift.DriftState()
    for _ in range(3):
        reading = drift.judge(reference, state, seen, window, policy_of(declared))
        state, window = reading.state, msgspec.structs.replace(window, start=window.end, end=window.end + timedelta(days=1))
    assert reading.distances["prediction"] > 0.3
    learned = codec.decode(checked_bytes(package, estimates.FILE), estimates.EstimationReference)
    assert set(learned.columns) == {"hour", "wind", "carrier"} - set(fields)


def test_a_latency_that_fails_its_gate_is_measured_again_by_the_next_run(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    strict = spec(gates={"latency_p99_ms": 1e-6})
    first = run_steps(request(directory, strict), Told())
    told = Told()
    again = run_steps(request(directory, strict), told)
    assert told.statuses("done") == ["package"]
    assert again[-1].values["run_key"] == first[-1].values["run_key"]
    assert again[-1].key == first[-1].key
    told = Told()
    run_steps(request(directory), told)
    assert told.statuses("done") == []


@pytest.mark.parametrize("file", ["lineage.json", ""], ids=["damaged", "gone"])
def test_a_package_that_is_not_whole_any_more_is_made_again_by_the_next_run(tmp_path: Path, file: str) -> None:
    directory = project(tmp_path / "p")
    first = run_steps(request(directory), Told())
    package = package_in(directory, first)
    if file:
        (package / file).write_text("{}")
    else:
        shutil.rmtree(package)
    told = Told()
    again = run_steps(request(directory), told)
    assert told.statuses("done") == ["package"]
    assert again[-1].key == first[-1].key
    assert LocalPackages().is_whole(package_in(directory, again), again[-1].values["manifest_digest"])


def test_rules_that_only_requests_meet_make_another_package_of_the_same_trained_model(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    before = run_steps(request(directory), Told())
    edited(directory, ("unknown: as_trained", "unknown: refuse"))
    told = Told()
    after = run_steps(request(directory), told)
    assert told.statuses("cached") == ["snapshot", "validate", "train", "evaluate"]
    assert told.statuses("done") == ["package"]
    assert before[-1].values["run_key"] != after[-1].values["run_key"]
    assert LocalPackages().signature(package_in(directory, after)).columns[2].unknown is Unknown.REFUSE


def test_numbers_that_training_did_not_see_are_refused_or_flagged_by_another_package_of_the_same_model(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    first = run_steps(request(directory), Told())
    assert [column.seen for column in LocalPackages().signature(package_in(directory, first)).columns] == [None, None, None]
    edited(
        directory,
        ("\nunknown: as_trained", "\noutside: flag\nunknown: as_trained"),
        ("hour: {type: integer}", "hour: {type: integer, outside: refuse}"),
    )
    told = Told()
    after = run_steps(request(directory), told)
    assert told.statuses("done") == ["package"]
    hour, wind, _ = LocalPackages().signature(package_in(directory, after)).columns
    trained = rows()
    assert (hour.minimum, hour.maximum, hour.seen) == (trained["hour"].min(), trained["hour"].max(), None)
    assert (wind.seen, wind.minimum) == (pytest.approx((trained["wind"].min(), trained["wind"].max()), rel=1e-6), None)
    reader = RowReader(LocalPackages().signature(package_in(directory, after)), 10_000)
    sent = trained.select("hour", "wind", "carrier").to_dicts()
    assert not reader.flags(reader.read(json.dumps({"rows": sent}).encode()))  # what it saw, in double precision
    sent[3]["wind"] = trained["wind"].max() * 1.00001
    assert list(reader.flags(reader.read(json.dumps({"rows": sent}).encode()))) == [3]


def test_a_jobs_parameters_and_history_are_part_of_its_keys(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    plain = run_steps(request(directory), Told())
    other = run_steps(request(directory, parameters={"C": 0.01}), Told())
    assert [old.step for old, new in zip(plain, other, strict=True) if old.key != new.key] == ["train", "evaluate", "package"]
    assert other[2].values["parameters"] == {"C": 0.01}
    short = run_steps(request(directory, history="20d"), Told())
    assert short[0].values["rows"] < plain[0].values["rows"]


def test_whom_it_is_compared_with_does_not_make_it_another_run(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    alone = run_steps(request(directory), Told())
    package = package_in(directory, alone)
    beside = run_steps(request(directory, champion=package), Told())
    assert beside[-1].values["run_key"] == alone[-1].values["run_key"]
    evidence = {item.name: item for item in LocalPackages().evaluation(package_in(directory, beside))}
    assert evidence["log_loss_difference"].value == pytest.approx(0.0, abs=1e-6)
    assert evidence["log_loss_difference"].alpha == 0.05
    assert statuses(directory, champion=package) == dict.fromkeys(
        ["snapshot", "validate", "train", "evaluate", "package"], "cached"
    )


@pytest.mark.parametrize(("newest", "compared"), [(0, 0), (150, 150)])
def test_a_champion_that_knows_the_holdout_is_compared_with_on_the_other_rows_alone(
    tmp_path: Path, newest: int, compared: int
) -> None:
    whole = rows(900, days=60)
    directory = project(tmp_path / "p", frame=whole.head(900 - newest))
    declared = spec(evaluate={"refit": True, "holdout": 0.3})
    champion = package_in(directory, run_steps(request(directory, declared), Told()))
    whole.write_parquet(directory / "rows.parquet")
    results = run_steps(request(directory, declared, champion=champion, parameters={"C": 0.5}), Told())
    evidence = {item.name: item for item in LocalPackages().evaluation(package_in(directory, results))}
    assert evidence["champion_unseen_rows"].value == pytest.approx(compared, abs=0.1)
    assert evidence["champion_unseen_rows"].n == evidence["log_loss"].n > 200
    assert {result.step: result.values for result in results}["evaluate"]["champion"] == served(champion).unit.id
    if compared:
        assert evidence["log_loss_difference"].n == evidence["champion_log_loss"].n == compared
    else:
        assert evidence["log_loss_difference"].value is None
        assert "0 are too few to compare on" in evidence["log_loss_difference"].note


def test_a_model_that_fails_on_rows_that_training_did_not_ask_is_told_in_words(tmp_path: Path) -> None:
    directory = project(tmp_path / "p", AILING.replace("AILMENT", "len(frame) > 100"))
    with pytest.raises(TrainingError, match="the Ailing of pipeline:train failed: ValueError"):
        run_steps(request(directory), Told())


def test_the_holdout_is_never_trained_on(tmp_path: Path) -> None:
    code = LOGISTIC.replace("    numbers =", "    features.write_parquet(__file__ + '.seen')\n    numbers =", 1)
    directory = project(tmp_path / "p", code)
    results = run_steps(request(directory, spec(train=TUNED)), Told())
    seen = pl.read_parquet(directory / "pipeline.py.seen")
    assert seen.height == results[2].values["rows"] == results[0].values["rows"] - results[2].values["holdout_rows"]
    # Five values of `wind` that only the holdout has:
    newest = rows()["wind"].drop_nulls().tail(5).cast(pl.Float32)
    assert not newest.is_in(seen["wind"].to_list()).any()


def test_what_was_judged_is_fitted_once_more_on_all_rows_where_it_is_asked_for(tmp_path: Path) -> None:
    code = LOGISTIC.replace("    numbers =", "    features.write_parquet(f'{__file__}.{features.height}')\n    numbers =", 1)
    directory = project(tmp_path / "p", code)
    once = run_steps(request(directory, spec(train=TUNED)), Told())
    trained = once[2].values["rows"]
    all_rows = once[0].values["rows"]
    assert not (directory / f"pipeline.py.{all_rows}").exists()
    refit = spec(train=TUNED, evaluate={"refit": True})
    again = run_steps(request(directory, refit), Told())
    assert [each.step for each in again] == [*(each.step for each in once[:-1]), "refit", "package"], "what it took is told, too"
    assert again[:-2] == once[:-1], "whoever is judged is the same model, by the same rows"
    assert pl.read_parquet(directory / f"pipeline.py.{all_rows}").height == all_rows > trained
    packages = [package_in(directory, results) for results in (once, again)]
    lineages = [LocalPackages().lineage(package) for package in packages]
    assert lineages[0].run_key != lineages[1].run_key
    assert lineages[0].parameters == lineages[1].parameters
    assert lineages[0].fitted_until < lineages[1].fitted_until == lineages[1].snapshot.until
    evaluations = [{each.name: each.value for each in LocalPackages().evaluation(package)} for package in packages]
    assert evaluations[0]["log_loss"] == evaluations[1]["log_loss"]
    references = [(package / "reference.json").read_bytes() for package in packages]
    assert references[0] == references[1], "what it is monitored by comes from answers to rows that it had not seen"
    told = Told()
    assert run_steps(request(directory, refit), told) == again
    assert told.statuses("done") == []


def test_tuning_finds_the_same_parameters_each_time(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        told = Told()
        results = run_steps(request(project(tmp_path / name), spec(train=TUNED)), told)
        found.append((results[2].values["parameters"], results[2].values["trials"]))
        trials = [progress for progress in told if "trial" in progress.words]
        assert len(trials) == 4
        assert 0 < trials[0].fraction < trials[-1].fraction < 1
    assert found[0] == found[1]
    assert 0.001 <= found[0][0]["C"] <= 10


def test_a_package_knows_where_it_came_from(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    results = run_steps(request(directory), Told())
    package = package_in(directory, results)
    lineage = LocalPackages().lineage(package)
    assert lineage.run_key == results[-1].values["run_key"]
    assert codec.plain(lineage.snapshot) == results[0].values["snapshot"]
    assert (lineage.seed, lineage.parameters, lineage.git_commit) == (1, {}, None)
    assert {path.name for path in package.iterdir()} == {
        "manifest.json", "signature.json", "reference.json", "lineage.json", "evaluation.json", "background.json", "model",
        "calibration.json", "estimation.json", "harm.json", "joint.json", "norms.json", "slices.json",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def train(features, label, parameters, seed):\n    return 1 / 0\n", "pipeline:train failed: ZeroDivisionError"),
        ("def train(features, label, parameters, seed):\n    pass\n", "gave a NoneType.*return model"),
        (
            "class Half:\n    def predict_proba(self, rows): ...\ndef train(features, label, parameters, seed):\n    return Half()\n",
            r"gave a Half with predict_proba and without predict\. .*add predict\(self, features\) to Half",
        ),
        ("def trian(features, label, parameters, seed):\n    pass\n", "no function 'train'.*did you mean 'trian'"),
        ("import nothing_like_this\n", "could not be imported: ModuleNotFoundError"),
        ("def train(:\n", "could not be imported: SyntaxError"),
        (
            "from sklearn.svm import LinearSVC\ndef train(features, label, parameters, seed):\n    return LinearSVC().fit(features.select('hour'), label)\n",
            "LinearSVC gives no probabilities",
        ),
        (
            "from sklearn.dummy import DummyClassifier\ndef train(features, label, parameters, seed):\n    return DummyClassifier().fit(features, label + 5)\n",
            "knows the classes \\[.*5.*6.*\\].*indices 0 to 1",
        ),
    ],
)
def test_a_users_mistake_in_training_is_told_in_words(tmp_path: Path, code: str, words: str) -> None:
    told = Told()
    with pytest.raises(TrainingError, match=words):
        run_steps(request(project(tmp_path / "p", code)), told)
    assert told[-1].status == "failed"
    assert told[-1].seconds > 0, "what it cost is known"
    assert told[-1].step == "train"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("def train(features, label, parameters, seed):\n    raise ValueError('hunter2')\n", "ValueError at pipeline.py:2"),
        ("import sys\ndef train(features, label, parameters, seed):\n    sys.exit('hunter2')\n", "SystemExit at pipeline.py:3"),
        ("raise ValueError('hunter2')\n", "ValueError at pipeline.py:1"),
        ("import sys\nsys.exit('hunter2')\n", "SystemExit at pipeline.py:2"),
        ("def train(:\n", "SyntaxError at pipeline.py:1"),
        (
            "class Model:\n    def predict(self, rows):\n        raise ValueError('hunter2')\n\ndef train(features, label, parameters, seed):\n    return Model()\n",
            "ValueError at pipeline.py:3",
        ),
    ],
)  # fmt: skip
def test_what_the_users_code_says_is_kept_out_of_the_message_and_its_place_is_in_it(tmp_path: Path, code: str, kind: str) -> None:
    with pytest.raises(TrainingError) as raised:
        run_steps(request(project(tmp_path / "p", code)), Told())
    assert kind in raised.value.message
    assert "hunter2" not in raised.value.message
    assert "hunter2" in raised.value.detail or "SyntaxError" in kind


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pl.lit(1).alias("late"), "the label 'late' has a single class \\(1\\)"),
        ((pl.int_range(pl.len()) < 300).cast(pl.Int64).alias("late"), "single class in the holdout"),
        (pl.lit(None, dtype=pl.Float64).alias("wind"), "the feature 'wind' is null in all"),
        (pl.col("id").alias("late"), "600 classes|classes \\(f0"),
        (pl.col("at").alias("hour"), "the column 'hour' is of type"),
    ],
)
def test_data_that_cannot_be_learnt_from_are_told_in_words(tmp_path: Path, change: pl.Expr, words: str) -> None:
    directory = project(tmp_path / "p", frame=rows().with_columns(change))
    told = Told()
    with pytest.raises(DataError, match=words):
        run_steps(request(directory), told)
    assert told[-1].status == "failed"


def test_a_label_that_is_no_number_is_refused_for_regression(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'speed' has 600 values that are not numbers"):
        run_steps(request(project(tmp_path / "p"), spec(task="regression", data={"label": "speed", "label_delay": None})), Told())


def test_every_message_is_for_a_person(tmp_path: Path) -> None:
    with pytest.raises(FlyballError) as refused:
        run_steps(request(project(tmp_path / "p"), spec(data={"label": "lat"})), Told())
    assert "did you mean 'late'" in refused.value.message
    assert "Traceback" not in refused.value.message
