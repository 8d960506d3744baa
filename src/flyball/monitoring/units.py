"""Numbers that are the reference's in another unit: a known conversion, or a bare factor."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.stats import log_buckets

Floats = NDArray[np.float64]


class Conversion(NamedTuple):
    factor: float
    offset: float
    words: str
    """Such as `minutes → seconds`; empty: a factor that belongs to no unit known here."""


_SCALES = (
    (60.0, "minutes → seconds or hours → minutes"), (1000.0, "units → thousandths, such as kg → g or s → ms"),
    (100.0, "units → hundredths, such as euros → cents or a share → per cent"), (3600.0, "hours → seconds"), (24.0, "days → hours"),
    (86400.0, "days → seconds"), (1440.0, "days → minutes"), (1e6, "units → millionths, such as s → µs"), (10.0, "a decimal place"),
    (1.609344, "miles → km"), (2.54, "inches → cm"), (3.28084, "m → feet"), (2.204623, "kg → lb"), (3.6, "m/s → km/h"), (12.0, "years → months or feet → inches"),
    (7.0, "weeks → days"), (25.4, "inches → mm"), (28.349523, "oz → g"), (4.184, "kcal → kJ"), (3.785412, "gallons → l"), (57.29578, "radians → degrees"),
)  # fmt: skip
"""The commoner first: where two fit alike, that is how they are named."""


def _backwards(words: str) -> str:
    """`minutes → seconds or hours → minutes` the other way round."""
    head, comma, tail = words.partition(", such as ")
    turned = " or ".join(" → ".join(reversed(part.split(" → "))) for part in (tail or head).split(" or "))
    return f"{' → '.join(reversed(head.split(' → ')))}{comma}{turned}" if comma else turned


KNOWN = (
    *(Conversion(factor, 0.0, words) for factor, words in _SCALES),
    *(Conversion(1.0 / factor, 0.0, _backwards(words)) for factor, words in _SCALES),
    Conversion(-1.0, 0.0, "the sign turned round"),
    Conversion(5.0 / 9.0, -160.0 / 9.0, "°F → °C"), Conversion(1.8, 32.0, "°C → °F"), Conversion(1.0, 273.15, "°C → K"),
    Conversion(1.0, -273.15, "K → °C"), Conversion(5.0 / 9.0, 255.372222, "°F → K"), Conversion(1.8, -459.67, "K → °F"),
)  # fmt: skip

FEWEST = 20
"""Values (zeros left out, where a factor leaves them) below which no unit is recognised: any two handfuls look alike."""
MOVED = 0.25
"""Least distance to the reference as it stands."""
SHARPER = 4.0
"""The fit is to be so many times nearer than the numbers as they stand."""
SLACK = 0.04
"""Distance that knots (a thirty-third) and windows that differ a little add to sampling noise."""
BARE_FACTOR = 3.0
"""A factor that belongs to no known unit is believed from here on, either way: prices may well double."""
NEARER, BARE_NEARER = 0.4, 0.6
"""Times the standard error of a distance, and 0.02 at least: conversions within it fit alike; a bare factor is told before a known one only where it is so much nearer.
It is fitted to the window, so its distance is the smaller one also where the known one is the true one: by less than BARE_NEARER in 98 of 100 windows of 100 rows."""
LEAST_NEARER = 0.02


def noise(n: int, reference: int) -> float:
    """Kolmogorov's two-sample distance that one of 50 pairs exceeds (Smirnov 1948), and SLACK: some fifty conversions are tried."""
    return math.sqrt(-math.log(0.02 / 2.0) / 2.0) * math.sqrt(1.0 / max(n, 1) + 1.0 / max(reference, 1)) + SLACK


class _Numbers(NamedTuple):
    """A window's, in buckets of stats/log_buckets."""

    places: NDArray[np.int64]
    times: Floats
    level: int

    def where(self, kept: NDArray[np.bool_]) -> "_Numbers":
        return self._replace(places=self.places[kept], times=self.times[kept])


