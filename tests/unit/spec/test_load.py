"""flyball.yaml is answered with the project, or with every fault at once."""

import contextlib
import copy
import json
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.errors import NotFound, SpecError
from flyball.spec.faults import HIGHER
from flyball.spec.fields import LONGEST, format_duration, parse_duration
from flyball.spec.load import load_project, parse_project
from flyball.stats.metrics import HIGHER_IS_BETTER

GOOD = """
project: shop
model: returns
task: binary
data:
  source: {files: "data/*.csv"}
  time: ordered_at
  key: order_id
  label: returned
  label_delay: 14d
  features: {amount: number, category: category, hour: }
train:
  entrypoint: pipeline:train
"""

TEN = """
project: shop
model: returns
task: binary
colour: blue
data:
  source: {files: "data/*.csv", loader: "pipeline:load"}
  time: ordered_at
  label: returned
  label_delay: 14 days
  features: {amount: number}
train:
  entrypoint: pipeline:train
  seed: "7"
evaluate:
  metrics: [auc]
release:
  steps: [{traffic: 50%}, {traffic: 10%}]
monitor:
  mature_share: much
policies:
  - {name: worse, when: performance.alrm, do: retrian}
"""


def faults_of(text: str) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        parse_project(text)
    return {fault.path: str(fault) for fault in caught.value.faults}


def with_line(line: str) -> str:
    return GOOD + line + "\n"


def test_a_good_file_is_the_project_it_says() -> None:
    spec = parse_project(GOOD)
    assert (spec.project, spec.model, spec.primary_metric) == ("shop", "returns", "log_loss")
    assert spec.data.label_delay == timedelta(days=14)
    assert spec.data.feature("hour").type is None


def test_ten_faults_are_ten_messages_in_one_run() -> None:
    faults = faults_of(TEN)
    assert len(faults) == 10
    assert faults["colour"].startswith("colour: found an unknown key (line 5), expected one of project, model, task, data")
    assert (
        faults["data.source"] == "data.source: found files and loader (line 7), expected exactly one of files, delta, sql, loader"
    )
    assert faults["data.key"] == "data.key: found nothing (line 6), expected text (it must be given)"
    assert faults["data.label_delay"].endswith(
        "found '14 days' (line 10), expected a duration such as 30m, 12h, 1d or 2w. did you mean 14d?"
    )
    assert faults["train.seed"] == "train.seed: found '7' (line 14), expected a whole number. Without quotes: 7"
    assert faults["evaluate.metrics[0]"].endswith("did you mean roc_auc?")
    assert "found '10%' (line 18), expected more than 0.5 (the step before)" in faults["release.steps[1].traffic"]
    assert faults["monitor.mature_share"].endswith("found 'much' (line 20), expected a share such as 10% or 0.1")
    assert "did you mean performance.alarm?" in faults["policies[0].when"]
    assert faults["policies[0].do"].endswith(
        "expected one of retrain, improve, recalibrate, rethreshold, reactivate, roll_back, stop, notify, ask. did you mean retrain?"
    )


def test_faults_come_in_the_order_of_the_file() -> None:
    lines = [int(match) for fault in faults_of(TEN).values() for match in re.findall(r"line (\d+)", fault)[:1]]
    assert lines == sorted(lines)


@pytest.mark.parametrize(("written", "read"), [("20%", 0.2), ("0.2", 0.2), ("30d", timedelta(days=30))])
def test_a_holdout_is_a_share_or_a_duration(written: str, read: float | timedelta) -> None:
    assert parse_project(with_line(f"evaluate: {{holdout: {written}}}")).evaluate.holdout == read


def test_an_unknown_signal_in_a_condition_is_told_with_the_one_that_was_meant() -> None:
    fault = faults_of(with_line("policies: [{name: worse, when: 'performance.alrm && champion.age_days > 7', do: retrain}]"))
    assert list(fault) == ["policies[0].when"]
    assert "performance.alarm" in fault["policies[0].when"]


def test_a_condition_that_is_no_condition_is_told_beside_other_faults() -> None:
    fault = faults_of(with_line("colour: red\npolicies: [{name: worse, when: 'drift.features > ', do: retrain}]"))
    assert set(fault) == {"colour", "policies[0].when"}


