"""Did the loss rise in a slice, though hardly in all rows? Window by window, under a share of the false-alarm budget.

A window is judged by a bet on one slice that earlier windows nominated, and is searched for nominees afterwards. So no window is tested by what was found
in it, and a thousand slices cost no correction over looks. The bet is on the rank (stats/rank_bets.py) of the slice's standardised excess over the rest of
the rows, less what the holdout's mean may be wrong by, among the same of the holdout's own windows and of those in which it
was bet on longer ago; a Shiryaev–Roberts e-detector adds them up. Where the slice's windows differ by more than their rows do, a day's luck is in the error of all of
them, and in what the mean of a few days may be wrong by.

What is promised: while windows are exchangeable with the holdout's, the mean run length is about `run_length` windows or more. The nominee is also the slice
on whose holdout rows the model was luckiest, hence MARGIN and PRIOR_ROWS; that they are enough is measured, not proved.
"""

import hashlib
import math
from datetime import datetime
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import slices_told
from flyball.monitoring.allowance import Allowance
from flyball.monitoring.cause_words import percent
from flyball.monitoring.drift import finding_id
from flyball.monitoring.recent_losses import Told
from flyball.monitoring.slice_search import LEAST_ROWS, worst
from flyball.monitoring.slices import Condition, SliceReference, SliceRows, chosen, part, rows_of, words_of
from flyball.monitoring.slices_told import LEAST_IN_WINDOW, MOST_WINDOWS, Dated, Earlier, EarlierRows, Losses, ToldSlice
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.stats import edetector
from flyball.stats.rank_bets import SHIFTS, rank_bets, ranks_of

MARGIN = 3.0
"""Standard errors of the holdout's mean excess in a slice, by its rows or by its windows: about the largest among a thousand slices by luck alone."""
PRIOR_ROWS = 40
"""Rows with the spread of all that are added to a slice's own: one on which the model was lucky also looks more certain than it is."""
KEPT = 8
"""Nominees that later windows add to."""
FADES = 0.9
"""What a window's figures still weigh one window later: nominees follow a change that moves."""
LEAST_NORMAL = 6
"""Windows of the holdout that have the slice, without which its rank says nothing."""
JUDGED = 120
"""Windows in which it was bet on that are remembered of a nominee."""
WAITS = 20
"""The newest of them, which it is not ranked among yet: a harm would otherwise be ranked among its own windows before it is told."""
WAITS_EACH = 2
"""The same for each of the holdout's windows that have the slice, where that is more: the more there are the less its own add, and a moderate harm takes more than WAITS
windows to tell. Eight windows with a luck of their own are a poor holdout: without its own soon beside them a slice is told too often."""


class Nominee(msgspec.Struct, frozen=True, kw_only=True):
    """A slice that earlier windows pointed at, and what came in it."""

    conditions: tuple[Condition, ...]
    rows: float = 0.0
    """Faded."""
    excess: float = 0.0
    """Of its losses over the holdout's mean in it, less what the other rows rose by; summed, faded."""
    squares: float = 0.0
    declared: bool = False
    """By the user: never dropped."""
    judged: tuple[float, ...] = ()
    """Its standardised excess in each window in which it was bet on."""
    losses: Losses = ()
    """In each window since it was nominated, that one too: an alarm is dated by them where rows are kept no more."""

    @property
    def worth(self) -> float:
        """Lower bound of the harm."""
        if self.rows < LEAST_ROWS:
            return 0.0
        mean = self.excess / self.rows
        return self.rows * mean - 2.0 * math.sqrt(max(self.squares - self.rows * mean * mean, 0.0))


class SliceState(msgspec.Struct, frozen=True, kw_only=True):
    nominees: tuple[Nominee, ...] = ()
    detectors: tuple[float, ...] = edetector.start(len(SHIFTS))
    bet_rows: dict[str, int] = {}
    """Nominee in words → rows on which it was bet since the last alarm: after it was nominated, so not flattered by that."""
    bet_losses: dict[str, float] = {}
    """The same: sum of losses."""
    all_rows: dict[str, int] = {}
    """The same: all rows of those windows."""
    won: bool = True
    """The latest bet was; a tie tells nothing, though the level grows by it. Also of a state that did not keep it."""
    alarms: int = 0
    last_window: str = ""
    first: datetime | None = None
    """Start of the first window that was judged. None: none was, or a Flyball did not keep it."""
    starts: tuple[datetime, ...] = ()
    """Of the windows judged last, in the order in which they were: `losses` and `since` are those of the newest of them."""
    told: tuple[ToldSlice, ...] = ()
    """Newest last. Empty also where a Flyball did not keep it."""


class SliceReading(msgspec.Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]
    state: SliceState
    note: str = ""


