"""A canary that fails every second time, then heals: when its circuit opens, how often it is asked meanwhile, when it closes."""

import tempfile
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from bench.serving.bars import Bar
from bench.serving.survival.client import Crowd
from bench.serving.survival.models import CodeModel, code_unit, linear_unit
from bench.serving.survival.stand import Stand
from flyball.records.routing import Route

OPEN_SECONDS = 0.8
"""Between two calls: under this load a canary that is asked as ever is called many times in it."""

HEAL_SECONDS = 12.0
MANY = 5


@dataclass(frozen=True)
class Scale:
    failing_seconds: float
    rate: float = 100.0


FULL, SHORT = Scale(30.0), Scale(8.0)


@dataclass
class Seen:
    opened_seconds: float = float("inf")
    """From the first failure to the last call before it was left alone."""
    probes: list[float] = field(default_factory=list)
    """Seconds between calls while it was open."""
    reopened: int = 0
    """How often it was let in while it still failed."""
    closed_seconds: float = float("inf")
    """From healing to the first of the calls that come as ever."""
    failing_seconds: float = 0.0
    failed: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    first_failure: str = ""


def measure(scale: Scale) -> Seen:
    with tempfile.TemporaryDirectory(prefix="bench-breaker-") as name, Stand(Path(name)) as stand:
        journal, switch = stand.directory / "journal", stand.directory / "fails"
        canary = code_unit(stand.directory, "canary", CodeModel(journal=str(journal), fails=str(switch)))
        stand.publish(Route(model="shop", champion=linear_unit(stand.directory, 0), canary=canary, canary_weight=0.5, salt="b"))
        stand.start()
        with Crowd(stand.plan(connections=8, rate=scale.rate)) as crowd:
            time.sleep(1.5)
            switch.touch()
            time.sleep(scale.failing_seconds)
            switch.unlink()
            healed = time.monotonic()
            while time.monotonic() < healed + HEAL_SECONDS and not _asked_as_ever(journal):
                time.sleep(0.2)
            time.sleep(0.5)
        calls = [(float(line.split()[0]), line.split()[2] == "1") for line in journal.read_text().splitlines()]
        seen = _seen(calls, healed)
        seen.failing_seconds = scale.failing_seconds
        seen.failed, seen.statuses, seen.first_failure = (
            crowd.outcome.failures,
            crowd.outcome.counts(),
            crowd.outcome.first_failure,
        )
        return seen


def _asked_as_ever(journal: Path) -> bool:
    """Whether the last calls lie close together."""
    lines = journal.read_text().splitlines()[-MANY:]
    return time.monotonic() - float(lines[0].split()[0]) < OPEN_SECONDS


def _seen(calls: list[tuple[float, bool]], healed: float) -> Seen:
    seen = Seen()
    times = [at for at, _ in calls]
    first_failure = next(at for at, broken in calls if broken)
    gaps = [(a, b) for a, b in pairwise(times) if b - a > OPEN_SECONDS and a >= first_failure]
    if not gaps:
        return seen
    seen.opened_seconds = gaps[0][0] - first_failure
    last_probe = gaps[-1][1]
    # A call soon after the one before, while it was open, is a batch that was halved or a circuit that was closed too early.
    between = [at for at in times if gaps[0][0] <= at <= last_probe]
    seen.probes = [b - a for a, b in pairwise(between)]
    seen.reopened = sum(1 for (_, b), (a, _) in pairwise(gaps) if a != b and b < healed)
    after = [at for at in times if at >= last_probe]
    seen.closed_seconds = max(last_probe - healed, 0.0) if len(after) > MANY else float("inf")
    return seen


def bars(seen: Seen) -> list[Bar]:
    probes = [each for each in seen.probes if each < OPEN_SECONDS]
    return [
        Bar("canary that fails every second call: its circuit opens after", seen.opened_seconds, 2, least=False, unit=" s"),
        Bar(f"… calls in a row within a second while open, of {len(seen.probes)}", len(probes), 0, least=False),
        Bar("… let in again while it failed", seen.reopened, seen.failing_seconds / 60, least=False),
        Bar("… answers again after healing", seen.closed_seconds, 10, least=False, unit=" s"),
        Bar("… failed requests", seen.failed, 0, least=False),
    ]