REWARD = "guards: [{metric: reward, between: [0, 1]}]"


@pytest.mark.parametrize(
    "line",
    [
        "release: {shadow: {at_least: 7d}, labels: while_watching, watch_at_most: 8d}",
        "release: {shadow: {at_least: 10m, at_most: 30m}, labels: never, watch_at_most: 8d}",
        "release: {watch: 0s, watch_at_most: 1d}",
        f"release: {{strategy: ab, labels: never, {REWARD}}}",
        f"release: {{steps: [{{traffic: 10%, at_most: 15d}}, {{traffic: 50%, at_most: 2d}}], {REWARD}}}",
    ],
)
def test_phases_that_can_pass_in_their_time_are_no_fault(line: str) -> None:
    parse_project(with_line(line))


@pytest.mark.parametrize(
    ("line", "path", "words"),
    [
        ("evaluate: {primary: rmse}", "evaluate.primary", "a metric that fits the task binary"),
        ("gates: {absolute: [{metric: brier}]}", "gates.absolute[0]", "found no bound"),
        ("gates: {absolute: [{metric: brier, at_least: 0.1, at_most: 0.2}]}", "gates.absolute[0]", "exactly one of at_least, at_most"),
        ("gates: {absolute: [{metric: log_loss, at_least: 0.3}]}", "gates.absolute[0].at_least", "of which less is better"),
        ("gates: {absolute: [{metric: f1, at_most: 0.3}]}", "gates.absolute[0].at_most", "did you mean at_least?"),
        ("gates: {absolut: []}", "gates.absolut", "did you mean absolute?"),
        ("release: {shadow: {at_least: 30d, at_most: 20d}}", "release.shadow.at_least", "found 30d, longer than at_most (20d)"),
        ("release: {steps: [{traffic: 100%}]}", "release.steps[0].traffic", "less than 1"),
        ("release: {strategy: ab}", "release.strategy", "Add to release.guards: {metric: reward, between:"),
        ("release: {strategy: bandit, bandit: {least: 5%}}", "release.strategy", "without a guard of the metric reward"),
        ("release: {strategy: ab, steps: [{traffic: 10%}, {traffic: 50%}], guards: [{metric: reward, between: [0, 1]}]}", "release.steps", "found 2 with strategy ab"),
        ("release: {strategy: blue_green, steps: [{traffic: 10%}]}", "release.steps", "expected no steps"),
        ("release: {bandit: {least: 5%}}", "release.bandit", "expected strategy: bandit"),
        ("release: {shadow: null, steps: []}", "release.shadow", "found none, and no step"),
        ("release: {shadow: null, strategy: blue_green}", "release.shadow", "labels: while_watching or never"),
        ("release: {watch_at_most: 3d}", "release.watch_at_most", "found 3d, shorter than watch"),
        ("release: {strategy: bandit, guards: [{metric: reward, between: [0, 1]}], bandit: {every: 0s}}", "release.bandit", "`every` longer than nothing"),
        ("release: {drill: 0s}", "release.drill", "found '0s' (line 14), expected a duration of 1m or longer"),
        ("release: {alpha: 0%}", "release.alpha", "expected more than 0"),
        ("release: {guards: [{metric: reward}]}", "release.guards[0].between", "[least, most]"),
        ("release: {guards: [{metric: reward, between: [5, 1]}]}", "release.guards[0].between", "found [5, 1]"),
        ("release: {guards: [{metric: reward, between: [0, 1, 2]}]}", "release.guards[0].between", "found 3 numbers"),
        ("release: {guards: [{metric: calibration, between: [0, 1]}]}", "release.guards[0].between", "belongs to the metric reward"),
        ("release: {guards: [{metric: loss, slice: nights}]}", "release.guards[0].slice", "none is declared"),
        ("release: {guards: [{metric: calibration, slice: nights}]}", "release.guards[0].slice", "the metric loss alone"),
        ("release: {guards: [{metric: score_shape, must: pass}]}", "release.guards[0].must", "expected not_fail"),
        ("release: {guards: [{metric: disagreement, margin: -1%}]}", "release.guards[0].margin", "expected 0 or more"),
        ("release: {guards: [{metric: loss}]}", "release.guards[0].metric", "Its margin is release.margin"),
        ("release: {guards: [{metric: calibration}, {metric: calibration}]}", "release.guards[1].metric", "again"),
        ("release: {shadow: {at_most: 7d}}", "release.shadow.at_most", "no label counts before data.label_delay (2w)"),
        ("release: {shadow: null, steps: [{traffic: 10%, at_most: 7d}]}", "release.steps[0].at_most", "longer than data.label_delay"),
        ("release: {shadow: {at_most: 30m}, labels: never}", "release.shadow.at_most", "found 30m, shorter than at_least (1h where nothing is said)"),
        ("release: {steps: [{traffic: 10%, at_most: 30m}]}", "release.steps[0].at_most", "at_least ≤ at_most"),
        ("release: {steps: [{traffic: 10%, at_most: 0s}]}", "release.steps[0].at_most", "found 0s, shorter than at_least (1h where nothing is said)"),
        (f"release: {{labels: never, steps: [{{traffic: 10%, at_least: 0s, at_most: 0s}}], {REWARD}}}", "release.steps[0].at_most", "no reward counts before"),
        ("release: {labels: while_watching, watch_at_most: 8d}", "release.watch_at_most", "no label counts before data.label_delay (2w)"),
        (f"release: {{labels: never, steps: [{{traffic: 10%, at_most: 2d}}], {REWARD}}}", "release.steps[0].at_most", "no reward counts before data.label_delay (2w)"),
        ("release: {strategy: blue_green, guards: [{metric: latency_shape}]}", "release", "a step where latency_shape can be measured"),
        ("policies: [{name: a, when: drift.alarm, do: notify}, {name: a, when: drift.alarm, do: ask}]", "policies[1].name", "policies[0]"),
        ("policies: [{name: a, when: drift.alarm, do: {action: retrain, entrants: [all]}}]", "policies[0].do.entrants", "only with action: improve"),
        ("policies: [{name: a, when: drift.alarm, do: {action: roll_back, on_faults: true}}]", "policies[0].do.on_faults", "one that fits something"),
        ("policies: [{name: a, when: drift.alarm, do: {action: improve, entrants: [retune]}}]", "policies[0].do", "train.tuning, which says what is sought"),
        ("policies: [{name: a, when: drift.alarm, do: [retrain, notify]}]", "policies[0].do", "Two actions are two policies"),
        ("policies: [{name: a, when: drift.alarm, do: {action: [retrain]}}]", "policies[0].do.action", "a list of 1"),
        ("policies: [{name: a, when: drift.alarm, do: {action: improve, entrants: [[all]]}}]", "policies[0].do.entrants[0]", "a list of 1"),
        ("policies: [{name: a, when: drift.alarm, do: ask, budget: 3 per 0s}]", "policies[0].budget", "a duration longer than nothing"),
        ("policies: [{name: a, when: drift.alarm, do: {action: retrain, history: 0s}}]", "policies[0].do.history", "longer than nothing or one of"),
        ("autopilot: {breaker: {within: 0d}}", "autopilot.breaker.within", "found '0d' (line 14), expected a duration longer than nothing"),
        ("monitor: {window: 0s}", "monitor.window", "longer than nothing"),
        ("cost: {error: 0}", "cost.error", "more than 0"),
        ("cost: {training_minute: 1.0e+300}", "cost.training_minute", "at most 1e+12"),
        ("serve: {fallback: 0}", "serve.fallback", "at least 1"),
        ("policies: [{name: a, when: drift.alarm, do: {action: notify, history: 3d}}]", "policies[0].do.history", "only with action: retrain"),
        ("monitor: {false_alarms: often}", "monitor.false_alarms", "1 per 90 windows"),
        ("monitor: {margin: 0.1}", "monitor.margin", "did you mean"),
        ("serve: {tick: 0s}", "serve.tick", "longer than nothing"),
        ("serve: {deadline: 50m}", "serve.deadline", "found '50m' (line 14), expected a duration from 0.1s to 8s"),
        ("serve: {deadline: 5}", "serve.deadline", "found 5 (line 14), expected a duration such as"),
        ("serve: {memory_mb: 8GB}", "serve.memory_mb", "found '8GB' (line 14), expected a whole number"),
        ("serve: {memory_mb: 100}", "serve.memory_mb", "at least 1024"),
        ("serve: {memory: 8192}", "serve.memory", "did you mean memory_mb?"),
        ('serve: {host: ""}', "serve.host", "an address such as 127.0.0.1, or 0.0.0.0 for every interface"),
        ('serve: {host: "a\\0b"}', "serve.host", "an address such as 127.0.0.1"),
        ("replay: {train_until: '9999-12-31T23:59:59-05:00'}", "replay.train_until", "in the years 1 to 9999 in UTC"),
        ("replay: {train_until: 0001-01-01T00:00:00+05:00}", "replay.train_until", "in the years 1 to 9999 in UTC"),
        ("serve: {port: 99999}", "serve.port", "at most 65535"),
        ("serve: {port: true}", "serve.port", "found true (line 14), expected a whole number"),
        ("release: {watch: 99999999999999999999d}", "release.watch", "a hundred years"),
        ("tracking_url: ftp://me:secret@host", "tracking_url", "found 'ftp://…@host'"),
        ("tracking_url: https://me:secret@host", "tracking_url", "found 'https://…@host' (line 14), expected a URL without name and password: they stand in MLFLOW_"),
        ("serve: []", "serve", "found an empty list (line 14), expected a section"),
        ("model: other", "model", "the key twice (lines 3 and 14)"),
        ("policies: !!python/object/apply:os.system [ls]", "policies", "the tag tag:yaml.org,2002:python/object/apply:os.system"),
        ("serve: {? [a] : 1}", "serve.?", "text as a key"),
    ],
)  # fmt: skip
def test_a_fault_names_its_path_and_what_belongs_there(line: str, path: str, words: str) -> None:
    faults = faults_of(with_line(line))
    assert list(faults) == [path]
    assert words in faults[path]