def start(declared: tuple[tuple[Condition, ...], ...] = ()) -> SliceState:
    """`declared`: slices that the user wants watched, whatever the search says."""
    return SliceState(nominees=tuple(Nominee(conditions=conditions, declared=True) for conditions in declared))


def begin_anew(state: SliceState) -> SliceState:
    """A person has seen an alarm: slices are nominated and bet on from the next window on."""
    declared = tuple(nominee.conditions for nominee in state.nominees if nominee.declared)
    return msgspec.structs.replace(
        state, nominees=start(declared).nominees, detectors=edetector.start(len(SHIFTS)), bet_rows={}, bet_losses={}, all_rows={}, won=True
    )  # fmt: skip


def acknowledged(state: SliceState, subject: str) -> SliceState:
    """A person has seen an alarm of that slice: it is told again if it goes on."""
    return msgspec.structs.replace(begin_anew(state), told=slices_told.acknowledged(state.told, subject))


def judge(
    reference: SliceReference,
    state: SliceState,
    rows: SliceRows,
    window: Window,
    allowance: Allowance,
    earlier: EarlierRows | None = None,
) -> SliceReading:
    """Judge one mature window, once, in order of time. `rows`: its labelled rows; `earlier`: those of windows before it, which an alarm is dated by."""
    if window.id == state.last_window:
        return SliceReading(findings=(), state=state, note="this window was judged before")
    if len(rows.losses) < allowance.min_rows:
        note = f"{len(rows.losses)} labels are fewer than min_rows {allowance.min_rows}: not tested"
        return SliceReading(findings=(), state=state, note=note)
    holdout = rows_of(reference)
    bet_on = _best(state)
    bet = None if bet_on is None else _bet(reference, state, (holdout, rows), bet_on)
    moved_on = _moved_on(reference, bet or state, (holdout, rows), window)
    # Without a bet nothing is told, though a run length that is shorter now may lie below the level: there are no rows to tell it of.
    if bet_on is None or bet is None or not bet.won or edetector.level(moved_on.detectors) < allowance.run_length:
        return SliceReading(findings=(), state=_of_nominees(reference, moved_on))
    known = slices_told.standing(moved_on.told, bet_on.conditions, holdout)
    found = None if known is None else slices_told.dated_again(known, holdout, moved_on.starts)
    if found is None:
        seen = _with(earlier() if earlier is not None else _none_of(rows), rows, window)
        conditions, kept = (bet_on.conditions, _kept(moved_on, bet_on)) if known is None else (known.conditions, known.since)
        windows = slices_told.windows_of(kept, moved_on.starts)
        found = slices_told.dated(conditions, holdout, seen, windows, moved_on.first)
    finding = _finding(reference, moved_on, (bet_on, found), window, allowance)
    fresh = begin_anew(moved_on)
    if known is not None and slices_told.is_told_already(known, found, finding.harm or 0.0, allowance.tolerance):
        again = slices_told.again(known, found, window.start)
        return SliceReading(
            findings=(), state=msgspec.structs.replace(fresh, told=slices_told.with_told(fresh.told, known, again))
        )
    now = slices_told.with_told(fresh.told, known, _told(bet_on, known, found, finding))
    return SliceReading(findings=(finding,), state=msgspec.structs.replace(fresh, alarms=state.alarms + 1, told=now))


def _moved_on(reference: SliceReference, state: SliceState, both: tuple[SliceRows, SliceRows], window: Window) -> SliceState:
    holdout, rows = both
    return msgspec.structs.replace(
        state,
        last_window=window.id,
        nominees=_nominees(reference, state, holdout, rows),
        first=state.first or (None if state.last_window else window.start),
        starts=(*state.starts, window.start)[-MOST_WINDOWS:],
        told=slices_told.watched(state.told, rows),
    )


def _kept(state: SliceState, nominee: Nominee) -> Losses:
    """With the last window, in which others may have pushed it out."""
    return next((each.losses for each in state.nominees if each.conditions == nominee.conditions), (*nominee.losses, (0.0, 0)))


def _none_of(rows: SliceRows) -> Earlier:
    return Earlier(SliceRows(rows.codes[:0], rows.losses[:0], np.zeros(0, dtype=np.int64)), ())


def _with(before: Earlier, rows: SliceRows, window: Window) -> Earlier:
    """In order of time, whichever order they were judged in."""
    last = np.full(len(rows.losses), len(before.starts), dtype=np.int64)
    together = SliceRows(
        np.concatenate([before.rows.codes, rows.codes]),
        np.concatenate([before.rows.losses, rows.losses]),
        np.concatenate([before.rows.blocks, last]),
    )
    return Earlier(together, (*before.starts, window.start))


