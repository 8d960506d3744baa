"""The best policy of a comparison beside the next one, month by month: whether it was shown to be better, or one draw is all there is. Pure."""

import math
from collections.abc import Sequence

import msgspec

from flyball.stats.student import t_quantile

ALPHA = 0.05
"""Chance that the best is called better than the next though they differ by chance alone, where months are independent."""
LEAST_MONTHS = 4
"""Below which Student's t says nothing that helps (at 2 months its interval is 13 standard errors wide on each side), and its quantile here is no more exact."""

ALIKE = 1e-9
"""Of a difference: without it the last bits of sums would make an interval of months that all differ by the same."""


class Margin(msgspec.Struct, frozen=True, kw_only=True):
    """Of the best over the next of the ranked ones."""

    over: str
    """Name of the next."""
    months: int
    """In which both are ranked and have a figure."""
    mean: float | None
    """By how much less it cost a month, or how many errors fewer it made; None: too few months to say."""
    lower: float | None
    upper: float | None
    """Both: of Student's interval of the mean at `ALPHA`."""
    shown: bool
    """It was shown to be better: the interval lies above 0, and months differ, without which there is none."""
    words: str


def margin_of(over: str, differences: Sequence[float], unit: str) -> Margin:
    """`differences`: of each month, what the next lost less what the best lost, in `unit`."""
    months = len(differences)
    if months < LEAST_MONTHS:
        count = f"{months} month" + ("" if months == 1 else "s")
        words = f"not shown to differ from {over}: {count} in which both answered as much, fewer than the {LEAST_MONTHS} that an interval needs"
        return Margin(over=over, months=months, mean=None, lower=None, upper=None, shown=False, words=words)
    mean = math.fsum(differences) / months
    spread = math.sqrt(math.fsum((each - mean) ** 2 for each in differences) / (months - 1))
    half = t_quantile(1.0 - ALPHA / 2.0, months - 1) * spread / math.sqrt(months)
    lower, upper = mean - half, mean + half
    alike = math.isclose(min(differences), max(differences), rel_tol=ALIKE)
    shown = lower > 0.0 and not alike
    if alike:
        words = f"not shown to differ from {over}: {mean:.3g} {unit} a month less in each of {months} months, of which no interval can be made"
    elif upper < 0.0:  # the best of all months together, which one month made, or months that only one of them answered
        words = (
            f"worse than {over} in the months that both answered: {_told(-mean, -upper, -lower, f'{unit} a month more', months)}"
        )
    else:
        words = f"{'better than' if shown else 'not shown to differ from'} {over}: {_told(mean, lower, upper, f'{unit} a month less', months)}"
    return Margin(over=over, months=months, mean=_short(mean), lower=_short(lower), upper=_short(upper), shown=shown, words=words)


def _told(mean: float, lower: float, upper: float, unit: str, months: int) -> str:
    return f"{mean:.3g} {unit} ({lower:.3g} to {upper:.3g}, {1.0 - ALPHA:.0%}, of {months} months)"


def _short(value: float) -> float:
    return float(f"{value:.8g}")
