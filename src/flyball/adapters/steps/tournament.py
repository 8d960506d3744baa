"""tournament: entrants are fitted and asked, and judged beside the champion on the newest mature rows.

Everybody shares the snapshot and its validation. What an entrant was fitted on does not judge it, nor does what the champion was fitted on. One that cannot
compete is told with its reason and keeps no other from competing.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.adapters.environment import refuse_change
from flyball.adapters.packages import LocalPackages
from flyball.adapters.steps.apart import Apart, length_of
from flyball.adapters.steps.evaluate import answers_of, answers_of_trained
from flyball.adapters.steps.mended import enough, mapped, thresholded
from flyball.adapters.steps.recipes import PLAIN, Recipe
from flyball.adapters.steps.situation import Rows, Run, divided, read_rows
from flyball.adapters.steps.train import digest_at, takes_weights
from flyball.adapters.steps.trainings import Trainings, refuse_longer
from flyball.autopilot import entrants, tournament
from flyball.autopilot.contest import COST_GAIN, LOSS_GAIN, past_of, winner
from flyball.autopilot.entrants import History, Strategy
from flyball.autopilot.tournament import PastTournament, Standing
from flyball.control.world import micros, moment
from flyball.errors import CodeChanged, DataError, FlyballError, StoreUnavailable, TrainingError
from flyball.monitoring.reference import FILE as REFERENCE
from flyball.monitoring.reference import Reference
from flyball.pipelines.evaluation import label_scale
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.jobs import StepResult
from flyball.records.routing import ServedUnit
from flyball.records.signature import Signature
from flyball.records.tournaments import Entrant, Standings, TournamentOrder
from flyball.spec.fields import format_duration, parse_duration
from flyball.stats.losses import bounded_loss, wrong_costs

STEP = "tournament"
CODE_VERSION = 9
DAY = timedelta(days=1)

Floats = NDArray[np.float64]


class Asked(NamedTuple):
    """An entrant, and what it cost on every row that judges; NaN: it was fitted on that row."""

    entrant: Entrant
    costs: Floats
    of: str
    """`loss_gain` or `cost_gain`."""


class Ground(NamedTuple):
    """What everybody is judged on."""

    run: Run
    signature: Signature
    before: Rows
    judges: Rows
    newest: NDArray[np.bool_]
    """Which of the judges nobody learns from; the others are older, and judge who has not learned from them."""
    scale: float
    """The error that counts as 1, of the champion's reference: as its release, its windows and its effects are reckoned in. Labels that spread further by now
    would make of the same errors another gain."""
    champion: ServedUnit
    answers: Floats
    """The champion's, to the rows that judge."""
    since_us: int | None
    """When what is to be mended began; None: unknown."""
    from_us: dict[str, int]
    """Entrant → until when rows do not judge it, since a release took it back."""

    def fresh(self) -> Rows:
        """What the champion was not fitted on and nobody is judged by; since the change alone, where those can be fitted on: of a rare class
        there may be too few yet among however many rows, and a map of both worlds is better than none."""
        rows = self.before.where(self.before.event_us > fitted_until_us(self.champion))
        changed = rows if self.since_us is None else rows.where(rows.event_us >= self.since_us)
        return changed if enough(self.signature.task, changed.labels) else rows

    def losses(self, answers: Floats, fitted_until_us: int) -> Floats:
        found: Floats = bounded_loss(self.signature.task, answers, self.judges.labels, self.scale)
        return np.where(self.judges.event_us > fitted_until_us, found, np.nan)

    def wrong(self, threshold: float | None, chosen_until_us: int = -1) -> Floats:
        """What the champion's answers cost where this threshold divides them; None: one half. `chosen_until_us`: the newest row that it was chosen by."""
        if self.signature.task != "binary":
            return np.full(self.judges.labels.size, np.nan)
        divided_at = 0.5 if threshold is None else threshold
        found = wrong_costs(self.answers[:, 0], self.judges.labels, divided_at, self.run.threshold)
        return np.where(self.judges.event_us > max(fitted_until_us(self.champion), chosen_until_us), found, np.nan)


def order_of(run: Run) -> TournamentOrder | None:
    """None: the job holds no tournament."""
    given = run.request.job.overrides.get("tournament")
    return None if given is None else codec.revive(given, TournamentOrder)


