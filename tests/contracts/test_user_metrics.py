"""The port of the user's own metrics: in a process of its own, and in this one."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flyball.adapters import user_metrics
from flyball.adapters.user_metrics import ChildMetrics, MemoryMetrics
from flyball.control.ports import UserMetrics
from flyball.monitoring.realised import Weighting

MODULE = """
import sys
import numpy as np

def profit(labels, scores):
    return float(np.sum(np.where(scores > 0.5, np.where(labels == 1, 10.0, -4.0), 0.0)))

def share(labels, scores):
    return float(np.mean(labels))

def broken(labels, scores):
    raise ValueError("secret of a row")

def text(labels, scores):
    return "much"

def needs_both(labels, scores):
    if len(set(labels.tolist())) < 2:
        raise ValueError
    return float("nan") if scores[0] > 2 else 1.0

def sees(labels, scores):
    import os
    return 1.0 if "SHOP_SQL_URL" in os.environ else 0.0

def spoils(labels, scores):
    total = labels.sum()
    labels[:] = 0
    scores[:] = 0
    return float(total)

def leaves(labels, scores):
    sys.exit(3)
"""
SCORES = np.linspace(0, 1, 400)[:, None]
LABELS = (np.arange(400) % 3 == 0).astype(float)

Make = Callable[[Path], UserMetrics]


def child(root: Path) -> UserMetrics:
    return ChildMetrics(root, root / "metrics", {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ})


def memory(root: Path) -> UserMetrics:
    space: dict[str, object] = {}
    exec((root / "mine.py").read_text(), space)  # noqa: S102 - the test's own text
    return MemoryMetrics({f"mine:{name}": function for name, function in space.items() if callable(function)})


@pytest.fixture(params=[child, memory], ids=["child", "memory"])
def metrics(request: pytest.FixtureRequest, tmp_path: Path) -> UserMetrics:
    (tmp_path / "mine.py").write_text(MODULE)
    made: UserMetrics = request.param(tmp_path)
    return made


def test_a_metric_has_its_value_and_an_interval_and_is_the_same_again(metrics: UserMetrics) -> None:
    wanted = {"profit": "mine:profit"}
    (figure,) = metrics.measure(wanted, SCORES, LABELS).values()
    chosen = SCORES[:, 0] > 0.5
    assert figure.value == 10.0 * LABELS[chosen].sum() - 4.0 * (1 - LABELS[chosen]).sum()
    assert figure.lower is not None
    assert figure.upper is not None
    assert figure.lower < figure.value < figure.upper
    assert metrics.measure(wanted, SCORES, LABELS)["profit"] == figure


def test_what_cannot_be_measured_says_why_without_its_words_and_stops_no_other(metrics: UserMetrics) -> None:
    found = metrics.measure({"broken": "mine:broken", "text": "mine:text", "profit": "mine:profit"}, SCORES, LABELS)
    assert (found["broken"].value, found["broken"].note) == (None, "it raised ValueError")
    assert (found["text"].value, found["text"].note) == (None, "it gave no finite number")
    assert found["profit"].value is not None


def test_what_a_metric_does_to_its_arguments_reaches_no_other(metrics: UserMetrics) -> None:
    alone = metrics.measure({"profit": "mine:profit"}, SCORES.copy(), LABELS.copy())["profit"]
    found = metrics.measure({"spoils": "mine:spoils", "profit": "mine:profit"}, SCORES.copy(), LABELS.copy())
    assert found["profit"] == alone
    assert found["spoils"].value == LABELS.sum()
    assert found["spoils"].lower < found["spoils"].value < found["spoils"].upper


def test_where_resamples_do_not_define_it_there_is_no_interval(metrics: UserMetrics) -> None:
    figure = metrics.measure({"needs_both": "mine:needs_both"}, SCORES[:2], np.array([0.0, 1.0]))["needs_both"]
    assert figure.value == 1.0
    assert figure.lower is None
    assert "no interval" in figure.note


@pytest.mark.parametrize("n", [1, 3, 19])
def test_a_few_rows_have_a_value_and_claim_no_interval(metrics: UserMetrics, n: int) -> None:
    figure = metrics.measure({"share": "mine:share"}, SCORES[:n], LABELS[:n])["share"]
    assert (figure.value, figure.lower, figure.upper) == (LABELS[:n].mean(), None, None)
    assert figure.note == f"no interval: rows that count as {n}, a bootstrap needs 20"


def test_where_many_resamples_do_not_define_it_there_is_no_interval(metrics: UserMetrics) -> None:
    rare = (np.arange(400) == 7).astype(float)
    figure = metrics.measure({"needs_both": "mine:needs_both"}, SCORES, rare)["needs_both"]
    assert (figure.value, figure.lower) == (1.0, None)
    assert "of 200 resamples" in figure.note


def test_rows_that_stand_for_others_count_as_those(metrics: UserMetrics) -> None:
    """Of 1,200 rows a third is positive; of those half had a label, of the others all."""
    rng = np.random.default_rng(3)
    labels = (np.arange(1_200) % 3 == 0).astype(float)
    has = rng.random(1_200) < np.where(labels == 1, 0.5, 1.0)
    weighting = Weighting(np.where(labels == 1, 2.0, 1.0)[has], labels[has].astype(np.int64), np.array([0.0, 0.05]), "why")
    scores = np.linspace(0, 1, 1_200)[has, None]
    wanted = {"share": "mine:share"}
    plain = metrics.measure(wanted, scores, labels[has])["share"]
    told = metrics.measure(wanted, scores, labels[has], weighting)["share"]
    assert plain.upper < 0.25
    assert told.value == pytest.approx(1 / 3, abs=0.03)
    assert told.lower < 1 / 3 < told.upper
    assert told == metrics.measure(wanted, scores, labels[has], weighting)["share"]
    assert metrics.measure(wanted, scores, labels[has])["share"] == plain


def test_many_rows_of_which_one_has_all_the_weight_count_as_few(metrics: UserMetrics) -> None:
    weighting = Weighting(np.where(np.arange(400) == 3, 1e6, 1.0), np.zeros(400, dtype=np.int64), np.zeros(1), "why")
    told = metrics.measure({"share": "mine:share"}, SCORES, LABELS, weighting)["share"]
    assert (told.value, told.lower) == (1.0, None)
    assert told.note == "no interval: rows that count as 1, a bootstrap needs 20"


def test_what_ends_its_process_hangs_or_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(MODULE + "\ndef hangs(labels, scores):\n    import time\n    time.sleep(60)\n")
    metrics = child(tmp_path)
    found = metrics.measure({"leaves": "mine:leaves"}, SCORES, LABELS)
    assert "exit code 3" in found["leaves"].note
    assert "no function 'profits'" in metrics.measure({"profits": "mine:profits"}, SCORES, LABELS)["profits"].note
    monkeypatch.setattr(user_metrics, "TIME_LIMIT_SECONDS", 2.0)
    assert metrics.measure({"hangs": "mine:hangs"}, SCORES, LABELS)["hangs"].note == "not done after 2 s"


@pytest.mark.parametrize("name", ["profit", "broken", "leaves"])
def test_rows_do_not_outlive_their_measuring(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "scores.npy").write_text("of one that was killed")
    note = child(tmp_path).measure({name: f"mine:{name}"}, SCORES, LABELS)[name].note
    assert [path.name for path in (tmp_path / "metrics").iterdir()] == (["log"] if note else [])


def test_a_place_that_takes_no_rows_and_an_answer_that_is_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        MODULE + "\ndef overwrites(labels, scores):\n    import atexit, pathlib\n"
        "    atexit.register(lambda: pathlib.Path('"
        + str(tmp_path)
        + "/metrics/figures.json').write_text('{'))\n    return 1.0\n"
    )
    found = child(tmp_path).measure({"overwrites": "mine:overwrites"}, SCORES, LABELS)["overwrites"]
    assert (found.value, found.note.partition(";")[0]) == (None, "its answer cannot be read")
    (tmp_path / "file").write_text("no directory")
    metrics = ChildMetrics(tmp_path, tmp_path / "file" / "metrics", {})
    assert "Not a directory" in metrics.measure({"profit": "mine:profit"}, SCORES, LABELS)["profit"].note


def test_the_child_sees_no_secret_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(MODULE)
    monkeypatch.setenv("SHOP_SQL_URL", "postgres://user:secret@host/db")
    assert child(tmp_path).measure({"sees": "mine:sees"}, SCORES, LABELS)["sees"].value == 0.0
