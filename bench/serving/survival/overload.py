"""Five times as much as the gateway can answer: what it still answers, how fast it refuses the rest, how soon it is well again."""

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.serving.bars import Bar
from bench.serving.survival.client import Outcome, Plan, ask
from bench.serving.survival.models import CodeModel, code_unit, linear_unit
from bench.serving.survival.stand import ONE_ROW, Gateway, Stand
from flyball.records.routing import Route

TIMES = 5
ROW_SECONDS = 0.007
"""Of the slow model: a scikit-learn pipeline with a HistGradientBoosting takes as long."""
SLOW_CONNECTIONS = 16
"""Enough to keep the slow model busy: its batches are what came while the one before was scored."""
FAST_CONNECTIONS = 64
"""From here on more connections bring no more answers of the fast model."""
FILL_SECONDS = 1.5
"""The longest that an admitted request waits, and a little."""
WAYS = ("slow", "retries", "fast")
CALM_ANSWERS = 20
CALM_FACTOR = 2.0
"""Well again: so many answers in turn, each within twice the median of before."""


@dataclass(frozen=True)
class Scale:
    seconds: float
    ways: tuple[str, ...] = WAYS


FULL, SHORT = Scale(12.0), Scale(4.0)


@dataclass
class Told:
    """One way to ask too much."""

    capacity: float
    """Answers a second when nobody waits in vain."""
    goodput: float
    """Answers a second under five times that."""
    offered: float
    sent: int
    shed: int
    broken: int
    """Neither answered nor refused."""
    refused_p99_ms: float
    without_retry_after: int
    answered_p99_ms: float
    late_p99_ms: float
    """Of the client: above some milliseconds the refusals' latency is its own."""
    scored_rows: int
    answered_rows: int
    recovery_seconds: float


@dataclass
class Seen:
    told: dict[str, Told] = field(default_factory=dict)


def measure(scale: Scale) -> Seen:
    seen = Seen()
    with tempfile.TemporaryDirectory(prefix="bench-overload-") as name, Stand(Path(name)) as stand:
        slow = code_unit(stand.directory, "slow", CodeModel(seconds_a_row=ROW_SECONDS))
        stand.publish(Route(model="shop", champion=slow))
        gateway = stand.start()
        if "slow" in scale.ways:
            seen.told["slow model, open loop"] = _open(stand, gateway, scale, retries=0)
        if "retries" in scale.ways:
            seen.told["slow model, clients that retry at once"] = _open(stand, gateway, scale, retries=3)
        if "fast" in scale.ways:
            stand.publish(Route(model="shop", champion=linear_unit(stand.directory, 0)))
            gateway.reload()
            seen.told["fast model, 5 × the connections"] = _closed(stand, gateway, scale)
    return seen


def bars(seen: Seen) -> list[Bar]:
    said: list[Bar] = []
    for way, told in seen.told.items():
        said.append(Bar(f"{way}: goodput over capacity", told.goodput / told.capacity, 0.8, least=True))
        said.append(Bar("… neither answered nor refused", told.broken, 0, least=False))
        if told.shed:
            said += [
                Bar(f"… p99 of {told.shed:,} refusals", told.refused_p99_ms, 10, least=False, unit=" ms"),
                Bar("… refusals without Retry-After", told.without_retry_after, 0, least=False),
            ]
        said += [
            Bar("… rows scored over rows answered", told.scored_rows / told.answered_rows, 1.1, least=False),
            Bar("… well again after", told.recovery_seconds, 5, least=False, unit=" s"),
        ]
    return said


def _open(stand: Stand, gateway: Gateway, scale: Scale, *, retries: int) -> Told:
    calm = _calm_seconds(stand)
    most = ask(stand.plan(connections=SLOW_CONNECTIONS, seconds=scale.seconds))
    capacity = _rate(most, scale.seconds)
    before = gateway.metric("flyball_rows_total")
    plan = stand.plan(connections=1024, rate=capacity * TIMES, seconds=scale.seconds, retries=retries, prefix="o")
    return _told(stand, gateway, plan, (capacity, before, calm))


def _closed(stand: Stand, gateway: Gateway, scale: Scale) -> Told:
    calm = _calm_seconds(stand)
    ask(stand.plan(connections=FAST_CONNECTIONS, seconds=1.0))
    capacity = _rate(ask(stand.plan(connections=FAST_CONNECTIONS, seconds=scale.seconds)), scale.seconds)
    before = gateway.metric("flyball_rows_total")
    plan = stand.plan(connections=FAST_CONNECTIONS * TIMES, seconds=scale.seconds, prefix="o")
    return _told(stand, gateway, plan, (capacity, before, calm))


def _told(stand: Stand, gateway: Gateway, plan: Plan, known: tuple[float, float, float]) -> Told:
    capacity, before, calm = known
    outcome = ask(plan)
    scored = gateway.metric("flyball_rows_total") - before
    stopped = float(outcome.begun[outcome.status > 0].max())
    recovery = _recovered(stand, calm) - stopped
    shed = outcome.shed
    seconds = plan.seconds or 1.0
    return Told(
        capacity=capacity,
        goodput=_rate(outcome, seconds),
        offered=len(outcome.status) / seconds,
        sent=int((outcome.status != -1).sum()),
        shed=int(shed.sum()),
        broken=int((outcome.failed & ~shed).sum()),
        refused_p99_ms=outcome.quantile_ms(0.99, shed) if shed.any() else 0.0,
        without_retry_after=int((shed & (outcome.retry_after == 0)).sum()),
        answered_p99_ms=outcome.quantile_ms(0.99),
        late_p99_ms=float(np.quantile(outcome.late, 0.99)) * 1e3,
        scored_rows=round(scored),
        answered_rows=int(outcome.good.sum()),
        recovery_seconds=max(recovery, 0.0),
    )


def _rate(outcome: Outcome, seconds: float) -> float:
    """Answers a second once all ask: what was asked first found an empty queue, and what was asked last is answered afterwards."""
    begin, end = outcome.begun.min() + FILL_SECONDS, outcome.begun.min() + seconds
    return int((outcome.good & (outcome.ended >= begin) & (outcome.ended <= end)).sum()) / float(end - begin)


def _calm_seconds(stand: Stand) -> float:
    outcome = ask(stand.plan(connections=1, seconds=0.7))
    return float(np.median(outcome.seconds[outcome.good]))


def _recovered(stand: Stand, calm: float) -> float:
    """When so many answers in turn were as fast as before."""
    body, headers = b'{"rows":[' + ONE_ROW.encode() + b"]}", {"content-type": "application/json"}
    begun, count, since = time.monotonic(), 0, time.monotonic()
    with stand.client() as client:
        while count < CALM_ANSWERS and time.monotonic() < begun + 60:
            asked = time.monotonic()
            good = client.post("/models/shop/predict", content=body, headers=headers).status_code == 200
            if good and time.monotonic() - asked < calm * CALM_FACTOR + 0.005:
                since = asked if count == 0 else since
                count += 1
            else:
                count = 0
                time.sleep(0.005)
    return since
