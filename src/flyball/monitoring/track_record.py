"""Were the metrics of immature windows what they were said to be? Every window ends mature, so whoever completes it is found out.

The assumption behind a completed metric (live.py) cannot be tested on the window itself. It can on those before: their first completed interval either held
the value that all labels gave, or did not. Where intervals that claim to miss one in twenty miss too many, the metric is withheld and says so.
"""

import math
from collections.abc import Mapping

import msgspec

from flyball.records.evidence import Evidence

DISTRUST = 0.01
"""Chance that a metric whose intervals keep their word is withheld at one look, by bad luck."""
REMEMBERED = 60
"""Windows: what was learned of a delay long ago says little of today."""


class TrackRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Metric → for each window, oldest first, whether its first completed interval held the mature value."""

    held: dict[str, tuple[bool, ...]] = {}
    last_window: str = ""
    """The same window told again changes nothing."""


def recorded(record: TrackRecord, window: str, promised: Mapping[str, Evidence], final: Mapping[str, Evidence]) -> TrackRecord:
    """With one more window: `promised` when it was first completed, `final` when it was mature. Windows come in order of time."""
    if window == record.last_window:
        return record
    held = dict(record.held)
    for name, said in promised.items():
        came = final[name].value if name in final else None
        if came is not None and said.lower is not None and said.upper is not None:
            held[name] = (*held.get(name, ()), said.lower <= came <= said.upper)[-REMEMBERED:]
    return TrackRecord(held=held, last_window=window)


def kept(record: TrackRecord, completed: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """The completed metrics; without a value those whose record is too bad to be believed."""
    return {name: _withheld(evidence, record.held.get(name, ())) for name, evidence in completed.items()}


def _withheld(evidence: Evidence, held: tuple[bool, ...]) -> Evidence:
    n, missed = len(held), len(held) - sum(held)
    if evidence.alpha is None or _at_least(missed, n, evidence.alpha) >= DISTRUST:
        return evidence
    why = f"immature: of {n} windows completed before, {missed} missed the value that they came to; the delay hangs on something that is not captured"
    return msgspec.structs.replace(evidence, value=None, lower=None, upper=None, alpha=None, note=why)


def _at_least(missed: int, n: int, alpha: float) -> float:
    """Chance of so many misses or more in n, each with chance alpha."""
    return math.fsum(math.comb(n, k) * alpha**k * (1.0 - alpha) ** (n - k) for k in range(missed, n + 1))
