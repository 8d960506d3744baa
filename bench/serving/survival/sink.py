"""The disk behind the capture dies under load, beside a twin whose disk is well: latency, memory, and what is counted as lost."""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bench.serving.bars import Bar
from bench.serving.survival import segments
from bench.serving.survival.client import Crowd, Outcome
from bench.serving.survival.models import linear_unit
from bench.serving.survival.stand import Gateway, Stand, file_limit
from flyball.records.routing import Route

TORN_LIMIT = 3_000
"""A segment takes a few records and then a part of one."""
WAYS = ("no byte more", "some bytes more", "no directory", "full file system")


@dataclass(frozen=True)
class Scale:
    ways: tuple[str, ...]
    dead_seconds: float
    rate: float = 500.0
    connections: int = 16


FULL, SHORT = Scale(("no byte more",), 600.0), Scale(WAYS, 6.0)


@dataclass
class Told:
    """One way to die."""

    answered: int = 0
    failed: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    captured_rows: int = 0
    captured_records: int = 0
    lost_rows: int = 0
    """As /metrics says."""
    lost_records: int = 0
    batches: int = 0
    """Answered ones, as /metrics says: each makes one record here."""
    damaged: int = 0
    resumed_seconds: float = float("inf")
    """From the disk's recovery to the first record after it."""
    grown_mb: float = 0.0
    p50_ms: tuple[float, float] = (0.0, 0.0)
    """Of the dead one and of its twin, while the disk is dead."""
    p99_ms: tuple[float, float] = (0.0, 0.0)


class _Twin(NamedTuple):
    stand: Stand
    gateway: Gateway
    crowd: Crowd


def measure(scale: Scale) -> dict[str, Told]:
    return {way: _measured(way, scale) for way in scale.ways}


def bars(seen: dict[str, Told]) -> list[Bar]:
    said: list[Bar] = []
    for way, told in seen.items():
        missing = told.answered - told.captured_rows
        records = told.batches - told.captured_records
        later = told.p99_ms[0] / told.p99_ms[1] - 1
        said += [
            Bar(f"capture dead ({way}): failed of {told.answered:,}", told.failed, 0, least=False),
            Bar(f"… lost rows told, less the {missing:,} missing", told.lost_rows - missing, 0, least=False),
            Bar(f"… lost records told, less the {records:,} missing", told.lost_records - records, 0, least=False),
            Bar("… p99 above that with a good disk", later, 0.05, least=False),
            Bar("… memory grown", told.grown_mb, 64, least=False, unit=" MB"),
            Bar("… captures again after", told.resumed_seconds, 1, least=False, unit=" s"),
        ]
    return said


def _measured(way: str, scale: Scale) -> Told:
    told = Told()
    with tempfile.TemporaryDirectory(prefix="bench-sink-") as name, ExitStack() as stack:
        ill, well = (_twin(Path(name) / each, scale, stack) for each in ("ill", "well"))
        time.sleep(1.0)
        before = ill.gateway.memory_mb()
        dead = _dead(way, ill)
        with dead:
            begun = time.monotonic()
            time.sleep(scale.dead_seconds)
            ended = time.monotonic()
            told.grown_mb = ill.gateway.memory_mb() - before
        told.resumed_seconds = _resumed(ill)
        time.sleep(0.5)
        for each in (ill, well):
            each.crowd.__exit__()
        _judge(told, ill, (begun, ended), well.crowd.outcome)
    return told


def _twin(directory: Path, scale: Scale, stack: ExitStack) -> _Twin:
    stand = stack.enter_context(Stand(directory))
    stand.publish(Route(model="shop", champion=linear_unit(directory, 0)))
    gateway = stand.start()
    crowd = stack.enter_context(Crowd(stand.plan(connections=scale.connections, rate=scale.rate)))
    return _Twin(stand, gateway, crowd)


@contextmanager
def _dead(way: str, twin: _Twin) -> Iterator[None]:
    if way == "no byte more":
        with file_limit(twin.gateway.pid, 0):
            yield
    elif way == "some bytes more":
        with file_limit(twin.gateway.pid, TORN_LIMIT):
            yield
    elif way == "no directory":
        # What is open goes on being written: so a limit ends that segment, and the next one finds a file where the directory was.
        away = twin.stand.state / "away"
        with file_limit(twin.gateway.pid, 0):
            twin.stand.capture.rename(away)
            twin.stand.capture.touch()
            time.sleep(0.5)
        yield
        twin.stand.capture.unlink()
        away.rename(twin.stand.capture)
    elif way == "full file system":
        with _full(twin):
            yield
    else:
        raise ValueError(f"found {way!r}, expected one of {', '.join(WAYS)}")


@contextmanager
def _full(twin: _Twin) -> Iterator[None]:
    """Needs the right to mount."""
    away = twin.stand.state / "away"
    with file_limit(twin.gateway.pid, 0):
        twin.stand.capture.rename(away)
        twin.stand.capture.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", twin.stand.capture], check=True)
        time.sleep(0.5)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,size=1g", twin.stand.capture], check=True)
        # Read before the file system goes with its end.
        twin.stand.capture.with_name("tmpfs").touch()


def _resumed(twin: _Twin) -> float:
    begun, before = time.monotonic(), twin.gateway.metric("flyball_capture_records_total")
    while twin.gateway.metric("flyball_capture_records_total") == before and time.monotonic() < begun + 10:
        time.sleep(0.01)
    return time.monotonic() - begun


def _judge(told: Told, ill: _Twin, dead: tuple[float, float], well: Outcome) -> None:
    mine, gateway = ill.crowd.outcome, ill.gateway
    told.failed, told.statuses = mine.failures, mine.counts()
    told.answered = len(mine.answered_ids())
    told.lost_rows = round(gateway.metric("flyball_capture_lost_rows_total"))
    told.lost_records = round(gateway.metric("flyball_capture_lost_records_total"))
    told.batches = round(gateway.metric("flyball_batch_rows_count"))
    captured = segments.read(ill.stand.state)
    kept = set(mine.answered_ids()).intersection(each for record in captured.predictions() for each in record["ids"])
    told.captured_rows, told.captured_records, told.damaged = len(kept), len(captured.records), captured.damaged
    during = [outcome.good & (outcome.begun >= dead[0]) & (outcome.ended <= dead[1]) for outcome in (mine, well)]
    told.p50_ms = mine.quantile_ms(0.5, during[0]), well.quantile_ms(0.5, during[1])
    told.p99_ms = mine.quantile_ms(0.99, during[0]), well.quantile_ms(0.99, during[1])
    if (ill.stand.state / "tmpfs").exists():
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", "-l", ill.stand.capture], check=True)
