"""A stream's bins as a person sees them: few bars, named."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.edge_words import highest_of, of_stream
from flyball.monitoring.streams import Stream
from flyball.records.findings import Finding, Histogram

MOST_BARS = 14
"""As many as one look takes in."""

Floats = NDArray[np.float64]
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


def pictured(findings: Iterable[Finding], known: Iterable[Stream], counts: Mapping[str, Sequence[int]]) -> tuple[Finding, ...]:
    """With the reference beside the window, for whoever looks. `counts`: stream → the window's, per bin."""
    streams = {stream.name: stream for stream in known}
    return tuple(
        msgspec.structs.replace(finding, histogram=histogram_of(streams[finding.subject], counts[finding.subject]))
        if finding.subject in streams and finding.subject in counts
        else finding
        for finding in findings
    )


def _categories(stream: Stream, then: Floats, now: Floats) -> list[Named]:
    bars = [("missing", then[0], now[0]), ("never seen", then[1], now[1]), ("rare", then[2], now[2])]
    named = sorted(zip(stream.categories, then[3:], now[3:], strict=True), key=lambda bar: (-max(bar[1], bar[2]), bar[0]))
    rest = named[MOST_BARS - 3 :]
    others = [("others", sum(bar[1] for bar in rest), sum(bar[2] for bar in rest))] if rest else []
    return [*named[: MOST_BARS - 3], *others, *bars]


def _numbers(stream: Stream, then: Floats, now: Floats) -> list[Named]:
    """Bins in order, neighbours joined until they are few; heavy values by themselves."""
    missing = ("missing", then[0], now[0])
    if not stream.edges:
        return [("never seen", then[1], now[1]), missing]
    written = of_stream(stream)
    bars: list[Named] = [(f"below {written(stream.edges[0])}", then[1], now[1])]
    for first, last in _joined(stream, then):
        edge = stream.edges[first - 2]
        heavy = last == first + 1 and first in stream.heavy_bins
        upper = highest_of(stream) if last == stream.n_bins - 1 else stream.edges[last - 2]
        label = f"= {written(edge)}" if heavy else f"{written(edge)} to {written(upper)}"
        bars.append((label, then[first:last].sum(), now[first:last].sum()))
    return [*bars, (f"above {written(highest_of(stream))}", then[-1], now[-1]), missing]


def _joined(stream: Stream, then: Floats) -> Iterator[tuple[int, int]]:
    """Ranges of bins: each heavy value, and others up to an equal part of the reference."""
    heavy, start, held = set(stream.heavy_bins), 2, 0.0
    last = stream.n_bins - 1
    for place in range(2, last):
        held += then[place]
        ends = place in heavy or place + 1 in heavy or place + 1 == last or held >= 1.0 / MOST_BARS
        if ends:
            yield start, place + 1
            start, held = place + 1, 0.0
