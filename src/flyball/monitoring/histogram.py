"""A stream's bins as a person sees them: few bars, named."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from flyball.monitoring.streams import Stream
from flyball.records.findings import Histogram

MOST_BARS = 14
"""As many as one look takes in."""

Named = tuple[str, float, float]
"""Label, share in the reference, share in the window."""


def histogram_of(stream: Stream, counts: Sequence[int]) -> Histogram | None:
    """The reference beside a window; None: one of them is empty. Bars that nobody fills in either are left out."""
    then, now = np.asarray(stream.counts, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if not then.sum() or not now.sum():
        return None
    then, now = then / then.sum(), now / now.sum()
    bars = _categories(stream, then, now) if stream.kind == "category" else _numbers(stream, then, now)
    shown = [(label, round(float(a), 5), round(float(b), 5)) for label, a, b in bars if a > 0 or b > 0]
    return Histogram(
        labels=tuple(each[0] for each in shown),
        reference=tuple(each[1] for each in shown),
        window=tuple(each[2] for each in shown),
    )


def _categories(stream: Stream, then: np.ndarray, now: np.ndarray) -> list[Named]:
    bars = [("missing", then[0], now[0]), ("never seen", then[1], now[1]), ("rare", then[2], now[2])]
    named = sorted(zip(stream.categories, then[3:], now[3:], strict=True), key=lambda bar: (-max(bar[1], bar[2]), bar[0]))
    rest = named[MOST_BARS - 3 :]
    others = [("others", sum(bar[1] for bar in rest), sum(bar[2] for bar in rest))] if rest else []
    return [*named[: MOST_BARS - 3], *others, *bars]


def _numbers(stream: Stream, then: np.ndarray, now: np.ndarray) -> list[Named]:
    """Quantile bins in order, neighbours joined until they are few; heavy values by themselves."""
    heavy_from = stream.n_bins - len(stream.heavy)
    bars: list[Named] = []
    for first, last in _joined(len(stream.edges) - 1, MOST_BARS - len(stream.heavy) - 3):
        label = f"{stream.edges[first]:.4g} to {stream.edges[last]:.4g}"
        bars.append((label, then[2 + first : 2 + last].sum(), now[2 + first : 2 + last].sum()))
    if stream.edges:
        bars.insert(0, (f"below {stream.edges[0]:.4g}", then[1], now[1]))
        bars.append((f"above {stream.edges[-1]:.4g}", then[heavy_from - 1], now[heavy_from - 1]))
    else:
        bars.append(("never seen", then[1] + then[heavy_from - 1], now[1] + now[heavy_from - 1]))
    bars += [(f"= {value:.4g}", then[heavy_from + place], now[heavy_from + place]) for place, value in enumerate(stream.heavy)]
    return [*bars, ("missing", then[0], now[0])]


def _joined(bins: int, most: int) -> Iterator[tuple[int, int]]:
    if bins > 0:
        yield from pairwise(dict.fromkeys(np.linspace(0, bins, max(min(bins, most), 1) + 1).round().astype(int).tolist()))
