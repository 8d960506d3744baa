"""What a release is judged by: each guard's number is how much worse the challenger is than the champion, with an interval that holds at every look.

All are confidence sequences (`stats/sequences.py`) under any dependence between rows; of means, what they cover is the average so far of what was to be
expected at each row.
"""

import hashlib
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.records.evidence import Evidence, Outcome, Verdict
from flyball.release.policy import GuardRule
from flyball.stats.dependence import autocorrelation_time, block_length, block_means
from flyball.stats.heavy_tails import cut
from flyball.stats.quantile_sequences import quantile_difference
from flyball.stats.sequences import Interval, mean_sequence
from flyball.stats.two_means import mean_difference
from flyball.stats.two_proportions import rate_difference
from flyball.stats.two_samples import Difference

Floats = npt.NDArray[np.float64]

LEARNT_FROM = 500
"""First rows of a release from which it is learnt how alike neighbours are: the same at every later look."""
TOLD_FROM = 1.5
"""Autocorrelation time; of 500 independent rows it seldom comes out as large."""
_QUANTILES = "confidence sequence of the difference of two quantiles (after Howard & Ramdas 2022)"
_PAIRED = "confidence sequence of the mean paired difference (after Howard et al. 2021)"
_LATER = " (a minute counts some two minutes after its end)"


def loss(champion: npt.ArrayLike, challenger: npt.ArrayLike, rule: GuardRule, *, blocks: bool = False) -> Evidence:
    """The mean of challenger − champion over the same labelled rows.

    Both (n,): bounded losses in [0, 1], in the order in which the labels arrived, since the release opened. No pair or a loss that is
    not finite: value None and a note. Raises ValueError when the lengths differ or a loss is outside [0, 1].

    Rows that are alike (a storm, a busy client) leave the interval true of these days and not of the long run: it is said how many independent rows they
    are worth. `blocks`: means of blocks are judged instead, long enough to be independent; how long is learnt from the first rows, which then do not count.
    """
    first, second = _pair(champion, challenger)
    inputs, difference = _digest(first, second), second - first
    if blocks:
        return _blocked(difference, rule, inputs)
    found = _mean_difference(difference, rule, inputs)
    alike = autocorrelation_time(difference[:LEARNT_FROM]) if difference.size >= LEARNT_FROM else 1.0
    if found.value is None or alike < TOLD_FROM:
        return found
    words = f"rows are alike: {found.n} tell of the long run as much as {found.n / alike:.0f} independent ones"
    return msgspec.structs.replace(found, note=words)


def _blocked(difference: Floats, rule: GuardRule, inputs: str) -> Evidence:
    if not np.isfinite(difference).all():
        return _mean_difference(difference, rule, inputs)
    if difference.size < LEARNT_FROM:
        return unknown(rule, 0, "blocks", f"{LEARNT_FROM} rows tell how long blocks must be", inputs)
    length = block_length(difference[:LEARNT_FROM])
    means = block_means(difference[LEARNT_FROM:], length)
    if not means.size:
        words = f"no block of {length} is full yet after the {LEARNT_FROM} rows that told how long it must be"
        return unknown(rule, 0, "blocks", words, inputs)
    interval = mean_sequence(means, rule.alpha, -1.0, 1.0)
    return _found(rule, interval, "blocks", inputs, _PAIRED, note=f"of {length} rows each, nearly independent of one another")


def failure_rate(champion: tuple[int, int], challenger: tuple[int, int], rule: GuardRule) -> Evidence:
    """Each: (rows that it could not answer, rows that it was asked) since the release opened. Raises ValueError when a count is impossible."""
    (failed, asked), (other_failed, other_asked) = champion, challenger
    inputs = hashlib.sha256(f"{failed}/{asked} {other_failed}/{other_asked}".encode()).hexdigest()
    interval = rate_difference(failed, asked, other_failed, other_asked, rule.alpha)
    if interval.n == 0:
        return unknown(rule, 0, "rows", "no row was asked of both yet", inputs)
    note = f"champion {failed} of {asked}, challenger {other_failed} of {other_asked}"
    return _found(
        rule, interval, "rows", inputs, "confidence sequence of the difference of two rates (after Turner et al. 2024)", note=note
    )


def disagreement(champion: npt.ArrayLike, challenger: npt.ArrayLike, rule: GuardRule) -> Evidence:
    """The share of rows that the two decide differently. Both (n,): what each decided (class, or how far apart in [0, 1] with zeros for the champion)."""
    first, second = _pair(champion, challenger)
    apart = np.minimum(np.abs(second - first), 1.0)
    if not apart.size:
        return unknown(rule, 0, "rows", "no row has both answers yet", _digest(first, second))
    interval = mean_sequence(apart, rule.alpha, 0.0, 1.0)
    return _found(rule, interval, "rows", _digest(first, second), "confidence sequence of a mean (after Howard et al. 2021)")


def score_shift(champion: npt.ArrayLike, challenger: npt.ArrayLike, rule: GuardRule) -> Evidence:
    """How far the mean score moved, either way. Both (n,): scores of the same rows in [0, 1]."""
    first, second = _pair(champion, challenger)
    signed = _mean_difference(second - first, rule, _digest(first, second))
    return signed if signed.value is None else _size_of(signed)


