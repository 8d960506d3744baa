"""Which pair of columns goes together otherwise, in a sentence; and whether a joint alarm says more than the marginal alarms beside it."""

from collections.abc import Collection

import msgspec
import numpy as np

from flyball.monitoring.joint import Directions, Pair, columns_of
from flyball.monitoring.joint_rows import PairCounts
from flyball.records.findings import Finding, FindingKind
from flyball.stats import contingency

CLEARLY = 3.7
"""Standard normal deviate. Without change one pair in 10,000 reaches it, in windows of 100 rows one in 500 or so: small cells have longer tails."""
LEAST_SHARE = 0.02
"""Of rows that are paired otherwise. A shift of the margins alone moves up to about a hundredth: codes are ranges, and values move within them."""

LEAST_GAIN = 0.1
"""Of association: twice almost nothing is almost nothing."""


class PairChange(msgspec.Struct, frozen=True, kw_only=True):
    first: str
    second: str
    normal: float
    """Standard normal deviate of the change of dependence, beyond what the reference's windows show."""
    share: float
    """Of the rows that are paired otherwise than the reference would pair them."""
    association: float
    """Cramér's V in the window, in [0, 1]."""
    before: float
    """The same in the reference."""
    words: str

    @property
    def broken(self) -> bool:
        return self.association <= self.before / 2.0 or self.association >= 2.0 * self.before + LEAST_GAIN

    @property
    def clear(self) -> bool:
        return self.normal >= CLEARLY and self.share >= LEAST_SHARE


def changes(directions: Directions, counted: PairCounts) -> tuple[PairChange, ...]:
    """Every pair that was counted, the one whose dependence changed most first. The margins' own change is taken out."""
    found = [
        _change(directions, pair, counts) for pair, counts in zip(directions.pairs, counted.counts, strict=True) if sum(counts)
    ]
    return tuple(sorted(found, key=lambda change: (not change.clear, -change.share, change.first, change.second)))


def tell(
    directions: Directions, counted: PairCounts, findings: tuple[Finding, ...], drifted: Collection[str]
) -> tuple[Finding, ...]:
    """The window's drift findings with joint ones in words, and without those that say nothing new.

    `drifted`: columns with an alarm of their own in this window, or with one that still stands. A pair that is clearly paired otherwise is told; one of
    whose columns drifted alone, only if it lost half of its association or doubled it, since ranges are no longer what they were. Where no pair is to be
    told, an alarm beside any such column is explained by it and dropped. What is left of surprises is many small shifts in one direction, which is no
    change of dependence and is not called so. Budget is spent either way.
    """
    if not any(finding.subject in directions.names for finding in findings):
        return findings  # most windows: what each pair does takes longer to say than everything else
    found = changes(directions, counted)
    told = [
        finding if finding.subject not in directions.names else _retold(directions, finding, found, drifted)
        for finding in findings
    ]
    return tuple(finding for finding in told if finding is not None)


def _retold(directions: Directions, finding: Finding, found: tuple[PairChange, ...], drifted: Collection[str]) -> Finding | None:
    among = columns_of(directions, finding.subject)
    inside = [change for change in found if {change.first, change.second} <= set(among)]
    beside = [change for change in found if {change.first, change.second} & set(among)]
    clear = [
        change
        for change in inside + beside
        if change.clear and (change.broken or not {change.first, change.second} & set(drifted))
    ]
    if clear:
        return msgspec.structs.replace(finding, kind=FindingKind.JOINT_DRIFT, words=clear[0].words)
    if drifted:
        return None
    if any(finding.subject == component.name for component in directions.components):
        words = f"{_listed(among)} no longer go together as in the reference; the difference is finer than the ranges that pairs are counted in"
        return msgspec.structs.replace(finding, kind=FindingKind.JOINT_DRIFT, words=words)
    words = f"{_listed(among)} moved together, each too little to stand out alone; they still go together as in the reference"
    return msgspec.structs.replace(finding, kind=FindingKind.FEATURE_DRIFT, words=words)


def _listed(names: tuple[str, ...]) -> str:
    shown = list(names[:4]) + ([f"{len(names) - 4} more"] if len(names) > 4 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _change(directions: Directions, pair: Pair, counts: tuple[int, ...]) -> PairChange:
    first, second = directions.columns[pair.first], directions.columns[pair.second]
    shape = (first.n_codes, second.n_codes)
    then, now = np.asarray(pair.counts).reshape(shape), np.asarray(counts).reshape(shape)
    measured = contingency.dependence_change(then, now)
    expected = contingency.fitted_to_margins(contingency.smoothed(then), now.sum(axis=1), now.sum(axis=0))
    place = np.unravel_index(int(np.argmax(np.abs(now - expected))), shape)
    is_now, was = (100.0 * float(table[place]) / max(int(now.sum()), 1) for table in (now, expected))
    words = (
        f"{first.name} and {second.name} go together otherwise: {is_now:.1f} % of rows have {first.name} {first.says(int(place[0]))} "
        f"with {second.name} {second.says(int(place[1]))}, expected {was:.1f} %"
    )
    # A factor on the statistic is about its square root on the deviate; of a negative deviate nothing is made.
    normal = max(measured.normal, 0.0) / float(np.sqrt(pair.spread))
    return PairChange(
        first=first.name,
        second=second.name,
        normal=round(normal, 3),
        share=round(measured.share, 5),
        association=round(contingency.association(now), 5),
        before=round(contingency.association(then), 5),
        words=words,
    )
