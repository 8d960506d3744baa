"""A shadow that takes five seconds a call and prints a lot, beside a twin without one: what production notices, and what is counted as dropped."""

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving.bars import Bar
from bench.serving.survival import segments
from bench.serving.survival.client import Crowd
from bench.serving.survival.models import CodeModel, code_unit, linear_unit
from bench.serving.survival.stand import Gateway, Stand
from flyball.records.routing import Route, ServedUnit

CALL_SECONDS = 5.0
DEADLINE_SECONDS = 10.0
"""Of one call: longer than it takes, so that the shadow is slow and not dead."""


@dataclass(frozen=True)
class Scale:
    seconds: float
    rate: float = 500.0
    call_seconds: float = CALL_SECONDS
    connections: int = 16


FULL, SHORT = Scale(45.0), Scale(8.0)


@dataclass
class Seen:
    answered: int = 0
    failed: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    first_failure: str = ""
    shadowed: int = 0
    """Rows in the shadow's captured records."""
    dropped: int = 0
    """As /metrics says."""
    waiting: int = 0
    """As /metrics says."""
    grown_mb: float = 0.0
    p50_ms: tuple[float, float] = (0.0, 0.0)
    """With and without the shadow."""
    p99_ms: tuple[float, float] = (0.0, 0.0)


def measure(scale: Scale) -> Seen:
    seen = Seen()
    with tempfile.TemporaryDirectory(prefix="bench-shadow-") as name, ExitStack() as stack:
        with_one, without = (_twin(Path(name) / each, scale, stack) for each in ("with", "without"))
        before = with_one[1].memory_mb()
        time.sleep(scale.seconds)
        for each in (with_one, without):
            each[2].__exit__()
        stand, gateway, crowd = with_one
        mine, others = crowd.outcome, without[2].outcome
        seen.answered, seen.failed, seen.statuses = len(mine.answered_ids()), mine.failures, mine.counts()
        seen.first_failure = mine.first_failure
        seen.grown_mb = gateway.memory_mb() - before
        seen.p50_ms = mine.quantile_ms(0.5), others.quantile_ms(0.5)
        seen.p99_ms = mine.quantile_ms(0.99), others.quantile_ms(0.99)
        _count(seen, stand, gateway)
    return seen


def _count(seen: Seen, stand: Stand, gateway: Gateway) -> None:
    """Between two looks that agree: a call of the shadow may end meanwhile."""
    for _ in range(20):
        seen.dropped = round(gateway.metric("flyball_shadow_dropped_rows_total"))
        seen.waiting = round(gateway.metric("flyball_shadow_waiting_rows"))
        records = segments.read(stand.capture).predictions("shadow")
        seen.shadowed = sum(len(record["ids"]) for record in records)
        if seen.shadowed + seen.dropped + seen.waiting == seen.answered:
            return
        time.sleep(0.1)


def _twin(directory: Path, scale: Scale, stack: ExitStack) -> tuple[Stand, Gateway, Crowd]:
    stand = stack.enter_context(Stand(directory, "--deadline-seconds", str(DEADLINE_SECONDS)))
    shadows: tuple[ServedUnit, ...] = ()
    if directory.name == "with":
        shadows = (code_unit(directory, "shadow", CodeModel(seconds_a_call=scale.call_seconds, noise=100_000)),)
    stand.publish(Route(model="shop", champion=linear_unit(directory, 0), shadows=shadows))
    gateway = stand.start()
    crowd = stack.enter_context(Crowd(stand.plan(connections=scale.connections, rate=scale.rate)))
    return stand, gateway, crowd


def bars(seen: Seen) -> list[Bar]:
    unaccounted = seen.answered - seen.shadowed - seen.dropped - seen.waiting
    return [
        Bar(f"slow shadow: failed of {seen.answered:,}", seen.failed, 0, least=False),
        Bar(f"… rows neither scored, nor waiting, nor told dropped ({seen.dropped:,})", abs(unaccounted), 0, least=False),
        Bar("… p50 above that without", seen.p50_ms[0] - seen.p50_ms[1], 1, least=False, unit=" ms"),
        Bar("… p99 above that without", seen.p99_ms[0] / seen.p99_ms[1] - 1, 0.03, least=False),
        Bar("… memory grown", seen.grown_mb, 64, least=False, unit=" MB"),
    ]
