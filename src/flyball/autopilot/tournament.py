"""Entrants judged with the champion on the same newest mature rows: who is tried first, and who won.

**Judged** is a paired difference of bounded losses, the champion's less the entrant's, over the newest 1, 2, 4, … windows that neither learned from. Short runs see a
change at once, long ones see small differences. Each run gives one lower bound of Student's t; the error rate is divided over kinds of entrants (`SHARES`), and
equally over those of a kind and their runs (Bonferroni), so of tournaments in which no entrant is better on average at most `alpha` name a winner. The error of a
run's mean is the larger of two: rows taken as independent, and the spread of windows' means: of those before the run or, where they are fewer than four, of its
own, or else of both together. Of an entrant that has answered fewer than four windows, then, what differs from day to day is not known; windows are taken as
independent of each other; and the rate holds at one tournament, not at all of them together. Where rare rows decide, as those of a rare class, t alone is too
sure: the end to which they are skewed is further off, and no end is nearer than rows that cost 1 each might move it of which none came by chance.
A run says nothing for an entrant that a shorter one shows to be worse: what was long ago excuses nothing. For earlier units and maps, which come back at every
window, their rows alone show that: beside windows of another regime, which differ by all that it changed, nothing newer would ever be sure.
A winner is only nominated: what answers traffic, a release decides by sequences that hold at every look.

**Tried first** is what helped before. Gains of strategies, relative to the champion's loss, are jointly normal: they share a level, and a slope along how much a
strategy forgets (`all` nothing, `since` everything), so that where `weighted` beats `all`, `recent` is expected to beat both. Past tournaments are noisy measurements
of them; those of another kind of incident count half, and each later one ages what came before. The first that is trained is drawn by Thompson's rule (1933: each with
the chance that it is the best; Russo et al., "A tutorial on Thompson sampling", 2018); another follows while the best of both is expected to gain `WORTH_TRYING` more
than the best so far alone. So with experience fewer are trained. The draw's seed comes from the past itself: the same past gives the same order.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.autopilot.entrants import Entrant, Strategy, entrant_of
from flyball.records.findings import IncidentKind
from flyball.stats.student import t_quantile

Floats = npt.NDArray[np.float64]

ALPHA = 0.3
"""Of one tournament: a wrong nomination costs a shadow release, a missed one the training and all answers until the next."""
SHARES = (0.6, 0.3, 0.1)
"""Of alpha: for all entrants that were trained for it, for the champion's own scores in another way, for all earlier units, which come back at every window."""
MOST_WINDOWS = 16
"""In the longest run."""
LEAST_WINDOWS = 4
"""From which a run's own windows say how much they differ."""
LEAST_ROWS = 20
"""Below which nobody is judged: a t interval of fewer bounded differences is not to be relied on."""
LEAST_EFFECT, LEAST_SHARE = 5e-4, 0.01
"""Of the mean bounded loss, and of the champion's: a smaller gain is not worth a change of champion, however sure."""
DRAWS = 400
"""For an expected gain of the better of two: known to a tenth of `WORTH_TRYING`."""
WORTH_TRYING = 0.02
"""Expected further gain, relative to the champion's loss, from which a further entrant is trained."""
MOST_FITS = 2
LEVEL, SLOPE, OWN = 0.05, 0.08, 0.02
"""Standard deviations before any tournament: of the gain that strategies share, of how it changes from forgetting nothing to forgetting all, of each by itself."""
TOGETHER, ALONE = 0.05, 0.02
"""Of one measurement: what entrants of one tournament share, and what each has by itself."""
OTHER_KIND, AGEING = 0.5, 0.85
"""What a tournament counts for another kind of incident, and what each later one leaves of those before."""
FORGETS: Mapping[Strategy, float] = {
    Strategy.ALL: 0.0, Strategy.RETUNE: 0.0, Strategy.WEIGHTED: 0.5, Strategy.RECENT: 0.8, Strategy.SINCE: 1.0,
}  # fmt: skip


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An entrant beside the champion, in the run in which its lower bound was highest."""

    entrant: str
    estimate: float
    """Mean bounded loss a row that it would have avoided; negative: caused."""
    lower: float
    upper: float
    """Both at the run's share of the entrant's alpha."""
    alpha: float
    """The entrant's share of the tournament's: chance that it is called better though it is not."""
    relative: float
    """The estimate over the champion's mean loss on the newest window that judged them."""
    windows: int
    rows: int
    spread_of: int = 0
    """Windows by which it is known how much they differ; 0: there are fewer than four, and what differs from day to day is not between the bounds."""
    error: float = 0.0
    """Standard error of `relative`."""
    minutes: float = 0.0
    """That its training took."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    standings: tuple[Standing, ...]
    """The best lower bound first."""
    winner: str | None
    """None: nobody is shown to be better."""
    alpha: float
    """Chance that a winner is named though no entrant is better on average, at one tournament."""
    champion_loss: float
    """On the newest window that judged them."""
    words: str


class PastTournament(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    kind: IncidentKind | None
    """None: nothing had happened, there were more rows."""
    growth: float
    """Doublings of the labelled rows since the last training: `worth.growth`."""
    excess: float
    """The champion's relative rise in loss when it was held; 0: none was seen."""
    standings: tuple[Standing, ...]
    winner: str | None
    rows_since_change: int = 0
    realised: float | None = None
    """Of a winner that answered since: the relative gain that later windows showed; None: not known (yet)."""
    in_vain: bool = False
    """The winner came to nothing, or was taken back: it lowered nothing."""

    @property
    def lowered_nothing(self) -> bool:
        """Nobody won, or what won brought nothing; another threshold changes no loss. A winner whose gates or release go on, or that was not measured yet,
        may still."""
        if self.winner is None or self.in_vain or entrant_of(self.winner).strategy is Strategy.RETHRESHOLD:
            return True
        return self.realised is not None and self.realised <= 0.0

    @property
    def trained(self) -> tuple[Standing, ...]:
        return tuple(each for each in self.standings if entrant_of(each.entrant).trains)


