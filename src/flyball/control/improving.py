"""Is a tournament worth it now? What autopilot/worth.py asks for, gathered from the ledger."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby, takewhile

import msgspec

from flyball.autopilot import worth
from flyball.autopilot.actions import retune_is_due
from flyball.autopilot.contest import past_of
from flyball.autopilot.entrants import TRAINS, Strategy
from flyball.autopilot.tournament import MOST_FITS
from flyball.autopilot.worth import CostPolicy, JudgedWindow, Worth, WorthSituation
from flyball.control import jobs, tournaments
from flyball.control.acknowledging import taken_as_normal
from flyball.control.world import World
from flyball.errors import FlyballError
from flyball.monitoring import declared
from flyball.monitoring.reference import Baseline
from flyball.records.findings import Finding, FindingKind, WindowSummary
from flyball.records.jobs import Job, JobStatus, StepResult
from flyball.records.release import Champion, ReleaseState
from flyball.records.tournaments import Entrant, Tournament
from flyball.records.unit import Unit, Version

WINDOWS = 256
"""Newest windows that are looked at: what is normal is known as well by then as it will ever be."""
LATELY = 7
"""Newest windows that say how many of the answers get a label: days of a week differ."""


def assess(
    world: World,
    champion: Champion,
    baseline: Baseline,
    windows: Sequence[WindowSummary],
    standing: Iterable[FindingKind],
    delay: timedelta = timedelta(),
) -> Worth | None:
    """`windows`: mature and judged, in order of time, `comparable`; `standing`: kinds of the findings that stand; `delay`: how long labels take.

    None: nothing is known of how the champion was made."""
    unit = world.get("unit", champion.unit, Unit)
    version = world.get("version", f"{champion.model}|{unit.version:06d}", Version) if unit is not None else None
    if version is None:
        return None
    snapshot, held = version.lineage.snapshot, tournaments.remembered(world)
    later = [window for window in windows if snapshot.until is None or window.start >= snapshot.until]
    learned = _learned_until(world, version, delay)
    said, change = world.spec.cost, _change(version.lineage.strategy)
    # What a model learned from the rows since a change alone could learn from twice as many is counted from there.
    known, counted = (snapshot.rows, later) if change is None else (0, [window for window in windows if window.start >= change])
    own = _own(_term(world, champion, later)[-WINDOWS:])
    situation = WorthSituation(
        windows=(*_holdout(baseline, snapshot.until or version.created_at), *own),
        answered=len(own),
        tenures=_answered_before(world, champion, windows[-WINDOWS:]),
        normal_since=_normal_since(world),
        rows=known + _rows(counted),
        trained_rows=known + _rows(window for window in counted if window.end <= learned),
        since_change=change is not None,
        past=tuple(past_of(each) for each in held if not each.void),
        training_minutes=_minutes(world, champion, held) if said.training_minute else 0.0,
        before=worth.differing(_tenures(world, champion, windows[-WINDOWS:], delay)),
        fault=FindingKind.DATA_QUALITY in standing,
        answers_per_label=_answers_per_label(windows),
    )
    return worth.assess(situation, CostPolicy(error=said.error, training_minute=said.training_minute or 0.0))


def comparable(windows: Sequence[WindowSummary], unit: str, scale_of: Callable[[str], float | None]) -> list[WindowSummary]:
    """With losses in the scale of `unit`: a number's are told in that of the labels which whoever answered had learned from. `scale_of`: a unit's; None: it is
    not to be read, and its losses stay as they are."""
    own = scale_of(unit)

    def moved(window: WindowSummary) -> WindowSummary:
        its = own if window.unit == unit else scale_of(window.unit)
        if window.loss is None or not own or its is None or its == own:
            return window
        mean, spread = (min(value * its / own, 1.0) for value in (window.loss.mean, window.loss.spread))
        return msgspec.structs.replace(window, loss=msgspec.structs.replace(window.loss, mean=mean, spread=spread))

    return [moved(window) for window in windows]


def _normal_since(world: World) -> datetime | None:
    """Since when the loss of all rows is as the newest that a person has taken as normal."""
    found = (world.get("finding", name, Finding) for name in taken_as_normal(world))
    return max(
        (
            each.changed_since or each.window_start
            for each in found
            if each is not None and each.kind is FindingKind.PERFORMANCE and not each.subject.startswith(declared.subject_of(""))
        ),
        default=None,
    )


def _learned_until(world: World, version: Version, delay: timedelta) -> datetime:
    """Up to when somebody has learned from what was answered: whoever is trained knows the labels of then alone, which are those of a delay before."""
    # Nor has anybody where what was trained could not win, since another was champion by then.
    in_vain = {each.job for each in world.all("tournament", Tournament) if each.void or not tournaments.trained(each)}
    jobs = (job for job in world.all("job", Job) if job.id not in in_vain and job.as_of <= world.now())
    own = version.lineage.snapshot.until or version.created_at - delay
    return max((own, *(job.as_of - delay for job in jobs if _has_trained(job))))


def _change(strategy: str) -> datetime | None:
    """Since when it learned, of a model that learned from the rows since a change alone."""
    name, _, detail = strategy.partition(":")
    return datetime.fromisoformat(detail) if name == Strategy.SINCE else None


def _has_trained(job: Job) -> bool:
    """It has come to a model, whatever became of that: no tournament, or one in which somebody was fitted."""
    return job.status in (JobStatus.REGISTERED, JobStatus.REFUSED) and tournaments.trains(job)


def _holdout(baseline: Baseline, until: datetime) -> tuple[JudgedWindow, ...]:
    """What the champion lost before it answered anybody, window by window."""
    if not baseline.n or not baseline.window_means:
        return ()
    rows = max(baseline.n // len(baseline.window_means), 1)
    return tuple(JudgedWindow(start=until, rows=rows, loss=mean, spread=baseline.spread) for mean in baseline.window_means)


def _own(windows: Iterable[WindowSummary]) -> tuple[JudgedWindow, ...]:
    return tuple(
        JudgedWindow(start=window.start, rows=window.loss.n, loss=window.loss.mean, spread=window.loss.spread)
        for window in windows if window.loss is not None
    )  # fmt: skip


_Group = tuple[str, list[WindowSummary]]
"""A unit, and windows in a row that it answered."""


def _groups(windows: Iterable[WindowSummary]) -> list[_Group]:
    judged = (window for window in windows if window.loss is not None)
    return [(unit, list(own)) for unit, own in groupby(judged, key=lambda window: window.unit)]


def _of_the_term(world: World, champion: Champion, groups: Sequence[_Group]) -> int:
    """How many of the last groups are of the champion's version, under whatever map."""
    own = world.get("unit", champion.unit, Unit)

    def alike(name: str) -> bool:
        unit = world.get("unit", name, Unit)
        return name == champion.unit or (unit is not None and own is not None and unit.version == own.version)

    return sum(1 for _ in takewhile(lambda group: alike(group[0]), reversed(groups)))


