"""The scoring child with real packages: the formats that may be opened in this process answer the same, and a code format answers at all."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from projects import HISTOGRAM, LOGISTIC, Told, package_in, project, request, spec

from flyball.adapters.scorer_child import ChildScorer, OneCallScorer, Unopened, in_parts
from flyball.adapters.scorer_onnx import PackageScorer
from flyball.adapters.steps import run_steps
from flyball.errors import Conflict, ModelFailed
from flyball.wiring.environment import plain_environment

ROWS = [{"hour": 20, "wind": 30.0, "carrier": "B6"}, {"hour": 5, "wind": None, "carrier": "AA"}]


def package_of(directory: Path, code: str) -> Path:
    return package_in(directory, run_steps(request(project(directory, code), spec()), Told()))


def test_a_data_format_answers_as_in_this_process_call_after_call(tmp_path: Path) -> None:
    package = package_of(tmp_path / "p", LOGISTIC)
    with ChildScorer(tmp_path / "alone", plain_environment()) as scorer:
        for rows in (ROWS, ROWS[:1]):
            np.testing.assert_array_equal(scorer.score(package, rows), PackageScorer().score(package, rows))


def test_a_code_format_answers_from_a_child_and_never_from_this_process(tmp_path: Path) -> None:
    package = package_of(tmp_path / "p", HISTOGRAM)
    with pytest.raises(Conflict):
        PackageScorer().score(package, ROWS)
    with ChildScorer(tmp_path / "alone", plain_environment()) as scorer:
        scores = scorer.score(package, ROWS)
    assert scores.shape == (2, 1)
    assert np.all((scores > 0) & (scores < 1))


def test_what_the_child_cannot_do_comes_back_in_words(tmp_path: Path) -> None:
    package = package_of(tmp_path / "p", LOGISTIC)
    model = next((package / "model").glob("*.onnx"))
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    with (
        ChildScorer(tmp_path / "alone", plain_environment()) as scorer,
        pytest.raises(ModelFailed, match=r"model\.onnx has the digest"),
    ):
        scorer.score(package, ROWS)


def test_a_child_that_dies_is_told_with_its_log(tmp_path: Path) -> None:
    dies = f"import os; os.path.exists({str(tmp_path / 'now')!r}) and os._exit(7); return frame"
    package = package_of(tmp_path / "p", HISTOGRAM.replace("return frame", dies))
    (tmp_path / "now").touch()
    with (
        ChildScorer(tmp_path / "alone", plain_environment()) as scorer,
        pytest.raises(ModelFailed, match=r"exit code 7.*alone/log"),
    ):
        scorer.score(package, ROWS)


def test_a_model_that_writes_to_the_descriptor_of_standard_output_says_no_answer_by_it(tmp_path: Path) -> None:
    speaks = "import os; os.write(1, b'layer 1 of 3'); print('and this'); return frame"
    package = package_of(tmp_path / "p", HISTOGRAM.replace("return frame", speaks))
    with ChildScorer(tmp_path / "alone", plain_environment()) as scorer:
        for _ in range(2):
            assert scorer.score(package, ROWS).shape == (2, 1)
    log = (tmp_path / "alone" / "log").read_text()
    assert "layer 1 of 3" in log
    assert "and this" in log


def test_a_child_that_says_what_is_no_answer_is_ended_and_the_next_call_starts_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = package_of(tmp_path / "p", LOGISTIC)
    talks = "import sys, time; print('hello', flush=True); time.sleep(600)"
    with ChildScorer(tmp_path / "alone", plain_environment()) as scorer:
        with monkeypatch.context() as patched:
            patched.setattr("flyball.adapters.scorer_child.COMMAND", (sys.executable, "-c", talks))
            with pytest.raises(ModelFailed, match="said what is no answer"):
                scorer.score(package, ROWS)
        assert scorer.score(package, ROWS).shape == (2, 1)


def test_a_late_child_is_ended_with_all_that_it_forked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which holds its output open: who waited for the end of that would wait for ever."""
    package = package_of(tmp_path / "p", LOGISTIC)
    forks = "import os, time; os.fork(); time.sleep(60)"
    monkeypatch.setattr("flyball.adapters.scorer_child.COMMAND", (sys.executable, "-c", forks))
    with ChildScorer(tmp_path / "alone", plain_environment()) as scorer:
        begun = time.monotonic()
        with pytest.raises(ModelFailed, match="did not answer within"):
            scorer.score(package, ROWS, 0.5)
        assert time.monotonic() - begun < 20