@pytest.mark.parametrize(
    "line",
    [
        "gates: {absolute: [{metric: roc_auc, at_least: 0.7}, {metric: roc_auc, at_most: 0.999}]}",
        "gates: {absolute: [{metric: log_loss, at_least: 0.01}, {metric: log_loss, at_most: 0.4}]}",
        "tracking_url: https://host:5000/teams/a@b",
        "tracking_url: https://host?team=a@b",
    ],
)
def test_what_is_not_too_good_to_be_true_and_an_at_in_a_path_are_no_faults(line: str) -> None:
    assert parse_project(with_line(line))


@pytest.mark.parametrize(
    ("task", "line", "path", "words"),
    [
        ("regression", "policies: [{name: a, when: drift.alarm, do: rethreshold}]", "policies[0].do", "task: binary, whose one score"),
        ("multiclass", "policies: [{name: a, when: drift.alarm, do: {action: improve, entrants: [all, rethreshold]}}]", "policies[0].do", "task: binary"),
        ("regression", "serve: {threshold: 0.4}", "serve.threshold", "no threshold: it divides the score of task: binary"),
    ],
)  # fmt: skip
def test_what_two_classes_alone_have_is_refused_elsewhere(task: str, line: str, path: str, words: str) -> None:
    written = with_line(line)
    assert "task: binary" in written
    faults = faults_of(written.replace("task: binary", f"task: {task}"))
    assert list(faults) == [path]
    assert words in faults[path]