def calibration(champion: npt.ArrayLike, challenger: npt.ArrayLike, labels: npt.ArrayLike, rule: GuardRule) -> Evidence:
    """|mean(score − outcome)| of the challenger minus the champion's. All (n,) in [0, 1], of the same rows; half the error rate for each of the two."""
    first, second = _pair(champion, challenger)
    truth = np.asarray(labels, dtype=np.float64).reshape(-1)
    inputs = _digest(first, second, truth)
    if not truth.size:
        return unknown(rule, 0, "pairs", "no labelled row has both scores yet", inputs)
    old, new = (mean_sequence(scores - truth, rule.alpha / 2.0, -1.0, 1.0) for scores in (first, second))
    (old_least, old_most), (new_least, new_most) = _sizes(old), _sizes(new)
    interval = Interval(abs(new.mean) - abs(old.mean), new_least - old_most, new_most - old_least, truth.size)
    note = f"champion {old.mean:+.4f}, challenger {new.mean:+.4f}"
    return _found(rule, interval, "pairs", inputs, "two confidence sequences with half the error rate each", note=note)


def reward(rewards: npt.ArrayLike, challengers: npt.ArrayLike, blocks: npt.ArrayLike, rule: GuardRule) -> Evidence:
    """Mean reward of the champion's answers minus the challenger's. All (n,), in the order in which rewards became known: what each answer earned, whether
    it was the challenger's, and the look at which it was known first. What lies outside the rule's `between` is cut off and counted."""
    low, high = rule.between or (0.0, 1.0)
    given, arms = np.asarray(rewards, dtype=np.float64).reshape(-1), np.asarray(challengers, dtype=np.bool_).reshape(-1)
    inputs = _digest(given, arms.astype(np.float64))
    if not arms.any() or arms.all():
        return unknown(rule, 0, "rewards", f"not both have a reward yet{_LATER}", inputs)
    cuts = {name: cut(given[arm], low, high) for name, arm in (("champion", ~arms), ("challenger", arms))}
    # The champion counts as the second arm: what it earns more is what the challenger is worse by.
    interval = mean_difference(np.clip(given, low, high), ~arms, blocks, rule.alpha, low, high)
    note = ", ".join(f"{name} {each.values.mean():.4g}" for name, each in cuts.items())
    if any(each.beyond for each in cuts.values()):
        note += f"; beyond {low:g} to {high:g} and cut off: " + ", ".join(
            f"{each.beyond:.1%} of the {name}'s ({each.hidden:+.3g} of its mean)" for name, each in cuts.items()
        )
    return _found(
        rule, interval, "rewards", inputs, "bets against the margin in blocks of both arms (after Turner et al. 2024)", note=note
    )


def latency(champion: npt.ArrayLike, challenger: npt.ArrayLike, rule: GuardRule) -> Evidence:
    """A quantile of model time in ms (`latency_p95_ms`: the 95th percentile), challenger minus champion. Each (n,), of calls of the same periods."""
    first, second = (np.asarray(values, dtype=np.float64).reshape(-1) for values in (champion, challenger))
    inputs, share = _digest(first, second), float(rule.metric.removeprefix("latency_p").removesuffix("_ms")) / 100.0
    if not (first.size and second.size):
        return unknown(rule, 0, "calls", f"not both have answered in one minute yet{_LATER}", inputs)
    found = quantile_difference(first, second, share, rule.alpha)
    lower, upper = (end if np.isfinite(end) else None for end in (found.lower, found.upper))
    few = f"{found.n} calls are too few for both ends of this quantile" if lower is None or upper is None else ""
    return Evidence(
        name=rule.name, value=found.value, lower=lower, upper=upper, alpha=rule.alpha, anytime=True, n=found.n, unit="calls",
        inputs=inputs, method=_QUANTILES, note=few,
    )  # fmt: skip


def shape(found: Difference, values: npt.ArrayLike, challengers: npt.ArrayLike, rule: GuardRule) -> Evidence:
    """How far the distributions lie apart: the largest difference of the shares of rows at or below any value (Kolmogorov's distance), as estimated over
    `values` (n,), whose arm `challengers` (n,) tells; `found`: the evidence that they differ at all, in any way. `lower`: the distance once that evidence is
    what the error rate asks for; 0 until then. It can fail, and never pass: that two distributions are the same cannot be shown."""
    given, arms = np.asarray(values, dtype=np.float64).reshape(-1), np.asarray(challengers, dtype=np.bool_).reshape(-1)
    inputs = hashlib.sha256(f"{found.now!r} {found.highest!r} {found.n}".encode()).hexdigest()
    if not arms.any() or arms.all():
        return unknown(rule, 0, "rows", f"not both have answered in one minute yet{_LATER}", inputs)
    apart = _apart(given[~arms], given[arms])
    asked = float(np.log(1.0 / rule.alpha))
    words = f"evidence of e^{found.highest:.1f} that they differ, e^{asked:.1f} decides"
    return Evidence(
        name=rule.name, value=apart, lower=apart if found.highest >= asked else 0.0, alpha=rule.alpha, anytime=True, n=found.n, unit="rows",
        inputs=inputs, method="bets on which of both answered (after Shekhar & Ramdas 2024)", note=words,
    )  # fmt: skip