def _term(world: World, champion: Champion, windows: Sequence[WindowSummary]) -> list[WindowSummary]:
    """Those that the champion's version has answered since another one did. What it answered before that, up to being replaced, is no measure of what is normal
    now: an earlier unit that comes back, to a world that is a third one, would never be seen to do badly in it."""
    groups = _groups(windows)
    return [window for _, own in groups[len(groups) - _of_the_term(world, champion, groups) :] for window in own]


def _answered_before(world: World, champion: Champion, windows: Sequence[WindowSummary]) -> tuple[tuple[JudgedWindow, ...], ...]:
    """Of each version that was champion before, under whatever map, what it answered up to being replaced."""

    def version(name: str) -> str | int:
        unit = world.get("unit", name, Unit)
        return name if unit is None else unit.version

    groups = _groups(windows)
    before = groups[: len(groups) - _of_the_term(world, champion, groups)]
    together = groupby(before, key=lambda group: version(group[0]))
    return tuple(_own(window for _, own in of_one for window in own) for _, of_one in together)


def _tenures(world: World, champion: Champion, windows: Sequence[WindowSummary], delay: timedelta) -> list[list[float]]:
    """Losses of each earlier champion's windows that were known when who came after it was chosen: a change that it had to go on answering through, while
    labels came late and a release went its way, is not how windows differ where nothing has changed."""
    groups = _groups(windows)
    followed = [
        *((after, own[0].start, own[0].end) for after, own in groups[1:]),
        (champion.unit, champion.since, champion.since),
    ]
    before = groups[: len(groups) - _of_the_term(world, champion, groups)]
    return [
        [window.loss.mean for window in own if window.loss is not None and window.end + delay <= chosen]
        for (_, own), after in zip(before, followed, strict=False)
        for chosen in [_chosen(world, *after)]
    ]  # fmt: skip