def _told(nominee: Nominee, known: ToldSlice | None, found: Dated, finding: Finding) -> ToldSlice:
    """Its windows are those of the conditions that it was told by first: what comes later is compared with them."""
    since = found.since
    told = None if since is None else Told(at=since.at, between=since.between, words=since.words)
    stood = known.windows if known is not None and found.stands else ()
    subjects = () if known is None else (*(each for each in known.subjects if each != finding.subject), known.subject)
    return ToldSlice(
        subject=finding.subject, subjects=subjects[-slices_told.STANDING:], conditions=nominee.conditions if known is None else known.conditions,
        told=told, until=finding.window_start, harm=finding.harm or 0.0, pages=finding.pages, whole=True,
        windows=(*stood, *slices_told.newest(found))[-slices_told.STANDING:],
    )  # fmt: skip


def _best(state: SliceState) -> Nominee | None:
    best = max(state.nominees, key=lambda nominee: nominee.worth, default=None)
    return best if best is not None and best.worth > 0.0 else None


def _bet(reference: SliceReference, state: SliceState, both: tuple[SliceRows, SliceRows], nominee: Nominee) -> SliceState | None:
    """None: too few rows of it, here or in the holdout."""
    holdout, rows = both
    scores = _scores(holdout, rows, nominee.conditions)
    if scores.observed is None or len(scores.normal) < LEAST_NORMAL:
        return None
    earlier = ranks_of((*scores.normal, *nominee.judged[: -max(WAITS, WAITS_EACH * len(scores.normal))]))
    bets = rank_bets(earlier, scores.observed - scores.granted)
    detectors = edetector.advance(state.detectors, bets)
    judged = msgspec.structs.replace(nominee, judged=(*nominee.judged, scores.observed)[-JUDGED:])
    words = words_of(reference.features, nominee.conditions)
    inside = chosen(nominee.conditions, rows.codes)
    return msgspec.structs.replace(
        state,
        nominees=tuple(judged if each.conditions == nominee.conditions else each for each in state.nominees),
        detectors=tuple(float(f"{value:.8g}") for value in detectors),
        won=edetector.gain(state.detectors, bets) > 0.0,
        bet_rows=state.bet_rows | {words: state.bet_rows.get(words, 0) + int(inside.sum())},
        bet_losses=state.bet_losses | {words: _short(state.bet_losses.get(words, 0.0) + float(rows.losses[inside].sum()))},
        all_rows=state.all_rows | {words: state.all_rows.get(words, 0) + len(rows.losses)},
    )


def _of_nominees(reference: SliceReference, state: SliceState) -> SliceState:
    """Without the figures of slices that others have pushed out: all of it is put into the ledger at each window. One that comes back begins anew."""
    there = {words_of(reference.features, nominee.conditions) for nominee in state.nominees}
    return msgspec.structs.replace(
        state,
        bet_rows={words: n for words, n in state.bet_rows.items() if words in there},
        bet_losses={words: total for words, total in state.bet_losses.items() if words in there},
        all_rows={words: n for words, n in state.all_rows.items() if words in there},
    )


class _Scores(NamedTuple):
    """Standardised excess of a slice over the rest of the rows."""

    normal: list[float]
    """Of each window of the holdout against all its others."""
    observed: float | None
    """Of this one against the holdout. None: too few rows, here or there."""
    granted: float
    """What the holdout's mean may be wrong by, in the same units."""


def _scores(holdout: SliceRows, rows: SliceRows, conditions: tuple[Condition, ...]) -> _Scores:
    inside, inside_before = chosen(conditions, rows.codes), chosen(conditions, holdout.codes)
    n, total = _per_block(holdout.blocks, inside_before, holdout.losses)
    rest, rest_total = _per_block(holdout.blocks, ~inside_before, holdout.losses)
    if n.sum() < LEAST_ROWS or rest.sum() < LEAST_ROWS:
        return _Scores([], None, 0.0)
    spread, spread_rest = (_spread(holdout.losses, mask) for mask in (inside_before, ~inside_before))
    usable = (n >= LEAST_IN_WINDOW) & (rest >= LEAST_IN_WINDOW)
    others = (
        (total.sum() - total) / np.maximum(n.sum() - n, 1.0),
        (rest_total.sum() - rest_total) / np.maximum(rest.sum() - rest, 1.0),
    )
    excess = (total / np.maximum(n, 1.0) - others[0] - rest_total / np.maximum(rest, 1.0) + others[1])[usable]
    of_rows = (spread**2 / np.maximum(n, 1.0) + spread_rest**2 / np.maximum(rest, 1.0))[usable]
    varies = float(excess.var(ddof=1)) if excess.size > 1 else 0.0
    luck = max(varies - float(of_rows.mean()), 0.0) if excess.size else 0.0
    normal = [_short(value) for value in (excess / np.sqrt(of_rows + luck)).tolist()]
    here, elsewhere = float(inside.sum()), float((~inside).sum())
    if min(here, elsewhere) < LEAST_IN_WINDOW:
        return _Scores(normal, None, 0.0)
    risen = float(rows.losses[inside].mean() - total.sum() / n.sum())
    risen_elsewhere = float(rows.losses[~inside].mean() - rest_total.sum() / rest.sum())
    error = math.sqrt(spread**2 / here + spread_rest**2 / elsewhere + luck)
    granted = MARGIN * max(spread / math.sqrt(float(n.sum())), math.sqrt(varies / max(excess.size, 1)))
    return _Scores(normal, _short((risen - risen_elsewhere) / error), _short(granted / error))


