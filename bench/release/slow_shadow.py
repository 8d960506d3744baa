"""A shadow that takes five seconds a call: what production's median answer takes with it and without, side by side, round after round."""

from dataclasses import dataclass, field
from statistics import median

from bench.serving.bars import Bar
from bench.serving.survival import shadow

ALLOWED_MS = 1.0


@dataclass(frozen=True)
class Scale:
    rounds: int
    seconds: float
    """Of each; both gateways run in it at the same time, on the same machine."""
    rate: float = 200.0


FULL, SHORT = Scale(9, 12.0), Scale(3, 7.0)


@dataclass
class Seen:
    more_ms: list[float] = field(default_factory=list)
    """p50 with the shadow minus that without, of each round."""
    p50_ms: list[float] = field(default_factory=list)
    """Without."""
    answered: int = 0
    failed: int = 0
    unaccounted: int = 0
    """Rows that the shadow has neither scored, nor waits for, nor told dropped."""


def measure(scale: Scale) -> Seen:
    seen = Seen()
    for _ in range(scale.rounds):
        told = shadow.measure(shadow.Scale(scale.seconds, scale.rate))
        seen.more_ms.append(told.p50_ms[0] - told.p50_ms[1])
        seen.p50_ms.append(told.p50_ms[1])
        seen.answered += told.answered
        seen.failed += told.failed
        seen.unaccounted += abs(told.answered - told.shadowed - told.dropped - told.waiting)
    return seen


def bars(seen: Seen) -> list[Bar]:
    rounds = ", ".join(f"{more:+.2f}" for more in seen.more_ms)
    return [
        Bar(f"shadow of 5 s a call: p50 above that without ({median(seen.p50_ms):.2f} ms; rounds {rounds})", median(seen.more_ms), ALLOWED_MS,
            least=False, unit=" ms"),
        Bar(f"… failed requests of {seen.answered:,}", seen.failed, 0, least=False),
        Bar("… rows that nobody accounts for", seen.unaccounted, 0, least=False),
    ]  # fmt: skip