@pytest.mark.parametrize(
    ("line", "path", "words"),
    [
        ("evaluate: {holdout: 0}", "evaluate.holdout", "found 0 (line 14), expected a share between 0 and 1, both excluded, or a duration"),
        ("evaluate: {holdout: 100%}", "evaluate.holdout", "found '100%'"),
        ("evaluate: {holdout: 0d}", "evaluate.holdout", "found '0d'"),
        ("gates: {absolute: [{metric: roc_auc, at_least: 60}]}", "gates.absolute[0].at_least", "expected from 0 to 1, as the metric. did you mean 0.6?"),
        ("gates: {absolute: [{metric: brier, at_most: -0.1}]}", "gates.absolute[0].at_most", "found -0.1 with brier"),
        ("serve: {port: 9000, grpc_port: 9000}", "serve.grpc_port", "found 9000, as serve.port (line 14)"),
        ("serve: {port: 9000, control_port: 9000}", "serve.control_port", "found 9000, as serve.port (line 14)"),
    ],
)  # fmt: skip
def test_what_can_never_work_is_a_fault_of_its_line(line: str, path: str, words: str) -> None:
    faults = faults_of(with_line(line))
    assert list(faults) == [path]
    assert words in faults[path]


@pytest.mark.parametrize("line", [
    "serve: {port: 0, grpc_port: 0, control_port: 0}", "serve: {port: 8401, control_port: 8401, host: 10.0.0.7}", "serve: {port: 8401}", "evaluate: {holdout: 1d}",
    "gates: {absolute: [{metric: log_loss, at_most: 2}, {metric: brier, at_most: 1}]}",
])  # fmt: skip
def test_what_may_work_is_no_fault(line: str) -> None:
    assert parse_project(with_line(line))