class Belief(NamedTuple):
    """Jointly normal gains of strategies, relative to the champion's loss."""

    mean: Floats
    """(n,)"""
    covariance: Floats
    """(n, n)"""


_CHANGED = frozenset({IncidentKind.CONCEPT_SHIFT, IncidentKind.LABEL_SHIFT, IncidentKind.UNKNOWN})


def _prior(strategy: Strategy, kind: IncidentKind | None) -> float:
    """Where labels mean something else, old rows mislead; where only the rows moved, every row counts; a bit of forgetting seldom hurts (bench/loop)."""
    forgets = FORGETS[strategy]
    if kind in _CHANGED:
        return 0.05 + 0.1 * forgets
    return 0.05 - 0.06 * max(forgets - 0.5, 0.0) + (0.01 if strategy is Strategy.WEIGHTED else 0.0)


def order(
    past: Sequence[PastTournament],
    kind: IncidentKind | None,
    entrants: Sequence[Entrant],
    seed: int,
    most_fits: int = MOST_FITS,
) -> tuple[Entrant, ...]:
    """Who takes part, the first to be tried first: all that cost no training as they come, and at most `most_fits` that do.

    `past`: oldest first; `entrants`: `entrants.possible`.

    >>> [each.name for each in order((), None, (Entrant(Strategy.RECALIBRATE), Entrant(Strategy.ALL), Entrant(Strategy.RECENT, "9d")), seed=1)]
    ['recalibrate', 'all', 'recent:9d']
    """
    free = tuple(each for each in entrants if not each.trains)
    trained = tuple(each for each in entrants if each.trains)
    if not trained or most_fits < 1:
        return free
    known = belief(past, kind, [each.strategy for each in trained])
    generator = np.random.default_rng([seed, *_seed(past, kind)])
    draws = generator.multivariate_normal(known.mean, known.covariance, DRAWS, method="cholesky")
    chosen = [int(np.argmax(draws[0]))]
    while len(chosen) < min(most_fits, len(trained)):
        best = draws[:, chosen].max(axis=1)
        more = [float(np.maximum(draws[:, place] - best, 0.0).mean()) for place in range(len(trained))]
        place = int(np.argmax(more))
        if more[place] < WORTH_TRYING:
            break
        chosen.append(place)
    return (*free, *(trained[place] for place in chosen))


