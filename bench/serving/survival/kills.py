"""`kill -9` of the only worker under load, again and again: what was answered is captured, and nobody fails but who was connected to it."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.serving.bars import Bar
from bench.serving.survival import segments
from bench.serving.survival.client import BROKEN, Crowd, Outcome
from bench.serving.survival.models import linear_unit
from bench.serving.survival.stand import Stand
from flyball.adapters.supervisor import GatewayProcess
from flyball.records.routing import Route


@dataclass(frozen=True)
class Scale:
    kills: int
    connections: int = 16
    between_seconds: float = 0.5
    """From being ready again to the next kill."""


FULL, SHORT = Scale(50), Scale(6)


@dataclass
class Seen:
    kills: int
    answered: int
    failed: int
    statuses: dict[int, int]
    first_failure: str
    lost: int
    """Answered rows without a captured record."""
    twice: int
    """Ids of more than one record."""
    damaged: int
    torn: int
    """Segments that end within a frame: at most one a kill."""
    unexplained: int
    """Failures on connections that no kill ended."""
    most_failed_at_once: int
    connections: int
    back_seconds: list[float]
    """From each kill to the first good answer after it."""


def measure(scale: Scale) -> Seen:
    with tempfile.TemporaryDirectory(prefix="bench-kills-") as name, Stand(Path(name)) as stand:
        stand.publish(Route(model="shop", champion=linear_unit(stand.directory, 0)))
        deaths: list[tuple[float, float]] = []
        with GatewayProcess(stand.state, arguments=("--lease-seconds", "1e6")) as gateway:
            port = int(gateway.url.rpartition(":")[2])
            plan = stand.plan(connections=scale.connections, prefix="k")
            plan.port = port
            with Crowd(plan) as crowd:
                for _ in range(scale.kills):
                    time.sleep(scale.between_seconds)
                    asked = time.monotonic()
                    gateway.kill()
                    deaths.append((asked, time.monotonic()))
                    gateway.start()
                time.sleep(scale.between_seconds)
        return _seen(deaths, crowd.outcome, segments.read(stand.capture), scale)


def _seen(deaths: list[tuple[float, float]], told: Outcome, captured: segments.Captured, scale: Scale) -> Seen:
    kept = [each for record in captured.predictions() for each in record["ids"]]
    answered = told.answered_ids()
    explained = np.zeros(len(told.status), dtype=bool)
    back, most = [], 0
    good, broken = told.good, told.status == BROKEN
    for asked, dead in deaths:
        fresh = told.ended[good & (told.begun >= dead)]  # what the dead one had written already may be read later
        first = float(fresh.min()) if len(fresh) else float("inf")
        back.append(first - asked)
        # A client that was kept waiting for a core reads the last answer of the dead one late, and asks again on a connection that ended with it.
        here = broken & (told.connected <= dead) & (told.ended >= asked) & (told.ended <= first)
        explained |= here
        most = max(most, int(here.sum()))
    return Seen(
        kills=len(deaths),
        answered=len(answered),
        failed=told.failures,
        statuses=told.counts(),
        first_failure=told.first_failure,
        lost=len(set(answered) - set(kept)),
        twice=len(kept) - len(set(kept)),
        damaged=captured.damaged,
        torn=captured.torn,
        unexplained=int((told.failed & ~explained).sum()),
        most_failed_at_once=most,
        connections=scale.connections,
        back_seconds=back,
    )


def bars(seen: Seen) -> list[Bar]:
    return [
        Bar(f"{seen.kills} × kill -9: not captured of {seen.answered:,} answered", seen.lost, 0, least=False),
        Bar("failed requests on connections that no kill ended", seen.unexplained, 0, least=False),
        Bar("failed at one kill, at most", seen.most_failed_at_once, seen.connections, least=False),
        Bar("damaged frames", seen.damaged, 0, least=False),
        Bar("first good answer after a kill, at the latest", max(seen.back_seconds), 2, least=False, unit=" s"),
    ]