def recognised(buckets: Mapping[int, int], quantiles: Sequence[float], reference: int, level: int = 0) -> Conversion | None:
    """The conversion that turns the reference into these numbers, or None.

    `quantiles`: equally likely values of the reference; `reference`: how many rows they stand for; `level`: of the buckets.
    """
    places = np.fromiter(buckets.keys(), dtype=np.int64, count=len(buckets))
    times = np.fromiter(buckets.values(), dtype=np.float64, count=len(buckets))
    seen = _Numbers(places, times, level)
    before = np.asarray(quantiles, dtype=np.float64)
    if times.sum() < FEWEST or np.unique(before).size < 3:
        return None
    fits = [(_distance(seen, before, known), known) for known in KNOWN]
    free = _free(seen, before)
    nearest = min(fit for fit, _ in fits)
    error = math.sqrt(1.0 / float(times.sum()) + 1.0 / max(reference, 1))
    near = [(fit, known) for fit, known in fits if fit <= nearest + max(NEARER * error, LEAST_NEARER)]
    alike = [known for fit, known in near if _holds(seen, before, (fit, known), reference)]
    if free is not None and max(abs(free.factor), 1.0 / abs(free.factor)) >= BARE_FACTOR:
        fit = _distance(seen, before, free)
        nearer = not alike or fit < nearest - max(BARE_NEARER * error, LEAST_NEARER)
        if nearer and _holds(seen, before, (fit, free), reference):
            return free
    return alike[0]._replace(words=", or ".join(known.words for known in alike[:3])) if alike else None


def _holds(seen: _Numbers, before: Floats, best: tuple[float, Conversion], reference: int) -> bool:
    places, times = seen.places, seen.times
    keeps_zero = best[1].offset == 0.0
    n = times[places != 0].sum() if keeps_zero else times.sum()
    zeros_now, zeros_then = float(times[places == 0].sum()) / float(times.sum()), float(np.mean(before == 0.0))
    if n < FEWEST or (keeps_zero and abs(zeros_now - zeros_then) > noise(int(times.sum()), reference)):
        return False
    as_it_stands = _distance(seen, before, Conversion(1.0, 0.0 if keeps_zero else 1e-12, ""))
    return best[0] <= noise(int(n), reference) and as_it_stands >= MOVED and as_it_stands >= SHARPER * best[0]


def _distance(seen: _Numbers, before: Floats, by: Conversion) -> float:
    if by.offset == 0.0:  # a factor leaves zeros: the others alone tell it
        moved, there = before[before != 0.0] * by.factor, seen.where(seen.places != 0)
        return log_buckets.distance(there.places, there.times, moved, seen.level) if moved.size and there.places.size else 1.0
    return log_buckets.distance(seen.places, seen.times, before * by.factor + by.offset, seen.level)


def _free(seen: _Numbers, before: Floats) -> Conversion | None:
    """The factor between the middle values, zeros left out; known to a bucket: 2 % where none are joined."""
    there, old = seen.where(seen.places != 0), np.sort(before[before != 0.0])
    if not there.places.size or old.size < 3:
        return None
    order, width = np.argsort(there.places), 2**seen.level - 1
    ordered, below = there.places[order], np.append(0.0, np.cumsum(there.times[order])) / there.times.sum()
    levels = (np.arange(old.size) + 0.5) / old.size
    at = np.minimum(np.searchsorted(below[1:], levels), ordered.size - 1)
    within = (levels - below[at]) / (below[at + 1] - below[at])  # evenly over those that were joined
    now = ordered[at] + width * (within - (ordered[at] < 0))
    agree = np.sign(now) == np.sign(old)
    if agree.mean() < 0.9:
        return None
    steps = np.abs(now[agree]) - np.abs(log_buckets.bucket_of(old[agree]))
    factor = 2.0 ** (float(np.median(steps)) / log_buckets.PER_DOUBLING)
    return Conversion(float(f"{factor:.2g}"), 0.0, "")