def belief(past: Sequence[PastTournament], kind: IncidentKind | None, strategies: Sequence[Strategy]) -> Belief:
    """What each of `strategies`, of those that train, is expected to gain after these tournaments (oldest first)."""
    seen = [
        (
            FORGETS[entrant_of(each.entrant).strategy],
            entrant_of(each.entrant).strategy,
            _gain(tournament, each),
            age,
            tournament.kind,
        )
        for age, tournament in enumerate(reversed(past))
        for each in tournament.trained
    ]
    names = [*strategies, *(strategy for _, strategy, *_ in seen)]
    forgets = np.array([FORGETS[strategy] for strategy in names])
    same = np.array([[one is other for other in names] for one in names])
    covariance = LEVEL**2 + SLOPE**2 * np.outer(forgets, forgets) + OWN**2 * same
    prior, n = np.array([_prior(strategy, kind) for strategy in names]), len(strategies)
    if not seen:
        return Belief(prior, covariance)
    ages = np.array([age for *_, age, _ in seen])
    counts = np.array([AGEING**age * (1.0 if of is kind else OTHER_KIND) for *_, age, of in seen])
    noise = TOGETHER**2 * (ages[:, None] == ages) / np.sqrt(np.outer(counts, counts)) + np.diag(ALONE**2 / counts)
    noise += np.diag([min(each.error, 1.0) ** 2 for tournament in reversed(past) for each in tournament.trained])
    gains = np.array([gain for _, _, gain, _, _ in seen])
    weights = np.linalg.solve(covariance[n:, n:] + noise, covariance[n:, :n]).T
    return Belief(prior[:n] + weights @ (gains - prior[n:]), covariance[:n, :n] - weights @ covariance[n:, :n])


def _gain(tournament: PastTournament, standing: Standing) -> float:
    won = standing.entrant == tournament.winner
    realised = tournament.realised if won else None
    if won and tournament.in_vain:
        realised = min(realised or 0.0, 0.0)
    return min(max(standing.relative if realised is None else realised, -1.0), 1.0)


def judge(
    champion: npt.ArrayLike,
    entrants: Mapping[str, npt.ArrayLike],
    windows: npt.ArrayLike,
    alpha: float = ALPHA,
    minutes: Mapping[str, float] | None = None,
) -> Judgement:
    """Who is better than the champion on the newest rows.

    All (n,), on the same rows in order of time: bounded losses of `champion` and of each of `entrants` (NaN where it learned from the row or did not
    answer it), and the window that each row belongs to (any numbers that do not fall). `minutes`: that trainings took.
    Raises ValueError when shapes, order or losses do not fit.

    >>> worse, better = np.full(200, 0.3), np.tile([0.1, 0.3], 100)
    >>> found = judge(worse, {"all": better, "earlier:u1": worse}, np.arange(200) // 50)
    >>> found.winner, round(found.standings[0].estimate, 2), found.standings[0].rows
    ('all', 0.1, 200)
    """
    own = _losses(champion, "the champion")
    place = np.asarray(windows, dtype=np.int64)
    if place.shape != own.shape or np.any(np.diff(place) < 0):
        raise ValueError(f"a window for each of {own.size} rows, in order of time, found an array of shape {place.shape}")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"an error rate between 0 and 1, found {alpha}")
    pairs = {name: _paired(own, _losses(losses, name), place) for name, losses in entrants.items()}
    newest = own[place == place[-1]] if own.size else own
    level = float(np.nanmean(newest)) if np.isfinite(newest).any() else 0.0
    shares, taken = _shares(tuple(pairs), alpha), {} if minutes is None else minutes
    standings = [_standing(name, pair, shares[name], (level, taken.get(name, 0.0))) for name, pair in pairs.items() if pair.rows]
    ranked = tuple(sorted(standings, key=lambda each: (-each.lower, each.entrant)))
    winner = next((each.entrant for each in ranked if is_better(each.estimate, each.lower, level)), None)
    return Judgement(
        standings=ranked, winner=winner, alpha=alpha, champion_loss=_short(level), words=_words(ranked, winner, len(pairs))
    )  # fmt: skip