def hold(apart: Apart, keys: dict[str, str], validated: StepResult, order: TournamentOrder) -> StepResult:
    """Its values hold the `standings`."""
    run = apart.judging

    def work(_: Path) -> dict[str, Any]:
        ground, trainings = _ground(apart, validated, order), Trainings()
        asked, out = _compete(
            ground, order, lambda name: trainings.hold(run, keys, validated, (name, recipe_of(run, name))), trainings
        )
        refuse_change(run.request.project_dir, run.surroundings)
        return {"standings": codec.plain(standings(ground, asked, out, tournament.ALPHA)), **trainings.values(run)}

    return run.cache.do(STEP, key_of(apart, keys, order), work, lambda held: _of_estimator(run, held))


def seconds_of(held: StepResult) -> float:
    """What its trainings took, where they were done."""
    return sum(float(each["seconds"]) for each in held.values.get("trained", ()))


def _of_estimator(run: Run, held: StepResult) -> bool:
    """Whether the winner that lies there is the very one that was judged: fitted anew, its result being gone, it may come out as another one."""
    won = winner(codec.revive(held.values["standings"], Standings))
    trained: dict[str, dict[str, Any]] = {each["entrant"]: each for each in held.values.get("trained", ())}
    judged = trained.get(won.name, {}) if won is not None else {}
    if "estimator_digest" not in judged:  # it needed no training, or an earlier release held it, which does not say
        return True
    try:
        return bool(digest_at(run, "train", judged["key"]) == judged["estimator_digest"])
    except FileNotFoundError:
        return False


def key_of(apart: Apart, keys: dict[str, str], order: TournamentOrder) -> str:
    """Two with the same are one tournament."""
    run = apart.judging
    units = [unit for unit in (run.request.champion, *run.request.earlier) if unit is not None]
    around = run.surroundings
    past = None if order.chosen else _past(run)  # who is tried is drawn by it
    return codec.digest([
        STEP, CODE_VERSION, keys["validate"], order, past, [unit.unit for unit in units], run.held_out_from_us, apart.judged_from_us, run.parameters, around.code_digest,
        around.environment_digest, run.request.spec.model_dump(mode="json", include={"train": True, "evaluate": True, "monitor": True, "serve": {"threshold"}}),
    ])  # fmt: skip


def recipe_of(run: Run, name: str) -> Recipe:
    """How the entrant of that name is fitted: where parameters are tuned, only `retune` seeks them anew, and the others take the champion's."""
    entrant = entrants.entrant_of(name)
    champion, tuned = run.request.champion, run.request.spec.train.tuning is not None
    known = LocalPackages().lineage(Path(champion.package)).parameters if champion is not None and tuned else None
    parameters = None if entrant.strategy is Strategy.RETUNE else known
    if entrant.strategy in (Strategy.ALL, Strategy.RETUNE):
        return PLAIN if parameters is None and entrant.strategy is Strategy.ALL else Recipe(name, parameters=parameters)
    if entrant.strategy is Strategy.SINCE:
        return Recipe(name, since_us=micros(datetime.fromisoformat(entrant.detail)), parameters=parameters)
    length_us = parse_duration(entrant.detail) // timedelta(microseconds=1)
    if entrant.strategy is Strategy.WEIGHTED:
        return Recipe(name, half_life_us=length_us, parameters=parameters)
    return Recipe(name, last_us=length_us, parameters=parameters)


def standings(ground: Ground, asked: list[Asked], out: list[Entrant], alpha: float) -> Standings:
    """Answers and thresholds, of which the champion loses otherwise, are judged apart: each by the share of the error rate that its number has."""
    own = {
        LOSS_GAIN: ground.losses(ground.answers, fitted_until_us(ground.champion)),
        COST_GAIN: ground.wrong(ground.champion.unit.threshold),
    }
    order = np.argsort(ground.judges.event_us, kind="stable")
    window_us = length_of(ground.run) // timedelta(microseconds=1)
    place = ground.judges.event_us[order] // window_us
    found: list[Entrant] = []
    level = 0.0
    for what, champion in own.items():
        mine = {each.entrant.name: each for each in asked if each.of == what}
        if not mine and what == COST_GAIN:
            continue
        share = alpha * len(mine) / max(len(asked), 1)
        judged = tournament.judge(
            champion[order], {name: each.costs[order] for name, each in mine.items()}, place, share or alpha
        )
        level = judged.champion_loss if what == LOSS_GAIN else level
        told = {each.entrant: each for each in judged.standings}
        found += [_measured(each.entrant, told.get(name), what) for name, each in mine.items()]
    return Standings(
        champion=ground.champion.unit.id, champion_loss=level, rows=int(ground.newest.sum()), since=moment(int(ground.judges.event_us[ground.newest].min())),
        until=moment(int(ground.judges.event_us.max())), alpha=alpha, entrants=(*found, *out),
    )  # fmt: skip


