"""What moved, in a sentence: the share of rows that changed most."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.edge_words import highest_of, of_stream
from flyball.monitoring.streams import Stream

Floats = NDArray[np.float64]
Change = tuple[float, float, str]
"""Share in the window, share before, and what is counted."""


def moved(stream: Stream, counts: Sequence[int], before: Sequence[int]) -> str:
    """Such as `61 % of rows are at least 71.2, before 35 %`."""
    now = np.asarray(counts, dtype=np.float64) / max(sum(counts), 1)
    then = np.asarray(before, dtype=np.float64) / max(sum(before), 1)
    changes = _categories(stream, now, then) if stream.kind == "category" else _numbers(stream, now, then)
    new, old, what = max(changes, key=lambda change: (round(abs(change[0] - change[1]), 9), change[2]))
    return f"{percent(new)} of rows {what}, before {percent(old)}"


def _categories(stream: Stream, now: Floats, then: Floats) -> Iterable[Change]:
    names = [
        "are missing",
        "have a value never seen before",
        "have a rare value",
        *(f"are {name!r}" for name in stream.categories),
    ]
    return [(float(new), float(old), name) for new, old, name in zip(now, then, names, strict=True)]


def _numbers(stream: Stream, now: Floats, then: Floats) -> Iterable[Change]:
    written = of_stream(stream)
    changes = [(float(now[0]), float(then[0]), "are missing")]
    changes += [
        (float(now[place]), float(then[place]), f"are exactly {written(value)}")
        for place, value in zip(stream.heavy_bins, stream.heavy, strict=True)
    ]
    if not stream.edges:
        changes.append((float(now[1]), float(then[1]), "have a value never seen before"))
        return changes
    lowest, highest = stream.edges[0], highest_of(stream)
    changes.append((float(now[1]), float(then[1]), f"are below the lowest before, {written(lowest)}"))
    changes.append((float(now[-1]), float(then[-1]), f"are above the highest before, {written(highest)}"))
    after_heavy = {stream.edges[place - 1]: value for place, value in zip(stream.heavy_bins, stream.heavy, strict=True)}
    for place, edge in enumerate(stream.edges[1:-1], start=2):
        new, old = float(now[place + 1 :].sum()), float(then[place + 1 :].sum())
        value, above = (after_heavy[edge], True) if edge in after_heavy else (edge, False)
        if new >= old:
            changes.append((new, old, f"are {'above' if above else 'at least'} {written(value)}"))
        else:
            under = float(now[1 : place + 1].sum()), float(then[1 : place + 1].sum())
            changes.append((*under, f"are {'at most' if above else 'below'} {written(value)}"))
    return changes


def percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.095 or share == 0 else f"{100 * share:.1f} %"