@pytest.mark.parametrize(
    ("before", "after", "path", "words"),
    [
        ("amount: number", "amount: {minimum: 5, maximum: 1}", "data.features.amount.minimum", "found 5, more than maximum (1) (line 11), expected minimum ≤ maximum"),
        ("category: category", "category: {type: category, maximum: 3}", "data.features.category.maximum", "found 3 on a category (line 11), expected no maximum"),
        ("key: order_id", "key: returned", "data.key", "found 'returned', which is the label (line 8)"),
        ("label_delay: 14d", "label_time: returned", "data.label_time", "found 'returned', which is the label (line 10)"),
        ("train:\n", "train:\n  tuning: {trials: 1000000000, space: {C: [1, 2]}}\n", "train.tuning.trials", "at most 10000"),
    ],
)  # fmt: skip
def test_columns_and_searches_that_can_never_work_are_faults(before: str, after: str, path: str, words: str) -> None:
    faults = faults_of(GOOD.replace(before, after, 1))
    assert list(faults) == [path]
    assert words in faults[path]


def test_a_release_that_waits_for_labels_afterwards_may_be_shorter_than_their_delay() -> None:
    assert parse_project(with_line("release: {labels: while_watching, shadow: {at_most: 7d}}")).release.shadow


@pytest.mark.parametrize("place", ["/etc/passwd", "../../secret/*.csv", "~/x.csv"])
def test_a_source_outside_the_project_is_refused(place: str) -> None:
    faults = faults_of(GOOD.replace("data/*.csv", place))
    assert "below the project's directory" in faults["data.source.files"]


@pytest.mark.parametrize("pattern", ["data/**.csv", "**.csv", "data/**x/*.csv", "", "."])
def test_a_pattern_that_no_folder_can_be_looked_through_by_is_refused(pattern: str) -> None:
    faults = faults_of(GOOD.replace("data/*.csv", pattern))
    assert list(faults) == ["data.source.files"]
    assert "expected a pattern of files such as data/*.csv, or data/**/*.csv" in faults["data.source.files"]
    assert parse_project(GOOD.replace("data/*.csv", "data/**/*.csv")).data.source.files == "data/**/*.csv"


def test_numbers_that_would_reach_the_function_as_none_are_refused_wherever_they_stand() -> None:
    given = "  parameters: {a: .inf, b: [1, {c: -.inf}], d: .5}\n  tuning: {space: {e: [0.1, .nan], f: [0, 1e400]}}\n"
    places = ["parameters.a", "parameters.b[1].c", "tuning.space.e[1]", "tuning.space.f[1]"]
    assert list(found := faults_of(GOOD + given)) == [f"train.{place}" for place in places]
    assert all("expected a finite number" in words for words in found.values())


def test_the_label_is_not_a_feature() -> None:
    faults = faults_of(GOOD.replace("{amount: number,", "{returned: integer, amount: number,"))
    assert "which is the label" in faults["data.features.returned"]


