"""The scoring child with real packages: the formats that may be opened in this process answer the same, and a code format answers at all."""

import sys
from pathlib import Path

import numpy as np
import pytest
from projects import HISTOGRAM, LOGISTIC, Told, package_in, project, request, spec

from flyball.adapters.scorer_child import ChildScorer, OneCallScorer
from flyball.adapters.scorer_onnx import PackageScorer
from flyball.adapters.steps import run_steps
from flyball.errors import Conflict, ModelFailed
from flyball.wiring.worlds import plain_environment

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


def test_a_models_code_sees_no_secret_of_the_process_that_asks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hidden")
    monkeypatch.setenv("ORDERS_URL", "postgresql://me:hidden@db/orders")
    looks = "import os; print('it sees', sorted(os.environ)); return frame"
    package = package_of(tmp_path / "p", HISTOGRAM.replace("return frame", looks))
    assert OneCallScorer(tmp_path / "alone", plain_environment(), 60.0).score(package, ROWS).shape == (2, 1)
    log = (tmp_path / "alone" / "log").read_text()
    assert "it sees" in log
    assert "MLFLOW_TRACKING_PASSWORD" not in log
    assert "ORDERS_URL" not in log
