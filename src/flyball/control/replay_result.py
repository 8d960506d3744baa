"""What a replay found, read back from the ledger and from what the gateway captured: never from what the driver hoped for."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from flyball.control import decisions, tournaments, traffic
from flyball.control.bounds import open_breaker
from flyball.control.engine import Engine
from flyball.control.ports import JobReport, Scorer
from flyball.control.replay import Columns, History
from flyball.control.replay_figures import Calendar, Outcomes, alone_figures, drift_map, figures_by, governed_figures
from flyball.control.replay_metrics import measured, metric_of
from flyball.control.replay_position import Sent
from flyball.control.replay_report import DecisionLine, FindingLine, ReleaseLine, ReplayReport
from flyball.control.telling_events import action_words
from flyball.control.unit_names import unit_names
from flyball.control.units import threshold_of
from flyball.control.world import World
from flyball.records.decisions import Approval, Decision
from flyball.records.findings import Finding, WindowSummary
from flyball.records.jobs import Job, StepResult
from flyball.records.release import Phase, ReleaseState
from flyball.records.unit import Unit
from flyball.spec import ReplaySpec
from flyball.stats.metrics import HALF

SCORE_ROWS = 20_000
"""Rows scored at once for the model left alone: bounds the memory of their dictionaries."""
FOREVER_US = 1 << 62
ALPHA = 0.05
"""Error rate of each interval, at that one span."""
CALENDARS: tuple[Calendar, ...] = ("month", "week", "day")


class Lived(NamedTuple):
    """A replay that is over."""

    engine: Engine
    history: History
    columns: Columns
    sent: Sent


def report_of(lived: Lived, replay: ReplaySpec, scorer: Scorer) -> ReplayReport:
    """All figures but the seconds that it took, which its journal knows."""
    world, spec = lived.engine.world, lived.engine.world.spec
    outcomes = outcomes_of(lived, scorer)
    metrics = measured(spec.task, metric_of(spec.task, spec.evaluate.primary))
    months, weeks, days = (figures_by(calendar, spec.task, outcomes, replay.timezone, ALPHA, metrics) for calendar in CALENDARS)
    releases, made, retrainings = release_lines(world), decisions.recorded(world), retrainings_of(world)
    windows = sorted(world.all("window", WindowSummary), key=lambda window: window.start)
    return ReplayReport(
        project=spec.project,
        model=spec.model,
        task=spec.task,
        metric=metrics[0],
        rethresholded=_rethresholded(world, outcomes),
        since=replay.start.isoformat(),
        until=lived.history.frame[lived.columns.time][-1].isoformat(),
        timezone=replay.timezone,
        seed=replay.seed,
        alone=alone_figures(months),
        governed=governed_figures(
            months,
            retrainings=len(retrainings),
            retrained_at=tuple(job.requested_at.isoformat() for job in retrainings),
            promotions=sum(line.promoted_at is not None for line in releases[1:]),
            rollbacks=sum(line.outcome == Phase.ROLLED_BACK for line in releases),
            training_minutes=round(sum(job_seconds(world.ports.executor.observe(job.id)) for job in retrainings) / 60.0, 3),
            alarms=sum(finding.pages for finding in world.all("finding", Finding)),
        ),
        requests=lived.sent.requests,
        predictions=lived.sent.predictions,
        rows_refused=lived.sent.refused_rows,
        failed_requests=lived.sent.failed_requests + lived.sent.failed_label_requests,
        stopped_at=_stopped_at(world),
        labels_sent=lived.sent.labels,
        labels_joined=join.counts().labels_joined if (join := lived.engine.observation.join) else 0,
        labels_refused=lived.sent.refused_labels,
        questions=open_questions(world),
        breaker=breaker.words if (breaker := open_breaker(world)) else "",
        breaker_since=breaker.opened_at.isoformat() if breaker else "",
        failed_ticks=failed_ticks(world),
        decisions=len(made),
        decisions_replayed_equal=sum(decisions.replays_equal(decision) is True for decision in made),
        months=months,
        weeks=weeks,
        days=days,
        releases=releases,
        decision_log=tuple(decision_line(decision) for decision in made),
        findings=finding_lines(world),
        drift=drift_map([(window.start, window.drift) for window in windows], spec.data.feature_names, replay.timezone),
    )


def _rethresholded(world: World, outcomes: Outcomes) -> bool:
    return outcomes.thresholds is not None and bool(np.any(outcomes.thresholds != threshold_of(world, binary=True)))


def _stopped_at(world: World) -> str:
    """Nobody resumes a replay's model."""
    stop = traffic.stop_of(world)
    return stop.stopped_at.isoformat() if stop is not None and stop.fallback is None else ""


def retrainings_of(world: World) -> tuple[Job, ...]:
    """Jobs that the loop asked for in which a model may be trained: neither the first version's, nor a map over the scores of the one that is there."""
    found = (job for job in world.all("job", Job) if job.cause.startswith("d-") and tournaments.trains(job))
    return tuple(sorted(found, key=lambda job: job.requested_at))


def job_seconds(report: JobReport) -> float:
    """What a job took: its steps, or all that it did until it failed."""
    return step_seconds(report.results) + sum(line.seconds for line in report.progress)