def _chosen(world: World, unit: str, since: datetime, until: datetime) -> datetime:
    """When the unit that began to answer then, or within the window until then, was decided on: as what was known when it won, or was rolled back to, had it."""
    # A release may open and be over within the window.
    began = [each for each in world.all("release", ReleaseState) if each.challenger == unit and each.opened_at <= until]
    if not began:
        return since
    release = max(began, key=lambda each: each.opened_at)
    job = world.get("job", release.job, Job) if release.job else None
    return release.opened_at if job is None else min(job.as_of, release.opened_at)


def _answers_per_label(windows: Sequence[WindowSummary]) -> float:
    """Of whoever answered: a window's predictions are a canary's, too, and so are its labels, but not the rows of its loss."""
    lately = [window for window in windows if window.loss is not None][-LATELY:]
    labelled = sum(max(window.labels, window.loss.n) for window in lately if window.loss is not None)
    return max(sum(window.predictions for window in lately) / labelled, 1.0) if labelled else 1.0


def _rows(windows: Iterable[WindowSummary]) -> int:
    return sum(window.loss.n for window in windows if window.loss is not None)


def _minutes(world: World, champion: Champion, held: Sequence[Tournament]) -> float:
    """Of training, as the last tournament had it, or, before any, as the newest version's own job lets expect; 0: none is known. `held`: those that trained.
    Who wins is fitted again, without the holdout and, where that is asked for, on all rows (adapters/steps/run.py). Seeking parameters anew is paid where it
    is due, and not for ever after."""
    plain = ([each.minutes for each in one.standings.entrants if each.fitted and not _sought(each)] for one in reversed(held))
    taken = next(filter(None, plain), None) or _foreseen_minutes(world)
    once, tuning = max(taken, default=0.0), world.spec.train.tuning
    improves = (policy.do.action == "improve" and policy.do.entrants is None for policy in world.spec.policies)
    anew = 0.0
    if tuning is not None and any(improves) and retune_is_due(tournaments.lost_in_a_row(world, champion)):
        before = (each.minutes for one in reversed(held) for each in one.standings.entrants if _sought(each))
        anew = next(before, (1 + tuning.trials) * once)
    return sum(taken) + anew + (1 + (world.spec.evaluate.refit is not False)) * once


def _sought(entrant: Entrant) -> bool:
    return entrant.name == Strategy.RETUNE and entrant.fitted


def _results(world: World, job: Job) -> tuple[StepResult, ...]:
    """None of one whose files cannot be read: a price that is not known keeps no signal from being told."""
    try:
        return tuple(jobs.observed(world, job).results)
    except FlyballError:
        return ()


def _foreseen_minutes(world: World) -> list[float]:
    """Of each that a tournament trains at most, as the newest registered version was trained; empty: what its job left is not here."""
    found = (
        job for job in reversed(world.by_last_event("job", Job)) if job.status is JobStatus.REGISTERED and tournaments.trains(job)
    )
    results = (result for job in found for result in _results(world, job) if result.step == "train")
    trained = next(results, None)
    if trained is None:
        return []
    whole = trained.seconds / 60.0
    # Only `retune` seeks parameters anew; the others are fitted once, with the champion's.
    once = whole / (1 + len(trained.values.get("trials", ())))
    named = [[each for each in policy.do.entrants if each in TRAINS] for policy in world.spec.policies if policy.do.entrants]
    asked = [[whole if Strategy(each) is Strategy.RETUNE else once for each in each_named] for each_named in named]
    return max([[once] * MOST_FITS, *asked], key=sum)
