"""Is it worth acting now? What a tournament may be expected to gain, what it costs, and why, in words.

    value = expected gain an answer × answers until the next opportunity × cost of an error − minutes of training × cost of one − risk of a change

**Answers until the next opportunity** are taken to be as many as came since the last training: what has lasted so long may be expected to last as long again.
Of those only rows with labels are counted, so each stands for as many answers as come to a label.
**Expected gain** has two parts, both relative to the champion's loss, and both learned from this project's own tournaments:

- *Growth*: labelled rows that came since the last training, in doublings, x = log₂(rows now / rows when it was last trained). A doubling of the rows takes a few per cent
  off the loss of most models where nothing changes (learning curves fall as a power of the rows: Hestness et al. 2017, arXiv 1712.00409), and where the world drifts
  it takes off more. The gain of a doubling starts between `DOUBLING` and `MOVING`, by how much of the windows' difference their rows do not explain, and then
  follows what tournaments measured, the later ones more. A tournament that nobody won puts the
  next one off, one that paid brings it forward.
- *Harm*: the champion's newest windows are worse than those before, beyond what windows differ by (Student's t of the newest 1, 2 or 4
  against all before them, error rate `HARM_ALPHA` a look, divided over the three). How much windows differ, few of its own do not say: those of champions before
  tell it with them (`differing`), and where neither do no rise is seen. A stated share of the rise may be recovered; that share, too, is learned. After a
  tournament that did not lower the loss the rise counts as normal, until twice as many rows have come since the change. A rise under the champion before stands
  while whoever took over is above what was normal then: an earlier unit that came back may be the best at hand, and far from what can be learned.

**Costs** are in the project's own unit. Nothing needs to be set: an error costs 1, and a change must then promise to avoid `RISK` of the errors, and
`LEAST_RISK` of an error a row.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from statistics import median
from typing import NamedTuple

import msgspec

from flyball.autopilot.tournament import PastTournament
from flyball.stats.student import t_quantile

DOUBLING, MOVING, DOUBLING_SPREAD = 0.02, 0.08, 0.04
"""Relative gain of twice as many rows before any tournament: where windows differ by no more than their rows do (a power of 0.03, below what Hestness et al. found,
0.07 to 0.35: much of a loss is no matter of rows), and where all their difference is the world's."""
RECOVERED, RECOVERED_SPREAD = 0.5, 0.3
"""Share of a rise in loss that acting takes back, before any tournament."""
FORGETS = 0.3
"""What a tournament leaves of the weight of those before it; one that measured badly leaves more."""
MEASURED = 0.03
"""Standard error of a relative gain at which a measurement counts half."""
REALISED = 2.5
"""Of what a winner gave over several windows, against one window that judged it."""
LEAST_GROWTH = 0.2
"""Doublings (15 % more rows) below which a gain cannot be told from noise by a tournament, and costs of training would pile up: history that grows tenfold
allows no more than 17 trainings."""
AFTER_CHANGE = 0.5
"""The same for a champion that learned from the rows since a change, which double in a few windows: trainings at 2, 3, 5, 8, 12, … windows after it."""
RISK, LEAST_RISK = 0.024, 1e-3
"""Of the expected errors, and of a row: what a change of champion may cost by itself (a shadow, a canary, a wrong nomination). The second keeps a model that
hardly errs from being trained for ever."""
HARM_ALPHA = 0.01
RUNS = (1, 2, 4)
LOOKS = 8
"""For which a rise is remembered: by then it was tried, or it is gone."""
LASTING = 16
"""Windows for which a rise under a champion before may stand."""
UNDONE = 4
"""Windows of a champion by which a rise is known to be over: it does not come back with who follows it."""
LEAST_DEGREES = 1
"""Of freedom, of what is known of how windows differ: with one the t asks for 95 errors, which a change of everything is; with none only rows would tell."""
ENOUGH = 8
"""Own windows from which on how they differ is learned from them alone."""
FOUR_FIFTHS, REACH, WINDOWS_A_DEGREE = 0.8, 1.2816, 2
"""That share of a normal's values lies within so many standard deviations; told from so few windows, it is worth half of their degrees (simulated)."""
COVERED, NEAR = 0.8, 1.2815515655446004
"""Chance that a tournament's gain is within its interval, and the normal's quantile for it."""


class JudgedWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A mature window that the champion was not trained on."""

    start: datetime
    rows: int
    loss: float
    """Mean bounded loss."""
    spread: float | None
    """Standard deviation of the rows' losses; None: not known."""


class Differing(msgspec.Struct, frozen=True, kw_only=True):
    """How windows differ where nothing has changed."""

    spread: float = 0.0
    """Standard deviation."""
    degrees: int = 0
    """Of freedom; 0: nothing is known."""


UNKNOWN = Differing()


class CostPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """`cost:` of flyball.yaml."""

    error: float = 1.0
    """Of one answer with a bounded loss of 1."""
    training_minute: float = 0.0


class WorthSituation(msgspec.Struct, frozen=True, kw_only=True):
    windows: tuple[JudgedWindow, ...]
    """Since the champion's data end, oldest first; those of its holdout among them."""
    answered: int = 0
    """The newest of them, that it has answered since another champion did."""
    tenures: tuple[tuple[JudgedWindow, ...], ...] = ()
    """Of champions before, oldest first: what each answered, up to being replaced."""
    normal_since: datetime | None = None
    """A person has said that the loss is normal as it is since then: what was before is no measure of it."""
    rows: int
    """Labelled and mature, all there are; of a champion that learned from the rows since a change, all since then."""
    trained_rows: int
    """How many of them there were when somebody was last trained, whether he learned from all of them or not."""
    since_change: bool = False
    """The champion learned from the rows since a change, and both numbers count those."""
    past: tuple[PastTournament, ...] = ()
    """Those that trained, oldest first."""
    training_minutes: float = 0.0
    """That a tournament is expected to take."""
    before: Differing = UNKNOWN
    """Of windows of champions before."""
    fault: bool = False
    """A data fault stands: nothing may be learned from its rows."""
    answers_per_label: float = 1.0
    """Answers that come to one labelled row: 50 where 2 % of them get a label. An error costs also where nobody is told of it."""


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    act: bool
    reason: str
    """`growth`, `harm`, or why not: `fault`, `too_soon`, `not_worth_it`, `no_windows`."""
    gain: float
    """Expected, relative to the champion's loss."""
    lower: float
    upper: float
    """Of an interval with a chance of 0.8 for the gain, if this tournament is like those before."""
    value: float
    """In the project's unit, costs already taken off."""
    cost: float
    growth: float
    """Doublings of the labelled rows since the last training."""
    excess: float
    """Relative rise of the newest windows; 0: none beyond what windows differ by."""
    since: datetime | None
    """Start of the first of those windows; None: no rise."""
    rows_since: int = 0
    """Labelled rows of the champion since then."""
    words: str


class _Rise(NamedTuple):
    excess: float
    since: datetime | None
    rows: int
    """Since then."""
    place: int = 0
    """Of its first window: those of a holdout have no start of their own."""


NO_RISE = _Rise(0.0, None, 0)