def test_a_child_that_is_done_leaves_nothing_that_its_model_started(tmp_path: Path) -> None:
    now, told = tmp_path / "now", tmp_path / "told"
    starts = f"""
    from pathlib import Path
    import subprocess
    if Path({str(now)!r}).exists():
        Path({str(told)!r}).write_text(str(subprocess.Popen(["sleep", "60"]).pid))
    return frame"""
    package = package_of(tmp_path / "p", HISTOGRAM.replace("    return frame", starts))
    now.touch()
    with ChildScorer(tmp_path / "alone", plain_environment()) as scorer:
        scorer.score(package, ROWS)
        pid = int(told.read_text())
        assert runs(pid)
    deadline = time.monotonic() + 20
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not runs(pid)


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_models_code_sees_no_secret_of_the_process_that_asks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hidden")
    monkeypatch.setenv("ORDERS_URL", "postgresql://me:hidden@db/orders")
    looks = "import os; print('it sees', sorted(os.environ)); assert 'raise' not in set(frame['carrier']); return frame"
    package = package_of(tmp_path / "p", HISTOGRAM.replace("return frame", looks))
    unknown = {"hour": 1, "wind": 1.0, "carrier": "raise"}
    scores = OneCallScorer(tmp_path / "alone", plain_environment(), 60.0).score(package, [*ROWS, unknown])
    assert np.isfinite(scores[:, 0]).tolist() == [True, True, False], (
        "an error of the model's code is of the row, and ends no child"
    )
    log = (tmp_path / "alone" / "log").read_text()
    assert "it sees" in log
    assert "MLFLOW_TRACKING_PASSWORD" not in log
    assert "ORDERS_URL" not in log
    assert [file.name for file in (tmp_path / "alone").iterdir()] == ["log"], (
        "rows that were captured do not outlive the question"
    )


class Halved:
    """A model that fails by some of the values, with as many seconds as rows that it may be asked."""

    def __init__(self, *bad: int, seconds: float = 1e6) -> None:
        self.bad, self.seconds = set(bad), seconds
        self.calls = 0

    def score(self, rows: Sequence[dict[str, Any]], _seconds: float) -> np.ndarray:
        self.calls, self.seconds = self.calls + 1, self.seconds - len(rows)
        if self.seconds < 0.0:
            raise ended(late=True)
        if self.bad & {row["x"] for row in rows}:
            raise ModelFailed("the model raised ValueError")
        return np.array([[0.5] for _ in rows])

    def of(self, n: int) -> list[float]:
        return in_parts(self.score, [{"x": at} for at in range(n)], 1, lambda: self.seconds)[:, 0].tolist()


def ended(*, late: bool) -> ModelFailed:
    failed = ModelFailed("the scoring child ended with exit code -9", died=True)
    failed.late = late
    return failed


def test_rows_that_a_model_fails_by_cost_the_others_nothing() -> None:
    model = Halved(0, 417, 999)
    assert np.flatnonzero(np.isnan(model.of(1000))).tolist() == [0, 417, 999]
    assert model.calls < 60


def test_what_a_slow_model_answers_in_time_counts_and_the_rest_is_not_asked() -> None:
    assert len(Halved(seconds=500).of(1000)) == 400
    assert np.isnan(Halved(*range(1000), seconds=2000).of(1000)).all(), (
        "it failed by those that it was asked, and no others are said to have failed"
    )
    with pytest.raises(ModelFailed) as late:
        Halved(seconds=100).of(1000)
    assert late.value.late


def test_a_model_that_answers_none_is_told_in_its_own_words() -> None:
    with pytest.raises(ModelFailed, match="raised ValueError"):
        Halved(*range(7)).of(7)


@pytest.mark.parametrize("failed", [ended(late=False), Unopened("model.onnx has the digest abc")])
def test_a_child_that_died_or_a_package_that_does_not_open_is_asked_once(failed: ModelFailed) -> None:
    asked = []

    def score(rows: Sequence[Any], _seconds: float) -> np.ndarray:
        asked.append(len(rows))
        raise failed

    with pytest.raises(type(failed)):
        in_parts(score, [{}] * 50, 1, lambda: 60.0)
    assert asked == [50]
