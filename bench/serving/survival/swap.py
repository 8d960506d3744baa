"""The champion is changed again and again while clients ask: nobody fails, and who answered when is what the table said."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.serving.bars import Bar
from bench.serving.survival import segments
from bench.serving.survival.client import Crowd, Outcome
from bench.serving.survival.models import linear_unit
from bench.serving.survival.stand import Stand
from flyball.records.routing import Route

UNITS = 3
HELD_SECONDS = 0.03


@dataclass(frozen=True)
class Scale:
    promotions: int
    requests: int
    connections: int = 16


FULL, SHORT = Scale(500, 100_000), Scale(60, 10_000)


@dataclass
class Timeline:
    """Revision k (from 1) was `before[k-1]` at the earliest and `after[k-1]` at the latest what the worker served."""

    units: list[str]
    before: list[float]
    after: list[float]

    def possible(self, begun: float, ended: float) -> range:
        """Revisions that may have answered a request of that time."""
        last = int(np.searchsorted(self.before, ended, side="right"))
        first = int(np.searchsorted(self.after, begun, side="right"))
        return range(max(first, 1), last + 1)


@dataclass
class Seen:
    promotions: int
    requests: int
    failed: int
    statuses: dict[int, int]
    first_failure: str
    out_of_time: int
    """Answers by a unit that no revision of their time had as champion."""
    certain: int
    """Answers of a time that had but one revision."""
    other_in_capture: int
    """Answered rows whose captured record names another unit, or a revision of another unit or time, or that have none."""
    longest_ms: float
    promotion_ms: float


def measure(scale: Scale) -> Seen:
    with tempfile.TemporaryDirectory(prefix="bench-swap-") as name, Stand(Path(name)) as stand:
        routes = [Route(model="shop", champion=linear_unit(stand.directory, number)) for number in range(UNITS)]
        line = Timeline([], [], [])
        stand.publish(routes[0])
        gateway = stand.start()
        scores = stand.scores(gateway, routes)
        line = Timeline([routes[0].champion.unit.id] + [each.champion.unit.id for each in routes], [0.0] * 4, [0.0] * 4)
        longest: list[float] = []
        plan = stand.plan(connections=scale.connections, rows_a_request=2, scores=scores, seconds=None)
        with Crowd(plan) as crowd:
            while len(longest) < scale.promotions or gateway.metric("flyball_requests_total", door="predict") < scale.requests:
                route = routes[stand.revision % UNITS]
                revision, before = stand.publish(route)
                assert gateway.reload() == revision
                line.units.append(route.champion.unit.id)
                line.before.append(before)
                line.after.append(time.monotonic())
                longest.append(line.after[-1] - before)
                if len(longest) % 10 == 0:
                    time.sleep(HELD_SECONDS)  # long enough for requests that only one revision can have answered
        gateway.close()
        return _seen(line, crowd.outcome, segments.read(stand.capture), longest)


def _seen(line: Timeline, told: Outcome, captured: segments.Captured, longest: list[float]) -> Seen:
    by_id = {each: (record["unit"], record["revision"]) for record in captured.predictions() for each in record["ids"]}
    out_of_time = certain = other = 0
    answered = np.flatnonzero(told.good)
    for at in answered.tolist():
        possible = line.possible(told.begun[at], told.ended[at])
        unit = told.units[told.unit[at]]
        certain += len(possible) == 1
        out_of_time += unit not in {line.units[revision - 1] for revision in possible}
        for row in range(told.rows_a_request):
            kept, revision = by_id.get(f"{told.prefix}{told.number[at]:012d}-{row}", ("", 0))
            other += kept != unit or revision not in possible or line.units[revision - 1] != unit
    return Seen(
        promotions=len(longest),
        requests=len(told.status),
        failed=told.failures,
        statuses=told.counts(),
        first_failure=told.first_failure,
        out_of_time=out_of_time,
        certain=certain,
        other_in_capture=other,
        longest_ms=float(told.seconds.max()) * 1e3,
        promotion_ms=float(np.median(longest)) * 1e3,
    )


def bars(seen: Seen) -> list[Bar]:
    return [
        Bar(f"{seen.promotions} promotions under load: failed of {seen.requests:,}", seen.failed, 0, least=False),
        Bar("answers by a unit that was not champion then", seen.out_of_time, 0, least=False),
        Bar("answers whose captured record says otherwise", seen.other_in_capture, 0, least=False),
    ]