def step_seconds(results: Sequence[StepResult]) -> float:
    """What the steps of a job took when they were done: a step that another replay had done already cost as much. Of a tournament each training counts once, the
    winner's among them, and what it waited for them does not."""
    held = next((result.values for result in results if result.step == tournaments.STEP), {})
    trained = {str(each["key"]): float(each["seconds"]) for each in held.get("trained", ())}
    others = sum(result.seconds for result in results if result.key not in trained)
    return others - float(held.get("waited_seconds", 0.0)) + sum(trained.values())


def open_questions(world: World) -> tuple[str, ...]:
    """That wait for a person, oldest first."""
    waiting = [each for each in world.all("approval", Approval) if each.answer is None]
    return tuple(_question(world, each) for each in sorted(waiting, key=lambda each: (each.requested_at, each.id)))


def _question(world: World, asked: Approval) -> str:
    decision = decisions.find(world, asked.decision)
    action = decisions.asked_in(decision, asked) if decision is not None else None
    return f"{asked.id} of {asked.requested_at:%Y-%m-%d %H:%M}: {action_words(action) if action is not None else 'an action that is not known'}"


def failed_ticks(world: World) -> tuple[str, ...]:
    return tuple(
        f"{event.at:%Y-%m-%d %H:%M} {event.payload['words']}" for event in world.ports.ledger.events(kinds=("tick.failed",))
    )


def outcomes_of(lived: Lived, scorer: Scorer) -> Outcomes:
    """Every answered row with its label, and what the first version would have answered to it. Its time is its own: rows of an hour are asked together."""
    join = lived.engine.observation.join
    empty = np.zeros(0)
    ids, _, shown, labels, units = join.answers(0, FOREVER_US) if join else ([], empty, empty, empty, [])
    answered = pl.DataFrame({"key": ids, "unit": units}, schema={"key": pl.String, "unit": pl.String}).with_row_index("place")
    keys = lived.history.frame[lived.columns.key].cast(pl.String)
    rows = pl.DataFrame({"key": keys}).with_row_index("row").join(answered, on="key", how="inner")
    place, row = rows["place"].to_numpy(), rows["row"].to_numpy()
    known = ~np.isnan(labels[place])
    place, row = place[known], row[known]
    world = lived.engine.world
    who = answered["unit"].gather(place)
    return Outcomes(
        times=lived.history.frame[lived.columns.time].gather(row),
        labels=labels[place] if world.spec.task == "regression" else labels[place].astype(np.int64),
        alone=_score_alone(lived, scorer, row),
        governed=shown[place],
        units=who.replace(unit_names(world)),
        scale=_scale(lived),
        thresholds=_thresholds(world, who),
        alone_threshold=_threshold(first_unit(world)),
    )


def _scale(lived: Lived) -> float | None:
    """Of a regression's bounded loss: the first version's, so that all of a year is measured by one."""
    if lived.engine.world.spec.task != "regression":
        return None
    return lived.engine.observation.files.reference(first_unit(lived.engine.world).id).scale


def first_unit(world: World) -> Unit:
    """Of this replay's own ledger: a registry may know versions of other lives. No replay is over without one."""
    return min(world.all("unit", Unit), key=lambda unit: unit.version)


def _thresholds(world: World, units: pl.Series) -> npt.NDArray[np.float64] | None:
    """At which each row was decided; None: there is none with this task."""
    if world.spec.task != "binary":
        return None
    known = {unit.id: _threshold(unit) for unit in world.all("unit", Unit)}
    return np.array([known[unit] for unit in units.to_list()], dtype=np.float64)


def _threshold(unit: Unit) -> float:
    return HALF if unit.threshold is None else unit.threshold


def _score_alone(lived: Lived, scorer: Scorer, rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    world = lived.engine.world
    first = first_unit(world)
    package = world.ports.registry.fetch(world.model, first.version, first.manifest_digest)
    features = lived.history.frame.select(lived.columns.features)
    parts = [
        np.asarray(scorer.score(package, features[rows[start : start + SCORE_ROWS].tolist()].to_dicts()), dtype=np.float64)
        for start in range(0, len(rows), SCORE_ROWS)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, 1))


def release_lines(world: World) -> tuple[ReleaseLine, ...]:
    """Every release and how it went, oldest first."""
    units, names = {unit.id: unit.version for unit in world.all("unit", Unit)}, unit_names(world)
    verified = world.ports.ledger.events(kinds=("release.verified",))
    promoted = {event.subject: event.at.isoformat() for event in verified if event.payload["phase"] == Phase.FULL}
    return tuple(
        ReleaseLine(
            id=release.id,
            version=units[release.challenger],
            unit=names[release.challenger],
            opened_at=release.opened_at.isoformat(),
            promoted_at=promoted.get(f"release:{release.id}"),
            ended_at=release.entered_at.isoformat() if release.phase in (Phase.SETTLED, Phase.ROLLED_BACK) else None,
            outcome=release.phase.value,
            words=release.reason,
        )
        for release in world.all("release", ReleaseState)
    )


def decision_line(decision: Decision) -> DecisionLine:
    return DecisionLine(
        id=decision.id,
        at=decision.now.isoformat(),
        room=decision.room,
        rule=decision.plan.rule,
        words=decision.plan.rationale,
        action=", ".join(action_words(action) for action in decision.plan.actions),
    )


def finding_lines(world: World) -> tuple[FindingLine, ...]:
    found = sorted(world.all("finding", Finding), key=lambda finding: (finding.window_end, finding.id))
    return tuple(
        FindingLine(
            at=item.window_end.isoformat(), kind=item.kind.value, subject=item.subject, words=item.words, effect=item.effect
        )
        for item in found
    )
