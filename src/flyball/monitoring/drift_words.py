"""What moved, in a sentence: the share of rows that changed most."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.streams import Stream

Floats = NDArray[np.float64]
Change = tuple[float, float, str]
"""Share in the window, share in the reference, and what is counted."""


def moved(stream: Stream, counts: Sequence[int]) -> str:
    """Such as `61 % of rows above 71.2, in the reference 35 %`."""
    now = np.asarray(counts, dtype=np.float64) / max(sum(counts), 1)
    then = np.asarray(stream.counts, dtype=np.float64) / max(sum(stream.counts), 1)
    changes = _categories(stream, now, then) if stream.kind == "category" else _numbers(stream, now, then)
    new, old, what = max(changes, key=lambda change: (abs(change[0] - change[1]), change[2]))
    return f"{_percent(new)} of rows {what}, in the reference {_percent(old)}"


def _categories(stream: Stream, now: Floats, then: Floats) -> Iterable[Change]:
    names = [
        "are missing",
        "have a value never seen before",
        "have a rare value",
        *(f"are {name!r}" for name in stream.categories),
    ]
    return [(float(new), float(old), name) for new, old, name in zip(now, then, names, strict=True)]


def _numbers(stream: Stream, now: Floats, then: Floats) -> Iterable[Change]:
    changes = [(float(now[0]), float(then[0]), "are missing")]
    heavy_from = stream.n_bins - len(stream.heavy)
    changes += [
        (float(now[heavy_from + place]), float(then[heavy_from + place]), f"are exactly {_number(value)}")
        for place, value in enumerate(stream.heavy)
    ]
    if len(stream.edges) < 2:
        changes.append((float(now[1]) + float(now[heavy_from - 1]), 0.0, "have a value never seen before"))
        return changes
    for place, edge in enumerate(stream.edges[1:-1], start=2):
        new = float(sum(now[place + 1 : heavy_from])) + _heavy_from(stream, now, edge)
        old = float(sum(then[place + 1 : heavy_from])) + _heavy_from(stream, then, edge)
        changes += (
            [(new, old, f"are at least {_number(edge)}")]
            if new >= old
            else [(1 - new - float(now[0]), 1 - old - float(then[0]), f"are below {_number(edge)}")]
        )
    changes.append((float(now[1]), float(then[1]), f"are below the reference's lowest, {_number(stream.edges[0])}"))
    changes.append(
        (
            float(now[heavy_from - 1]),
            float(then[heavy_from - 1]),
            f"are above the reference's highest, {_number(stream.edges[-1])}",
        )
    )
    return changes


def _heavy_from(stream: Stream, shares: Floats, edge: float) -> float:
    start = stream.n_bins - len(stream.heavy)
    return sum(float(shares[start + place]) for place, value in enumerate(stream.heavy) if value >= edge)


def _number(value: float) -> str:
    return f"{value:.4g}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.095 or share == 0 else f"{100 * share:.1f} %"