def is_better(gain: float, lower: float, champion_loss: float) -> bool:
    """Surely above 0, and worth a change of champion."""
    return lower > 0.0 and gain >= max(LEAST_EFFECT, LEAST_SHARE * champion_loss)


class _Pairs(NamedTuple):
    """Of the newest windows in which both answered rows that neither learned from, the newest first."""

    rows: tuple[Floats, ...]
    """Differences, one array a window."""


def _shares(names: Sequence[str], alpha: float) -> dict[str, float]:
    """Earlier units become more with time: they may not take from what was trained for this tournament."""
    groups = [_group(name) for name in names]
    return {name: alpha * SHARES[group] / groups.count(group) for name, group in zip(names, groups, strict=True)}


def _group(name: str) -> int:
    entrant = entrant_of(name)
    return 0 if entrant.trains else 2 if entrant.strategy is Strategy.EARLIER else 1


def _losses(values: npt.ArrayLike, whose: str) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    known = found[np.isfinite(found)]
    if found.ndim != 1 or (known.size and (known.min() < -1e-6 or known.max() > 1.0 + 1e-6)):
        raise ValueError(f"losses in [0, 1], one a row, of {whose}: found an array of shape {found.shape}")
    return found


def _paired(champion: Floats, entrant: Floats, place: npt.NDArray[np.int64]) -> _Pairs:
    if champion.shape != entrant.shape:
        raise ValueError(f"the same rows for all: {champion.size} losses of the champion, {entrant.size} of an entrant")
    difference = champion - entrant
    known = np.isfinite(difference)
    difference, place = difference[known], place[known]
    cuts = np.flatnonzero(np.diff(place)) + 1
    parts = np.split(difference, cuts)[::-1] if difference.size else []
    return _Pairs(tuple(parts[:MOST_WINDOWS]))


def _standing(name: str, pairs: _Pairs, alpha: float, level_and_minutes: tuple[float, float]) -> Standing:
    """The run with the highest lower bound."""
    level, minutes = level_and_minutes
    runs = [count for count in _runs(len(pairs.rows)) if sum(part.size for part in pairs.rows[:count]) >= LEAST_ROWS]
    found = [_bounds(pairs.rows, count, alpha / len(runs)) for count in runs] or [_unknown(pairs.rows)]
    # Who is to be had at every window can wait for a better day; who was trained for this one cannot.
    waits = not entrant_of(name).trains
    worse = next((place for place, run in enumerate(found) if (run.upper_by_rows if waits else run.upper) < 0.0), len(found) - 1)
    best = max(found[: worse + 1], key=lambda each: each.lower)
    return Standing(
        entrant=name, estimate=_short(best.mean), lower=_short(best.lower), upper=_short(best.upper),
        relative=_short(best.mean / level) if level > 0.0 else 0.0, error=_short(best.error / level) if level > 0.0 else 0.0,
        alpha=_short(alpha), windows=best.windows, rows=best.rows, spread_of=best.spread_of, minutes=minutes,
    )  # fmt: skip


def _runs(windows: int) -> list[int]:
    """1, 2, 4, … windows, and all."""
    return sorted({*(2**power for power in range(windows.bit_length()) if 2**power <= windows), windows} - {0})


class _Run(NamedTuple):
    mean: float
    lower: float
    upper: float
    upper_by_rows: float
    """Whatever windows differ by: those of another regime among them differ by all that it changed."""
    error: float
    windows: int
    rows: int
    spread_of: int
    """As of `Standing`."""


