"""Of a tournament's rows, which are kept from whom.

Two boundaries, both in time. Rows from `judging` on nobody learns from who is trained for the tournament: a few windows (autopilot/judges.py), so that entrants know
the world nearly as it is. Rows from `measured` on are the holdout of the version that wins, as long as `evaluate.holdout` says, but no longer than the champion's
model is old: what its windows are held against needs more rows than a choice does. Those of them that are older than the judges are answered by a fit of the same
recipe that has not seen them (evaluate.Fits).
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flyball.adapters.packages import LocalPackages
from flyball.adapters.steps.situation import Rows, Run, divided, read_rows
from flyball.autopilot import judges
from flyball.autopilot.tournament import MOST_WINDOWS
from flyball.control.world import micros
from flyball.records.jobs import StepResult
from flyball.records.tournaments import TournamentOrder

DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
LEAST_JUDGES = 100
"""Rows: a mean difference of Brier scores is then known to ±0.02 or so."""


class Apart(NamedTuple):
    judging: Run
    """Whose holdout are the rows that nobody is trained on."""
    measured: Run
    """Whose holdout is the winner's: no shorter."""
    judged_from_us: int
    """Who needs no training is judged on the rows from here on, those that it was not fitted on: as far back as windows are looked at."""


def rows_apart(run: Run, order: TournamentOrder, validated: StepResult) -> Apart:
    """Raises DataError where the rows cannot be divided as flyball.yaml says."""
    rows = read_rows(run.cache.directory("validate", validated.key))
    as_said = int(divided(run, rows)[1].event_us.min())
    measured_us = max(as_said, _half_since(rows, order, classes=run.request.spec.task != "regression"))
    judging_us = max(measured_us, _judging_from(run, rows))
    # Whoever answers the older rows of the holdout knows no less of the world than the champion: what changed before that was fitted has been learnt since.
    later = rows.event_us[rows.event_us > _champion_until(run)]
    measured_us = max(measured_us, min(int(later[0]) if later.size else judging_us, judging_us))
    measured = run if measured_us == as_said else run._replace(held_out_from_us=measured_us)
    judging = measured if judging_us == measured_us else run._replace(held_out_from_us=judging_us)
    length_us = length_of(run) // MICROSECOND
    looked_at = (int(rows.event_us.max()) // length_us - MOST_WINDOWS + 1) * length_us
    return Apart(judging, measured, min(judging_us, looked_at))


def length_of(run: Run) -> timedelta:
    """Of what a tournament is judged by: windows, or days where those are shorter. A choice by a few hours would be one for that time of day."""
    return max(run.request.spec.monitor.window, DAY)


def _half_since(rows: Rows, order: TournamentOrder, *, classes: bool) -> int:
    """No more than half of the rows since the change are held out, for the others are to be learnt; unless so few of them are there that nobody could be judged:
    what changed will have more."""
    if order.since is None:
        return -1
    since = np.flatnonzero(rows.event_us >= micros(order.since))
    newer = since[since.size // 2 :]
    if since.size // 2 < LEAST_JUDGES or (classes and np.unique(rows.labels[newer]).size < 2):
        return -1
    return int(rows.event_us[newer[0]])


def _judging_from(run: Run, rows: Rows) -> int:
    """The newest window is one of them in any case, and more than asked for where it has only begun."""
    length_us = length_of(run) // MICROSECOND
    windows = [*_windows(rows, length_us)]
    begun = len(windows) > 1 and 2 * (windows[0].last_us % length_us) < windows[1].last_us % length_us
    whole = windows[1:] if begun else windows
    uncommon = None if run.request.spec.task == "regression" else [each.uncommon for each in whole]
    return whole[judges.judging([each.rows for each in whole], uncommon) - 1].first_us


def _champion_until(run: Run) -> int:
    """The newest row that its model was fitted on; -1: none is champion, or it does not say."""
    champion = run.request.champion
    known = None if champion is None else LocalPackages().lineage(Path(champion.package)).fitted_until
    return -1 if known is None else micros(known)


class _Window(NamedTuple):
    first_us: int
    last_us: int
    """Moments of its first row and its last."""
    rows: int
    uncommon: int
    """Of its rows, those whose label is not the commonest one of all."""


def _windows(rows: Rows, window_us: int) -> Iterator[_Window]:
    """Those that have rows, the newest first. `rows`: in order of time, not empty."""
    labels, counts = np.unique(rows.labels, return_counts=True)
    uncommon = rows.labels != labels[np.argmax(counts)]
    places, first = np.unique(rows.event_us // window_us, return_index=True)
    ends = [*first[1:], rows.event_us.size]
    for at in range(places.size - 1, -1, -1):
        begin, end = int(first[at]), int(ends[at])
        yield _Window(int(rows.event_us[begin]), int(rows.event_us[end - 1]), end - begin, int(uncommon[begin:end].sum()))