def test_the_time_is_not_a_feature() -> None:
    faults = faults_of(GOOD.replace("{amount: number,", "{ordered_at: , amount: number,"))
    assert "which is the time" in faults["data.features.ordered_at"]
    faults = faults_of(GOOD.replace("{amount: number, category: category, hour: }", "[amount, ordered_at]"))
    assert "which is the time" in faults["data.features[1]"]


@pytest.mark.parametrize(("seed", "words"), [(-1, "at least 0"), (2**32, "at most 4294967295")])
def test_a_seed_that_no_generator_takes_is_refused(seed: int, words: str) -> None:
    faults = faults_of(GOOD + f"  seed: {seed}\n")
    assert list(faults) == ["train.seed"]
    assert words in faults["train.seed"]
    assert parse_project(GOOD + f"  seed: {2**32 - 1}\n").train.seed == 2**32 - 1


def test_more_is_better_of_the_same_metrics_wherever_it_is_said() -> None:
    assert HIGHER == HIGHER_IS_BETTER


@given(st.integers(min_value=0, max_value=LONGEST // timedelta(microseconds=1)))
def test_a_duration_is_written_so_that_it_is_read_back(microseconds: int) -> None:
    duration = timedelta(microseconds=microseconds)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("written", "shown"),
    [("30.44d", "2630016s"), ("1.5d", "36h"), ("2w", "2w"), ("0s", "0s"), ("0.25s", "0.25s"), ("1234567m", "1234567m")],
)
def test_a_duration_is_shown_in_plain_decimals(written: str, shown: str) -> None:
    assert format_duration(parse_duration(written)) == shown
    assert parse_duration(shown) == parse_duration(written)


def test_small_numbers_may_be_written_without_a_point() -> None:
    assert parse_project(with_line("gates: {parity: 1e-5}")).gates.parity == 1e-5


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
    )
    started = time.perf_counter()
    faults = faults_of(bomb)
    assert time.perf_counter() - started < 1.0
    assert "aliases followed" in faults["(whole file)"]


@pytest.mark.parametrize("text", ["[" * 100_000, "a: &a [*a]", "a: " + "{b: " * 5000])
def test_a_bottomless_file_is_refused(text: str) -> None:
    assert "(whole file)" in faults_of(text)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("0x" + "f" * 5000, "expected a whole number of at most 64 bits. In quotes it is text."),
        ("0b" + "1" * 65, "expected a whole number of at most 64 bits"),
        ("-9223372036854775809", "found -9223372036854775809 (line 3), expected a whole number of at most 64 bits"),
        ("9" * 5000, "expected a value of the type int"),
        ("12:30", "found 12:30 (line 3), expected a number without colons, or text"),
        ("1" + ":1" * 50_000, "(line 3), expected a number without colons"),
        ("1" + ":1" * 50_000 + ".5", "(line 3), expected a number without colons"),
    ],
    ids=["hexadecimal", "binary", "below", "decimal", "base 60", "long in base 60", "long fraction in base 60"],
)
def test_a_number_that_no_field_holds_is_a_fault_of_its_line(number: str, words: str) -> None:
    began = time.process_time()
    fault = faults_of(GOOD.replace("model: returns", f"model: {number}"))["model"]
    assert words in fault
    assert len(fault) < 200
    assert time.process_time() - began < 1.0


def test_a_file_that_is_no_yaml_is_told_with_line_and_column() -> None:
    assert "(line 2, column" in faults_of("a: 1\n  b: [2\n")["(whole file)"]


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b", "# nothing but a comment"])
def test_a_file_without_sections_is_one_fault(text: str) -> None:
    assert "flyball init" in faults_of(text)["(whole file)"]


def test_no_file_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="flyball init"):
        load_project(tmp_path)


def test_bytes_that_are_not_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "flyball.yaml").write_bytes(b"project: sh\xff\xfep")
    with pytest.raises(SpecError, match="not UTF-8"):
        load_project(tmp_path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "flyball.yaml").write_bytes(b"#" * 300_000)
    with pytest.raises(SpecError, match="256 kB"):
        load_project(tmp_path)