def _spread(losses: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    n = int(mask.sum())
    return max(math.sqrt((n * float(losses[mask].var()) + PRIOR_ROWS * float(losses.var())) / (n + PRIOR_ROWS)), 1e-3)


def _per_block(
    blocks: NDArray[np.int64], mask: NDArray[np.bool_], losses: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and losses in each window."""
    size = int(blocks.max()) + 1
    counts = np.bincount(blocks[mask], minlength=size).astype(np.float64)
    return counts, np.bincount(blocks[mask], weights=losses[mask], minlength=size).astype(np.float64)


def _nominees(reference: SliceReference, state: SliceState, holdout: SliceRows, rows: SliceRows) -> tuple[Nominee, ...]:
    """Those there are with this window's rows, and the slice that this window points at."""
    found = worst(reference, holdout, rows)
    kept = state.nominees
    if found is not None and all(nominee.conditions != found for nominee in kept):
        kept = (*kept, Nominee(conditions=found))
    grown = [_grown(nominee, holdout, rows) for nominee in kept]
    others = sorted((item for item in grown if not item.declared), key=lambda item: -item.worth)
    return tuple(item for item in grown if item.declared) + tuple(others[:KEPT])


def _grown(nominee: Nominee, holdout: SliceRows, rows: SliceRows) -> Nominee:
    inside, inside_before = chosen(nominee.conditions, rows.codes), chosen(nominee.conditions, holdout.codes)
    old, rest, rest_before = part(holdout, inside_before), rows.losses[~inside], holdout.losses[~inside_before]
    nominee = msgspec.structs.replace(nominee, losses=slices_told.grown(nominee.losses, nominee.conditions, rows))
    if min(len(old.losses), len(rest), len(rest_before)) < LEAST_ROWS or not inside.any():
        return nominee
    excess = rows.losses[inside] - old.losses.mean() - (rest.mean() - rest_before.mean())
    return msgspec.structs.replace(
        nominee,
        rows=_short(FADES * nominee.rows + len(excess)),
        excess=_short(FADES * nominee.excess + float(excess.sum())),
        squares=_short(FADES * nominee.squares + float(excess @ excess)),
    )


def _finding(
    reference: SliceReference, state: SliceState, of: tuple[Nominee, Dated], window: Window, allowance: Allowance
) -> Finding:
    nominee, since = of[0], of[1].since
    holdout = rows_of(reference)
    words = words_of(reference.features, nominee.conditions)
    before = float(holdout.losses[chosen(nominee.conditions, holdout.codes)].mean())
    n, share = state.bet_rows[words], state.bet_rows[words] / state.all_rows[words]
    loss = state.bet_losses[words] / n
    harm = round((loss - before) * share, 6)
    evidence = Evidence(
        name="slice_detector", value=round(edetector.level(state.detectors), 3), n=n, since=window.start, until=window.end,
        method="bets on a slice that earlier windows nominated, by its rank among the holdout's windows, Shiryaev–Roberts e-detector (arXiv 2203.03532)",
        inputs=hashlib.sha256(repr((state.detectors, nominee)).encode()).hexdigest(),
        note=f"mean run length at least {allowance.run_length:g} windows without a slice that departs",
    )  # fmt: skip
    return Finding(
        id=finding_id(FindingKind.CONCEPT_DRIFT, window, words), kind=FindingKind.CONCEPT_DRIFT, model=window.model, unit=window.unit,
        subject=words, window_start=window.start, window_end=window.end, effect=round(loss - before, 6),
        effect_unit="increase of the mean bounded loss in the slice", evidence=evidence, share_of_budget=allowance.share,
        words=f"{words}: loss {loss:.3f} against {before:.3f} on the holdout, {percent(share)} of rows"
        + (f"; {since.words}" if since else ""),
        harm=harm, pages=harm > allowance.tolerance, changed_since=None if since is None else since.at,
        changed_between=None if since is None else since.between,
    )  # fmt: skip


def _short(value: float) -> float:
    return float(f"{value:.8g}")