def _measured(entrant: Entrant, standing: Standing | None, what: str) -> Entrant:
    if standing is None:
        return msgspec.structs.replace(entrant, words="no row judges it: the champion or it was fitted on all of the newest ones")
    of = "" if standing.spread_of else ", of their rows alone"
    gain = Evidence(
        name=what, value=standing.estimate, lower=standing.lower, upper=standing.upper, alpha=standing.alpha, n=standing.rows,
        method=f"paired, t of the newest {standing.windows} windows{of} (autopilot/tournament.py)",
    )  # fmt: skip
    return msgspec.structs.replace(
        entrant, gain=gain, relative=standing.relative, error=standing.error, windows=standing.windows, spread_of=standing.spread_of
    )  # fmt: skip


def _ground(apart: Apart, validated: StepResult, order: TournamentOrder) -> Ground:
    run = apart.judging
    champion = run.request.champion
    if champion is None or champion.unit.id != order.champion:
        raise DataError(f"{order.champion} is champion no more", next_step="the policy decides anew at the next window")
    rows = read_rows(run.cache.directory("validate", validated.key))
    before, kept = divided(run, rows)
    judges = rows.where(rows.event_us >= apart.judged_from_us)
    signature = codec.revive(validated.values["signature"], Signature)
    answers = answers_of(run, champion, judges.features, signature)
    since_us = None if order.since is None else micros(order.since)
    newest = judges.event_us >= kept.event_us.min()
    return Ground(
        run, signature, before, judges, newest, _scale(champion, signature, before), champion, answers, since_us, _from_us(order)
    )


def _from_us(order: TournamentOrder) -> dict[str, int]:
    return {name: micros(moment) for name, moment in order.judged_from.items()}


def _scale(champion: ServedUnit, signature: Signature, before: Rows) -> float:
    """Of a package without a reference, or with one that an earlier Flyball wrote otherwise: that of the rows before."""
    found = LocalPackages().monitored(Path(champion.package), REFERENCE)
    if found is not None:
        with suppress(msgspec.DecodeError):
            return codec.decode(found, Reference).scale
    return label_scale(signature.task, before.labels)


def _compete(
    ground: Ground, order: TournamentOrder, fit: Callable[[str], StepResult], trainings: Trainings
) -> tuple[list[Asked], list[Entrant]]:
    """(those who competed, those who did not)"""
    there = {each.unit.id for each in ground.run.request.earlier}
    out = [
        Entrant(name=f"earlier:{unit}", fitted=False, words="its package is not whole on this machine")
        for unit in order.earlier if Strategy.EARLIER in order.strategies and unit not in there
    ]  # fmt: skip
    asked: list[Asked] = []
    most = ground.run.request.spec.train.time_limit.total_seconds() / 2.0
    for name in _names(ground, order):
        fitted = entrants.entrant_of(name).trains
        ground.run.say(STEP, f"{name} is tried")
        try:
            if fitted and trainings.seconds > most:
                raise DataError(f"half of train.time_limit has gone ({trainings.seconds:.0f} s)")
            if name == Strategy.RETUNE and not order.chosen:
                refuse_longer(ground.run, trainings)
            if fitted and (alike := trainings.alike(name, fit(name))):
                out.append(Entrant(name=name, fitted=True, minutes=_minutes(trainings.done[name]), words=alike))
            else:
                asked.append(_fitted(ground, trainings.done[name], name) if fitted else _found(ground, name))
        except (CodeChanged, StoreUnavailable):
            raise  # no entrant's own fault: kept as its standing, it would be told of code and a machine that are well again
        except FlyballError as error:
            out.append(Entrant(name=name, fitted=fitted, words=error.message, crashed=isinstance(error, TrainingError)))
    return asked, out