def _unknown(parts: Sequence[Floats]) -> _Run:
    rows = np.concatenate(parts)
    return _Run(float(rows.mean()), -1.0, 1.0, 1.0, 1.0, len(parts), rows.size, 0)


def _bounds(windows: Sequence[Floats], count: int, alpha: float) -> _Run:
    """Of the first `count`, the newest. Each side at alpha: what is asked is whether the entrant is better."""
    parts, before = windows[:count], windows[count:]
    rows = np.concatenate(parts)
    mean = float(rows.mean())
    # rows that never differed know no mean exactly: one of another kind would move it by 1 / n
    error = max(float(rows.std(ddof=1)) / math.sqrt(rows.size), 1.0 / rows.size)
    below, above = _reach(rows, alpha)
    by_rows = min(mean + above, 1.0)
    apart, freedom, known = _between(parts, before)
    if known:
        between = apart / math.sqrt(count)
        half = t_quantile(1.0 - alpha, freedom) * between
        error, below, above = max(error, between), max(below, half), max(above, half)
    return _Run(mean, max(mean - below, -1.0), min(mean + above, 1.0), by_rows, error, count, rows.size, known)


def _between(parts: Sequence[Floats], before: Sequence[Floats]) -> tuple[float, int, int]:
    """Standard deviation of windows' means, its degrees of freedom, and the windows that say it: those before a run, else its own, where they are
    LEAST_WINDOWS; of as many in all, both, each around the mean of its side, since what began with the run is no spread. 0 windows: nothing is known."""
    sides = next(([some] for some in (before, parts) if len(some) >= LEAST_WINDOWS), [before, parts])
    if (known := sum(map(len, sides))) < LEAST_WINDOWS:
        return 0.0, 0, 0
    means = [np.array([window.mean() for window in some]) for some in sides if some]
    freedom = known - len(means)
    return math.sqrt(sum(float(((some - some.mean()) ** 2).sum()) for some in means) / freedom), freedom, known


def _reach(rows: Floats, alpha: float) -> tuple[float, float]:
    """Of the interval of the mean of independent rows in [-1, 1], below and above it.

    Student's t, with the correction for skew of Johnson (1978) on the side that it widens, and half a step of the mean, which moves by whole rows where a rare kind
    of them decides. At least what rows of a kind that is not among these may cost: in n rows none comes with a chance of `alpha` if it is ln(1/alpha) / n of all.
    """
    size, apart = rows.size, rows - rows.mean()
    squares = apart * apart
    spread, t = math.sqrt(float(squares.sum()) / (size - 1)), t_quantile(1.0 - alpha, size - 1)
    step = float((squares * apart).mean()) / (spread**2 * size) if spread > 1e-12 else 0.0
    further = (0.5 + (1.0 + 2.0 * t * t) / 6.0) * step
    half, unseen = t * spread / math.sqrt(size), -math.log(alpha) / size
    return max(half + max(-further, 0.0), unseen), max(half + max(further, 0.0), unseen)


def _words(ranked: Sequence[Standing], winner: str | None, entrants: int) -> str:
    if not ranked:
        return "no entrant answered rows that neither it nor the champion learned from"
    best = next((each for each in ranked if each.entrant == winner), ranked[0])
    told = (
        f"{best.entrant}: mean loss {-best.estimate:+.4f} against the champion's ({-best.upper:+.4f} to {-best.lower:+.4f}) "
        f"on {best.rows} rows of the newest {_count(best.windows, 'window')}"
    )
    among = f", the best of {entrants}" if entrants > 1 else ""
    return f"{told}{among}: {'better' if winner else 'not shown to be better'}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _seed(past: Sequence[PastTournament], kind: IncidentKind | None) -> list[int]:
    text = repr([(str(each.at), each.winner, each.kind) for each in past] + [kind])
    return list(hashlib.sha256(text.encode()).digest()[:4])


def _short(value: float) -> float:
    return float(f"{value:.8g}")