def _apart(first: Floats, second: Floats) -> float:
    seen = np.unique(np.concatenate([first, second]))
    shares = [np.searchsorted(np.sort(each), seen, side="right") / each.size for each in (first, second)]
    return float(np.max(np.abs(shares[0] - shares[1])))


def judge(evidence: tuple[Evidence, ...], rule: GuardRule) -> Verdict:
    """The whole interval within the margin passes, the whole interval beyond it fails, no data yet is inconclusive, what was not or could not be
    measured is an error. What has no upper end yet (or never has one) can fail and not pass, what has no lower end the other way round."""
    name = rule.name
    found = next((item for item in evidence if item.name == name), None)
    if found is None:
        missing = Evidence(name=name, value=None, note="it was not measured")
        return Verdict(rule=name, outcome=Outcome.ERROR, evidence=missing, words=f"{name} was not measured")
    unbounded = found.lower is None and found.upper is None
    if found.value is None or (unbounded and found.alpha is None):  # a number without an interval is no measurement
        outcome = Outcome.INCONCLUSIVE if found.n == 0 else Outcome.ERROR
        return Verdict(rule=name, outcome=outcome, evidence=found, words=f"{name}: {found.note or 'it could not be measured'}")
    shown = (
        f"{name} {found.value:+.4f}{_ends(found)} over {found.n} {found.unit.removesuffix('s') if found.n == 1 else found.unit}"
    )
    if found.lower is not None and found.lower > rule.margin:
        return Verdict(rule=name, outcome=Outcome.FAIL, evidence=found, words=f"{shown} is beyond {rule.margin:g}")
    if found.upper is not None and found.upper <= rule.margin:
        return Verdict(rule=name, outcome=Outcome.PASS, evidence=found, words=f"{shown} is at most {rule.margin:g}")
    # Without an end it reaches to no side: nothing is known of it.
    said = f"has no bound yet to hold against {rule.margin:g}" if unbounded else f"reaches to both sides of {rule.margin:g}"
    return Verdict(rule=name, outcome=Outcome.INCONCLUSIVE, evidence=found, words=f"{shown} {said}")


def _ends(found: Evidence) -> str:
    """` [-0.0100, +0.0200]`; empty where it has neither end."""
    if found.lower is None and found.upper is None:
        return ""
    low = f"[{found.lower:+.4f}" if found.lower is not None else "(…"
    high = f"{found.upper:+.4f}]" if found.upper is not None else "…)"
    return f" {low}, {high}"


def unknown(rule: GuardRule, n: int, unit: str, note: str, inputs: str = "") -> Evidence:
    """What could not be measured, and why."""
    return Evidence(name=rule.name, value=None, n=n, unit=unit, inputs=inputs, note=note)


def _mean_difference(difference: Floats, rule: GuardRule, inputs: str) -> Evidence:
    n = difference.size
    if n == 0:
        return unknown(
            rule, 0, "pairs", "no labelled row has both scores yet" if rule.labels else "no row has both answers yet", inputs
        )
    broken = int(n - np.isfinite(difference).sum())
    if broken:
        return unknown(rule, n, "pairs", f"{broken} of {n} values are not finite", inputs)
    return _found(rule, mean_sequence(difference, rule.alpha, -1.0, 1.0), "pairs", inputs, _PAIRED)


def _size_of(signed: Evidence) -> Evidence:
    """Of a signed difference, its size."""
    value, low, high = signed.value or 0.0, signed.lower or 0.0, signed.upper or 0.0
    least, most = _sizes(Interval(value, low, high, signed.n))
    return msgspec.structs.replace(signed, value=abs(value), lower=least, upper=most, note=f"{value:+.4f}")


def _sizes(interval: Interval) -> tuple[float, float]:
    """The least and the largest distance from 0 inside it."""
    return max(0.0, interval.lower, -interval.upper), max(abs(interval.lower), abs(interval.upper))


def _found(rule: GuardRule, interval: Interval, unit: str, inputs: str, method: str, **more: Any) -> Evidence:
    return Evidence(
        name=rule.name, value=interval.mean, lower=interval.lower, upper=interval.upper, alpha=rule.alpha, anytime=True,
        n=interval.n, unit=unit, inputs=inputs, method=method, **more,
    )  # fmt: skip


def _pair(champion: npt.ArrayLike, challenger: npt.ArrayLike) -> tuple[Floats, Floats]:
    first = np.asarray(champion, dtype=np.float64).reshape(-1)
    second = np.asarray(challenger, dtype=np.float64).reshape(-1)
    if first.size != second.size:
        raise ValueError(f"the same rows from both, found {first.size} of the champion and {second.size} of the challenger")
    return first, second


def _digest(*arrays: Floats) -> str:
    made = hashlib.sha256()
    for array in arrays:
        made.update(array.tobytes())
    return made.hexdigest()
