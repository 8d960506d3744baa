"""What was foretold of acts beside what they brought, as tables and promises."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from bench.serving.bars import Bar

INSIDE = 0.9
"""Of the effects that were measured, where intervals claim 0.95 for a world that does not move in between."""


class Judged(NamedTuple):
    """Of one act: mean loss of the new champion minus the old one's."""

    brought: float
    low: float
    """Of where it was foretold to lie."""
    high: float

    @property
    def inside(self) -> bool:
        return self.low <= self.brought <= self.high


def bar(seen: dict[str, Any], where: str = "") -> Bar:
    judged = [each for acts in seen.values() for each in _judged(acts)]
    share = sum(each.inside for each in judged) / len(judged) if judged else float("nan")
    return Bar(f"of {len(judged)} effects{where}, inside of what was foretold", share, INSIDE, least=True)


def tables_of(seen: dict[str, Any]) -> tuple[Table, ...]:
    made = Table(
        "stream", "foretold and measured", "inside", "worse", "better", "share inside (95 % interval)", "half width, median", "brought, median size",
        "foretold other than 0", box=None, pad_edge=False,
    )  # fmt: skip
    of_all = [each for acts in seen.values() for each in acts]
    for name, acts in [*seen.items(), *([("all", of_all)] if len(seen) > 1 else [])]:
        judged = _judged(acts)
        inside, worse = sum(each.inside for each in judged), sum(each.brought > each.high for each in judged)
        made.add_row(
            name, str(len(judged)), str(inside), str(worse), str(len(judged) - inside - worse), _share(inside, len(judged)),
            _middle([(each.high - each.low) / 2.0 for each in judged]), _middle([abs(each.brought) for each in judged]),
            str(sum(not each.low <= 0.0 <= each.high for each in judged)),
        )  # fmt: skip
    return (made,)


def _judged(acts: Sequence[dict[str, float]]) -> list[Judged]:
    return [Judged(**each) for each in acts]


def _share(inside: int, of: int) -> str:
    from scipy.stats import binomtest

    if not of:
        return "–"
    low, high = binomtest(inside, of).proportion_ci()  # Clopper & Pearson 1934
    return f"{inside / of:.0%} ({low:.0%} to {high:.0%})"


def _middle(values: Sequence[float]) -> str:
    return f"{np.median(values):.4f}" if values else "–"