def test_a_duration_that_is_spelt_well_and_too_short_is_not_proposed_again() -> None:
    assert "did you mean" not in faults_of(with_line("monitor: {window: 0s}"))["monitor.window"]
    assert "did you mean 1d?" in faults_of(with_line("monitor: {window: 1day}"))["monitor.window"]


@pytest.mark.parametrize(
    ("lines", "found", "expected"),
    [
        ("capture: {keep: 15d}", "15d, shorter than data.label_delay (2w) and two of monitor.window (1d)", "16d or longer"),
        ("capture: {keep: 2w}\nmonitor: {window: 12h}", "and two of monitor.window (12h)", "15d or longer"),
        ("capture: {keep: 0s}", "'0s'", "a duration longer than nothing"),
        ("capture: {keep: 30}", "30", "a duration such as 30m, 12h, 1d or 2w"),
    ],
)  # fmt: skip
def test_what_is_forgotten_before_its_labels_can_come_is_refused(lines: str, found: str, expected: str) -> None:
    told = faults_of(with_line(lines))["capture.keep"]
    assert found in told
    assert expected in told


def test_keep_is_as_long_as_it_says_and_for_ever_when_it_says_nothing() -> None:
    assert parse_project(with_line("capture: {keep: 16d}")).capture.keep == timedelta(days=16)
    assert parse_project(GOOD).capture.keep is None
    unknown = GOOD.replace("  label_delay: 14d\n", "")
    assert parse_project(unknown + "capture: {keep: 2d}\n").capture.keep == timedelta(days=2)
    assert "later ones join nothing" in faults_of(unknown + "capture: {keep: 1d}\n")["capture.keep"]


FULL = {
    "project": "shop", "model": "returns", "task": "binary",
    "data": {
        "source": {"files": "data/*.csv"}, "time": "ordered_at", "key": "order_id", "label": "returned", "label_delay": "14d",
        "features": {"amount": {"type": "number", "missing": True}, "category": "category", "hour": None},
    },
    "train": {"entrypoint": "pipeline:train", "tuning": {"trials": 3, "space": {"C": [0.1, 1.0]}}},
    "evaluate": {"holdout": "20%", "metrics": ["roc_auc"], "primary": "roc_auc"},
    "gates": {"absolute": [{"metric": "roc_auc", "at_least": 0.6}], "champion": {"metric": "roc_auc", "margin": 0.1}},
    "release": {"strategy": "canary", "shadow": {"at_least": "1d", "at_most": "20d"}, "steps": [{"traffic": "10%"}], "guards": [{"metric": "score_shape"}]},
    "monitor": {"window": "1d", "slices": [{"name": "dear", "where": "amount > 10"}], "false_alarms": "1 per 90 windows"},
    "capture": {"fields": {"hour": "drop"}, "keep": "30d"},
    "policies": [{
        "name": "mend", "when": "performance.alarm", "for": 2, "do": {"action": "improve", "entrants": ["all", "retune"], "on_faults": True},
        "budget": "3 per 30d", "cooldown": "1d", "needs": "approval",
    }],
    "autopilot": {"autonomy": {"retrain": "act"}, "breaker": {"within": "3d"}},
    "cost": {"error": 2.0, "training_minute": 0.1}, "serve": {"threshold": 0.3}, "replay": {"train_until": "2026-01-01T00:00:00Z"},
}  # fmt: skip


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Of every value in it."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*path, key)
        yield from places(each, (*path, key))


@pytest.mark.parametrize("other", [None, True, 3, "x", [], ["retrain"], [["a"]], {"a": [1]}, 10**30], ids=repr)
def test_a_value_of_another_kind_is_told_wherever_it_stands(other: object) -> None:
    parse_project(json.dumps(FULL))
    for path in places(FULL):
        changed = copy.deepcopy(FULL)
        *above, key = path
        part: Any = changed
        for each in above:
            part = part[each]
        part[key] = other
        with contextlib.suppress(SpecError):
            parse_project(json.dumps(changed))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.text(max_size=6))
def test_whatever_stands_in_the_file_the_answer_is_a_project_or_faults(place: int, noise: str) -> None:
    with contextlib.suppress(SpecError):
        parse_project(GOOD[:place] + noise + GOOD[place + 1 :])
