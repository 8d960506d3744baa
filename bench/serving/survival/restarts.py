"""Workers are replaced one after the other under load: nobody fails."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.serving.bars import Bar
from bench.serving.survival import segments
from bench.serving.survival.client import Crowd
from bench.serving.survival.models import linear_unit
from bench.serving.survival.stand import Stand
from flyball.records.routing import Route

WORKERS = 2


@dataclass(frozen=True)
class Scale:
    rounds: int
    requests: int
    connections: int = 64
    pause_seconds: float = 0.06
    """Mean silence of a connection between two requests: who is silent at the moment when it is closed is the hard case."""


FULL, SHORT = Scale(20, 50_000), Scale(3, 3_000)


@dataclass
class Seen:
    rounds: int
    requests: int
    failed: int
    statuses: dict[int, int]
    first_failure: str
    lost: int
    """Answered rows without a captured record."""
    longest_ms: float


def measure(scale: Scale) -> Seen:
    with tempfile.TemporaryDirectory(prefix="bench-restarts-") as name, Stand(Path(name)) as stand:
        stand.publish(Route(model="shop", champion=linear_unit(stand.directory, 0)))
        workers = [stand.start(f"w{number}") for number in range(WORKERS)]
        rounds, asked = 0, 0.0
        with Crowd(stand.plan(connections=scale.connections, pause_seconds=scale.pause_seconds)) as crowd:
            while rounds < scale.rounds or asked < scale.requests:
                for number, old in enumerate(workers):
                    workers[number] = stand.start(f"w{number}_{rounds % 2}")
                    asked += old.metric("flyball_requests_total", door="predict")
                    old.terminate()
                    old.process.wait(timeout=60)
                rounds += 1
            time.sleep(0.2)
        kept = {each for record in segments.read(stand.capture).predictions() for each in record["ids"]}
        told = crowd.outcome
        return Seen(
            rounds=rounds,
            requests=len(told.status),
            failed=told.failures,
            statuses=told.counts(),
            first_failure=told.first_failure,
            lost=len(set(told.answered_ids()) - kept),
            longest_ms=float(told.seconds.max()) * 1e3,
        )


def bars(seen: Seen) -> list[Bar]:
    return [
        Bar(f"{seen.rounds} rolling restarts: failed of {seen.requests:,}", seen.failed, 0, least=False),
        Bar("answered and not captured", seen.lost, 0, least=False),
    ]