def assess(situation: WorthSituation, cost: CostPolicy) -> Worth:
    """Whether to hold a tournament that trains.

    >>> from datetime import UTC
    >>> day = datetime(2026, 1, 1, tzinfo=UTC)
    >>> moving = tuple(JudgedWindow(start=day, rows=500, loss=loss, spread=0.2) for loss in (0.2, 0.3, 0.2, 0.3))
    >>> assess(WorthSituation(windows=moving, rows=7_000, trained_rows=5_000), CostPolicy()).words
    '1.4 times the rows that the last training had: a tournament is expected to take 3.8 % off the loss (1.3 to 6.3 %), worth 7.1; go'
    """
    growth = _growth(situation)
    if situation.fault:
        return _not(growth, "fault", "a data fault stands: nothing may be learned from its rows")
    if not situation.windows:
        return _not(growth, "no_windows", "no mature window that the champion was not trained on")
    rise = _not_yet_tried(_rise_now(situation), situation.past)
    prior = DOUBLING + (MOVING - DOUBLING) * unexplained(situation.windows)
    doubling, doubling_spread = _learned(
        [each for each in situation.past if each.excess <= 0.0], prior, DOUBLING_SPREAD, "growth"
    )
    recovered, recovered_spread = _learned(
        [each for each in situation.past if each.excess > 0.0], RECOVERED, RECOVERED_SPREAD, "excess"
    )
    gain = doubling * growth + recovered * rise.excess / (1.0 + rise.excess)
    half = NEAR * math.hypot(doubling_spread * growth, recovered_spread * rise.excess / (1.0 + rise.excess))
    loss = _mean(situation.windows[-4:])
    ahead = max(situation.rows - situation.trained_rows, situation.windows[-1].rows) * situation.answers_per_label
    errors = loss * ahead * cost.error
    costs = max(RISK * loss, LEAST_RISK) * ahead * cost.error + situation.training_minutes * cost.training_minute
    value = gain * errors - costs
    worth = value > 0.0
    soon = growth < (AFTER_CHANGE if situation.since_change else LEAST_GROWTH) and rise.excess <= 0.0
    reason = "too_soon" if soon else ("harm" if rise.excess > 0.0 else "growth") if worth else "not_worth_it"
    return Worth(
        act=worth and not soon, reason=reason, gain=_short(gain), lower=_short(gain - half), upper=_short(gain + half),
        value=_short(value), cost=_short(costs), growth=_short(growth), excess=_short(rise.excess), since=rise.since, rows_since=rise.rows,
        words=_words(growth, rise, (gain, gain - half, gain + half), value, go=worth and not soon),
    )  # fmt: skip