def _names(ground: Ground, order: TournamentOrder) -> list[str]:
    """What the strategies mean for these rows."""
    event_us = ground.before.event_us
    begin, until = moment(int(event_us.min())), moment(int(event_us.max()))
    history = History(
        begin=begin, until=until, rows=int(event_us.size), change=order.since,
        rows_since_change=0 if order.since is None else int((event_us >= micros(order.since)).sum()),
        earlier=tuple(unit.unit.id for unit in ground.run.request.earlier),
    )  # fmt: skip
    retunes = not order.chosen and Strategy.RETUNE in order.strategies
    possible = [each for each in entrants.possible(history, order.kind, retunes=retunes) if each.strategy in order.strategies]
    if not order.chosen:
        if not takes_weights(ground.run):  # a place among the few that are trained is not given to one that cannot be
            possible = [each for each in possible if each.strategy is not Strategy.WEIGHTED]
        # In the place of one of those that are trained, whatever helped before: it is asked for where that has stopped helping.
        last = [each for each in possible if each.strategy is Strategy.RETUNE]
        others = [each for each in possible if each.strategy is not Strategy.RETUNE]
        seed, most = ground.run.request.spec.train.seed, tournament.MOST_FITS - len(last)
        return [each.name for each in (*tournament.order(_past(ground.run), order.kind, others, seed, most), *last)]
    found = {each.strategy for each in possible}
    # What somebody asked for by name is tried in any case, and says itself what it lacks.
    span = format_duration(max(round((until - begin) / entrants.FORGET / DAY), 1) * DAY)
    details = {"recent": span, "weighted": span, "since": order.since.isoformat() if order.since else ""}
    more = [each for each in order.strategies if each not in found and each != Strategy.EARLIER]
    return [*(each.name for each in possible), *(f"{each}:{details[each]}" if details.get(each) else each for each in more)]


def _past(run: Run) -> tuple[PastTournament, ...]:
    return tuple(map(past_of, run.request.tried))


def _minutes(trained: StepResult) -> float:
    return round(trained.seconds / 60.0, 4)


def _fitted(ground: Ground, trained: StepResult, name: str) -> Asked:
    answers = answers_of_trained(ground.run, trained, ground.judges.features, ground.signature)
    entrant = Entrant(name=name, fitted=True, minutes=_minutes(trained))
    return Asked(entrant, ground.losses(answers, int(trained.values["trained_until_us"])), LOSS_GAIN)


def _found(ground: Ground, name: str) -> Asked:
    """Of a unit that needs no training."""
    entrant = entrants.entrant_of(name)
    if entrant.strategy is Strategy.EARLIER:
        (unit,) = [each for each in ground.run.request.earlier if each.unit.id == entrant.detail]
        answers = answers_of(ground.run, unit, ground.judges.features, ground.signature)
        return Asked(
            Entrant(name=name, fitted=False),
            ground.losses(answers, max(fitted_until_us(unit), ground.from_us.get(name, -1))),
            LOSS_GAIN,
        )
    if entrant.strategy is Strategy.RECALIBRATE:
        return _recalibrated(ground, name)
    if ground.signature.task != "binary":
        raise DataError(f"{name} is of task: binary, found {ground.signature.task}")
    fresh = ground.fresh()
    answered = (
        answers_of(ground.run, ground.champion, fresh.features, ground.signature)[:, 0] if fresh.labels.size else np.zeros(0)
    )
    threshold = thresholded(answered, fresh.labels, ground.run.threshold)
    costs = ground.wrong(threshold, max(int(fresh.event_us.max(initial=-1)), ground.from_us.get(name, -1)))
    return Asked(Entrant(name=name, fitted=False, threshold=threshold), costs, COST_GAIN)


def _recalibrated(ground: Ground, name: str) -> Asked:
    """The champion's model through a map that was fitted on fresh rows. Judged, it is fitted once more on those that judged, too (`evaluate.refit`)."""
    run, signature, unit = ground.run, ground.signature, ground.champion.unit
    fresh = ground.fresh()
    bare = msgspec.structs.replace(ground.champion, unit=msgspec.structs.replace(unit, calibration=None))
    scores = answers_of(run, bare, fresh.features, signature) if fresh.labels.size else np.zeros((0, ground.answers.shape[1]))
    judged = ground.answers if unit.calibration is None else answers_of(run, bare, ground.judges.features, signature)
    learned_us = int(fresh.event_us.max(initial=0))
    found = mapped(signature.task, scores, fresh.labels, moment(learned_us))
    losses = ground.losses(found.of(judged), max(fitted_until_us(ground.champion), learned_us, ground.from_us.get(name, -1)))
    if run.refits:
        everything = fresh.followed_by(ground.judges.where(ground.newest))
        until = moment(int(everything.event_us.max()))
        with suppress(DataError):  # where all of them together have no map, the one that was judged goes on
            found = mapped(signature.task, np.concatenate([scores, judged[ground.newest]]), everything.labels, until)
    return Asked(Entrant(name=name, fitted=False, calibration=found), losses, LOSS_GAIN)


def fitted_until_us(served: ServedUnit) -> int:
    """The newest row that it was fitted on, its calibration included; of a version that does not say, the newest of its snapshot."""
    lineage = LocalPackages().lineage(Path(served.package))
    known = [lineage.fitted_until or lineage.snapshot.until, served.unit.calibration.until if served.unit.calibration else None]
    return max((micros(each) for each in known if each is not None), default=-1)
