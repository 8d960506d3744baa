"""Several workers' expositions become one that Prometheus takes, and tell who is not there."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flyball.errors import ModelFailed
from flyball.gateway.capture_writer import NoCapture
from flyball.gateway.handlers import Request
from flyball.gateway.metrics import Metrics
from flyball.gateway.scraping import Scraping, exposition_of
from flyball.machine.birth import birth_of


def exposition(requests: int) -> str:
    prometheus_client.disable_created_metrics()
    metrics = Metrics(NoCapture())
    for _ in range(requests):
        metrics.requests.answered("predict", "", 200, 0.002)
    metrics.requests.failed("predict", "", ModelFailed.__name__)
    return metrics.exposition().decode()


def values(text: str, name: str) -> dict[str, float]:
    return {
        sample.labels["worker"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_each_series_has_its_worker_and_each_family_one_heading() -> None:
    text = exposition_of({"0": exposition(3), "1": exposition(5)}).decode()
    assert values(text, "flyball_requests_total") == {"0": 3.0, "1": 5.0}
    assert values(text, "flyball_request_seconds_count") == {"0": 3.0, "1": 5.0}
    headings = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(headings) == len(set(headings))
    assert "# HELP flyball_requests_total Requests answered" in text


def test_a_silent_worker_is_told_as_down_and_has_no_other_series() -> None:
    text = exposition_of({"0": exposition(1), "1": None}).decode()
    assert values(text, "flyball_worker_up") == {"0": 1.0, "1": 0.0}
    assert text.count('worker="1"') == 1


def test_a_label_with_quotes_and_line_ends_survives() -> None:
    metrics = Metrics(NoCapture())
    metrics.requests.failed("predict", "", 'a"b\\c\nd')
    text = exposition_of({"0": metrics.exposition().decode()}).decode()
    (family,) = [each for each in text_string_to_metric_families(text) if each.name == "flyball_errors"]
    assert family.samples[0].labels == {"door": "predict", "model": "", "kind": 'a"b\\c\nd', "worker": "0"}


def up(state: Path) -> dict[str, float]:
    """As worker 0 tells it."""
    answer = asyncio.run(Scraping(state, "0", Metrics(NoCapture())).doors()["metrics"](Request("", b"", ())))
    assert isinstance(answer.body, bytes)
    return values(answer.body.decode(), "flyball_worker_up")


def written(path: Path, **facts: int) -> None:
    path.parent.mkdir(exist_ok=True)
    here = path.parent.stat()
    path.write_text(json.dumps({"device": here.st_dev, "inode": here.st_ino, **facts}))


@pytest.fixture
def dead() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


@pytest.fixture
def port() -> Iterator[socket.socket]:
    """Somebody who must not be asked."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        yield other
        with pytest.raises(BlockingIOError):
            other.accept()


def test_a_token_that_can_stand_in_no_header_is_sent_to_nobody_and_keeps_no_scrape_from_ending(
    tmp_path: Path, port: socket.socket
) -> None:
    (tmp_path / "token").write_text("secret\nsecond line")
    written(tmp_path / "gateways" / "1.json", pid=os.getpid(), admin_port=port.getsockname()[1])
    assert up(tmp_path) == {"0": 1.0, "1": 0.0}


def test_a_worker_that_died_is_down_and_who_has_its_port_now_gets_no_token(
    tmp_path: Path, dead: int, port: socket.socket
) -> None:
    (tmp_path / "token").write_text("secret")
    written(tmp_path / "gateways" / "1.json", pid=dead, admin_port=port.getsockname()[1])
    assert up(tmp_path) == {"0": 1.0, "1": 0.0}


def test_whoever_has_a_dead_workers_number_is_not_that_worker(tmp_path: Path, port: socket.socket) -> None:
    born = birth_of(os.getpid())
    if born.ticks is None or born.boot is None:
        pytest.skip("this system does not tell when a process was started")
    (tmp_path / "token").write_text("secret")
    written(
        tmp_path / "gateways" / "1.json", pid=os.getpid(), admin_port=port.getsockname()[1], ticks=born.ticks - 1, boot=born.boot
    )
    assert up(tmp_path) == {"0": 1.0, "1": 0.0}


def test_a_worker_that_the_supervisor_is_to_run_and_that_is_not_there_is_down(tmp_path: Path, dead: int) -> None:
    written(tmp_path / "run" / "supervisor.json", pid=os.getpid(), workers=3)
    written(tmp_path / "gateways" / "1.json", pid=dead, admin_port=1)
    assert up(tmp_path) == {"0": 1.0, "1": 0.0, "2": 0.0}


def test_a_worker_of_a_time_when_there_were_more_is_missed_by_nobody(tmp_path: Path, dead: int) -> None:
    written(tmp_path / "run" / "supervisor.json", pid=os.getpid(), workers=2)
    written(tmp_path / "gateways" / "2.json", pid=dead, admin_port=1)
    assert up(tmp_path) == {"0": 1.0, "1": 0.0}


@pytest.mark.parametrize("facts", [{"workers": 3, "device": 1, "inode": 1}, {}, {"workers": 3, "pid": 2**22 + 1}])
def test_a_supervisor_that_is_gone_another_directorys_or_of_an_earlier_release_expects_nobody(
    tmp_path: Path, port: socket.socket, facts: dict[str, int]
) -> None:
    written(tmp_path / "run" / "supervisor.json", **{"pid": os.getpid(), **facts})
    written(tmp_path / "gateways" / "1.json", pid=os.getpid(), admin_port=port.getsockname()[1], device=1, inode=1)
    assert up(tmp_path) == {"0": 1.0}