def differing(tenures: Sequence[Sequence[float]]) -> Differing:
    """From the losses of each champion's windows: how far four fifths of them lie from their champion's median. Four fifths of a week reach into its weekend,
    so weekends count; the few windows of a change do not.

    >>> differing([[0.2, 0.21, 0.2, 0.19], [0.3, 0.31, 0.3, 0.9]]).degrees
    3
    """
    apart, known = [], 0
    for losses in tenures:
        if len(losses) > 1:
            level, known = median(losses), known + len(losses) - 1
            apart += [abs(loss - level) * math.sqrt(len(losses) / (len(losses) - 1)) for loss in losses]
    if not apart:
        return UNKNOWN
    return Differing(spread=sorted(apart)[math.ceil(FOUR_FIFTHS * len(apart)) - 1] / REACH, degrees=known // WINDOWS_A_DEGREE)


def _rise_now(situation: WorthSituation) -> _Rise:
    known = situation if situation.normal_since is None else _from(situation, situation.normal_since)
    own = rise_of(known.windows, known.before)
    return own if own.since is not None else _not_undone(known)


def _from(situation: WorthSituation, since: datetime) -> WorthSituation:
    """With the windows that began then or later, holdouts' with them."""
    count = len(situation.windows) - situation.answered
    held, own = (
        tuple(each for each in some if each.start >= since) for some in (situation.windows[:count], situation.windows[count:])
    )
    tenures = tuple(tuple(each for each in some if each.start >= since) for some in situation.tenures)
    return msgspec.structs.replace(situation, windows=(*held, *own), answered=len(own), tenures=tenures)


def _not_undone(situation: WorthSituation) -> _Rise:
    """Of the newest windows over what was normal under a champion before, under whom the loss rose. Beside its own windows alone whoever came after it does as
    it always did."""
    later = situation.windows[len(situation.windows) - situation.answered :]
    for place, windows in reversed([*enumerate(situation.tenures)]):
        if len(later) > LASTING:
            break
        later = (*windows, *later)
        found = rise_of(windows, situation.before)
        if found.since is not None:
            lasting, seen = NO_RISE, windows
            for tenure in (*situation.tenures[place + 1 :], later[len(later) - situation.answered :]):
                seen = (*seen, *tenure)
                counts = [count for count in RUNS if count <= len(tenure)]
                lasting = _rise(seen, situation.before, [(len(seen) - count, found.place) for count in counts])
                if lasting.since is None and len(tenure) >= UNDONE:
                    return NO_RISE
            return lasting
    return NO_RISE


def rise_of(windows: Sequence[JudgedWindow], before: Differing = UNKNOWN) -> _Rise:
    """Of the newest windows over those before them, where it is beyond what windows differ by. `before`: how those of champions before did.

    What was risen at one of the looks before is no more normal at this one, while what came since is risen by itself: beside itself a change of two windows
    would be none. O(`LOOKS` · windows).
    """
    found, told = NO_RISE, 0
    for end in range(max(len(windows) - LOOKS, 1), len(windows) + 1):
        since_told = [(end - count, found.place) for count in RUNS if count <= end - told]
        lasting = _rise(windows[:end], before, since_told) if found.since is not None else NO_RISE
        found = (
            lasting if lasting.since is not None else _rise(windows[:end], before, [(end - count, end - count) for count in RUNS])
        )
        if found.since is not None and lasting.since is None:
            told = end
    return found


def _rise(windows: Sequence[JudgedWindow], before: Differing, runs: Sequence[tuple[int, int]]) -> _Rise:
    """`runs`: (first of the newest windows, how many of the first ones are normal). The most significant one."""
    found, strongest = NO_RISE, 0.0
    for first, normal_ones in runs:
        normal, newest = windows[:normal_ones], windows[first:]
        # As few as the newest say too little of what is normal, unless they have said it before.
        if first < normal_ones or (first == normal_ones and len(normal) < len(newest)):
            continue
        differ = _differ(normal, before)
        if differ.degrees < LEAST_DEGREES:
            continue
        level, raised = _mean(normal), _mean(newest)
        error = _error(newest, normal, differ.spread)
        # Two windows may be alike by chance, and rows then say too little: the degrees are those of the windows, whichever error is the larger.
        bound = t_quantile(1.0 - HARM_ALPHA / len(RUNS), differ.degrees) * error
        strength = (raised - level) / error if error > 0.0 else math.inf  # no row was ever different: any rise is one
        if raised - level > bound and strength > strongest:
            strongest, unit = strength, max(level, LEAST_RISK)  # of a model that never erred any rise is endless times its loss
            since = windows[normal_ones:]
            found = _Rise(raised / unit - level / unit, since[0].start, sum(each.rows for each in since), normal_ones)
    return found


def unexplained(windows: Sequence[JudgedWindow]) -> float:
    """Share of the variance between windows that their rows do not explain, 0 to 1: one-way analysis of variance, 1 − 1/F.

    0 where that is not known: for fewer than three windows, or where the spread of rows is known of none.
    """
    within = _within(windows)
    if len(windows) < 3 or within is None:
        return 0.0
    mean = _mean(windows)
    between = sum(each.rows * (each.loss - mean) ** 2 for each in windows) / (len(windows) - 1)
    return max(0.0, 1.0 - within / between) if between > 0.0 else 0.0


def _within(windows: Sequence[JudgedWindow]) -> float | None:
    """Variance of rows around the mean of their window; None: known of no window."""
    known = [(each.rows, each.spread) for each in windows if each.spread is not None]
    rows = sum(n for n, _ in known)
    return sum(n * spread**2 for n, spread in known) / rows if rows else None


def _differ(normal: Sequence[JudgedWindow], before: Differing) -> Differing:
    """Both kinds of variance, weighted by their degrees."""
    own = len(normal) - 1
    level = sum(each.loss for each in normal) / len(normal)
    squares = sum((each.loss - level) ** 2 for each in normal)
    borrowed = before.degrees if len(normal) < ENOUGH else 0
    if own + borrowed == 0:
        return UNKNOWN
    return Differing(spread=math.sqrt((squares + borrowed * before.spread**2) / (own + borrowed)), degrees=own + borrowed)


def _error(newest: Sequence[JudgedWindow], normal: Sequence[JudgedWindow], spread: float) -> float:
    """Standard error of the difference of their means: of each the larger of what rows and what other windows tell."""
    return math.hypot(*(max(_error_by_rows(side), spread / math.sqrt(len(side))) for side in (normal, newest)))


def _error_by_rows(of: Sequence[JudgedWindow]) -> float:
    rows = sum(each.rows for each in of)
    return math.sqrt((_within(of) or 0.0) / max(rows, 1))


def _growth(situation: WorthSituation) -> float:
    return math.log2(situation.rows / situation.trained_rows) if situation.rows > situation.trained_rows > 0 else 0.0


def _not_yet_tried(rise: _Rise, past: Sequence[PastTournament]) -> _Rise:
    """None, if the last tournament saw it and lowered nothing, and there are not twice as many rows of it since."""
    if rise.since is None or not past:
        return rise
    last = past[-1]
    tried = last.excess > 0.0 and last.at >= rise.since and last.lowered_nothing
    return NO_RISE if tried and rise.rows < 2 * last.rows_since_change else rise


def _learned(past: Sequence[PastTournament], prior: float, spread: float, per: str) -> tuple[float, float]:
    """Gain per doubling or per share of a rise: weighted mean of the prior and what tournaments measured, and its spread for the next one."""
    weight, total, gains = 1.0, prior, []
    for each in past:
        unit = each.growth if per == "growth" else each.excess / (1.0 + each.excess)
        gain, measurements = _gain(each)
        gains.append(max(gain, 0.0) / max(unit, LEAST_GROWTH))
        error = min((standing.error for standing in each.trained), default=0.0)
        counts = measurements / (1.0 + (error / MEASURED) ** 2)
        kept = 1.0 - (1.0 - FORGETS) * min(counts, 1.0)
        weight, total = kept * weight + counts, kept * total + counts * gains[-1]
    mean = total / weight
    squares = spread**2 + sum((gain - mean) ** 2 for gain in gains)
    return mean, math.sqrt(squares / (1 + len(gains)))


def _gain(past: PastTournament) -> tuple[float, float]:
    """What training gave, and for how many measurements that counts; nothing, where nobody that was trained for it won, or who won came to nothing: what a map
    brought, measured since or not, is none of it."""
    won = next((each.relative for each in past.trained if each.entrant == past.winner), None)
    if won is None or past.in_vain:
        return 0.0, 1.0
    return (won, 1.0) if past.realised is None else (past.realised, REALISED)


def _mean(windows: Sequence[JudgedWindow]) -> float:
    rows = sum(each.rows for each in windows)
    return sum(each.rows * each.loss for each in windows) / rows if rows else 0.0


def _not(growth: float, reason: str, words: str) -> Worth:
    return Worth(
        act=False, reason=reason, gain=0.0, lower=0.0, upper=0.0, value=0.0, cost=0.0, growth=_short(growth), excess=0.0, since=None, words=words
    )  # fmt: skip


def _words(growth: float, rise: _Rise, gain: tuple[float, float, float], value: float, *, go: bool) -> str:
    seen = f"{2.0**growth:.1f} times the rows that the last training had"
    if rise.since is not None:
        seen += f", and the loss is up by {rise.excess:.0%} since {rise.since:%Y-%m-%d %H:%M}"
    expected = f"a tournament is expected to take {gain[0]:.1%} off the loss ({100 * gain[1]:.1f} to {gain[2]:.1%})".replace(
        "%", " %"
    )
    return f"{seen}: {expected}, worth {value:.1f}; {'go' if go else 'not now'}"


def _short(value: float) -> float:
    return float(f"{value:.8g}")
