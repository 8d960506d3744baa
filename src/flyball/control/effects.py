"""Effects of the autopilot's acts: foretold when a new champion takes over, measured when rows that both units answered have their labels.

While a release watches, the old unit answers every row beside the new one (release/route.py), so what the act brought is measured on the same rows, after it
took effect, and against what would have been without it. That assumes that labels do not hang on which unit answered. After a rollback nobody
answers beside the champion: what that brings is foretold from the same rows' differences, and not measured.
"""

from datetime import datetime
from statistics import NormalDist
from typing import NamedTuple

import msgspec
import numpy as np

from flyball.autopilot.decide import EXCLUSIVE
from flyball.capture.joined import Span
from flyball.control import bounds, decisions
from flyball.control.comparing import thresholds_alone
from flyball.control.label_delay import Ripe
from flyball.control.observe import Observation
from flyball.control.patience import patience
from flyball.control.todos import Todo
from flyball.control.world import World, draft, micros, put
from flyball.errors import ArtifactDamaged
from flyball.monitoring.policy import policy_of
from flyball.records import codec
from flyball.records.decisions import Action
from flyball.records.effects import Effect, EffectTrack
from flyball.records.events import Put
from flyball.records.evidence import Evidence
from flyball.records.jobs import Job
from flyball.records.release import Champion, Phase, ReleaseState
from flyball.records.unit import Unit
from flyball.registry.unit import answers_alike
from flyball.stats import edetector, foretold, student
from flyball.stats.age_grid import COHORT_US
from flyball.stats.foretold import BlockMean
from flyball.stats.losses import bounded_loss

ALPHA = 0.05
"""Chance that what an act brings lies outside of what was foretold, where the world does not move in between."""
WORSE = ALPHA
"""At most, that an act counts as worse though it brings nothing and its intervals keep their word: half of ALPHA that what it brought lies above what was
foretold, half that its own interval lies above 0 (Bonferroni)."""
RUN_LENGTH = 100.0
"""Acts until the level of an action whose intervals keep their word falls, on average and at least: two that count in a row suffice, one never does."""
MANY = 1000
"""Degrees of freedom of an error that is taken as known."""
LOSS, COST = "loss_difference", "cost_difference"
"""Names of evidence: of the bounded loss, and where the threshold alone differs of what wrong answers cost."""
_PAIRED = "on rows that both units answered, error from stretches of time"
METHODS = {
    LOSS: f"mean of paired differences of the bounded loss {_PAIRED}",
    COST: f"mean of paired differences of what wrong answers cost {_PAIRED}",
}
GATE = "brier_difference"
"""The bounded loss of two classes, on the gate's holdout."""
ANSWERS = frozenset({Phase.FULL, Phase.WATCHING})


class _Compared(NamedTuple):
    difference: BlockMean
    """New minus old."""
    old_loss: float
    """The old one's mean, on the same rows."""
    of: str
    """`LOSS` or `COST`: what differs."""


class Effects:
    """Of the champions that the autopilot made."""

    def __init__(self, world: World, observation: Observation) -> None:
        self._world = world
        self._observation = observation
        self._looked_us: dict[str, int] = {}
        """Release → when its labels were looked at: they may be waited for for months, and a look at them costs more than a tick has."""

    def look(self) -> None:
        """Foretell what a new champion is to bring, once; measure what it brought when it can be, once."""
        champion = self._world.get("champion", self._world.model, Champion)
        if champion is not None:
            self._foretell(champion)
        for effect in self._world.all("effect", Effect):
            if effect.realised is None:
                self._measure(effect)

    # -- foretold

    def _foretell(self, champion: Champion) -> None:
        world = self._world
        release = world.get("release", champion.release, ReleaseState)
        if release is None or release.champion is None or world.get("effect", release.id, Effect) is not None:
            return
        action = self._action(release.cause)
        if action is None:
            return
        back = release.phase is Phase.ROLLED_BACK
        if back and champion.since < release.opened_at:
            return  # it was taken back before it answered alone: nothing changed
        new, old = (release.champion, release.challenger) if back else (release.challenger, release.champion)
        same = self._answer_alike(new, old)
        predicted, degrees = (
            (_unknown(same), 0) if same else self._taken_back(old) if back else self._predicted(release, champion)
        )
        alone = "after a rollback nobody answers the same rows beside the champion" if back else ""
        effect = Effect(
            release=release.id, decision=release.cause, action=action.kind, new=new, old=old, at=champion.since, predicted=predicted,
            degrees=degrees, realised=_unknown(same or alone) if same or back else None, words=same,
        )  # fmt: skip
        _record(self._world, "effect.foretold", effect, ())

    def _answer_alike(self, new: str, old: str) -> str:
        """Why both bring the same whatever becomes of them; empty: they do not. Compared, they would bring what was foretold for ever."""
        first, second = (self._world.get("unit", name, Unit) for name in (new, old))
        if first is None or second is None or not answers_alike(first, second):
            return ""
        return "both answer the same: other policies are all that differs"

    def _action(self, cause: str) -> Action | None:
        """What a policy did that led to it; None: a person did."""
        todos = (todo for todo in self._world.all("todo", Todo) if todo.decision == cause)
        return next((todo.action for todo in todos if todo.action.kind in EXCLUSIVE), None)

    def _predicted(self, release: ReleaseState, champion: Champion) -> tuple[Evidence, int]:
        """From rows of the release before it took over; where none had labels, from the gate's holdout."""
        start_us, end_us = micros(release.opened_at), micros(champion.since)
        ripe = self._ripe(start_us, end_us)
        # Labels of which it is not known whether they are nearly all are those that come first: what they foretell nothing later has to keep.
        found = None if ripe.unknown else self._difference(release, start_us, end_us, ripe.age_us)
        if found is not None:
            return _evidence(found, "before it took effect"), found.difference.degrees
        if release.champion is not None and thresholds_alone(self._world, release.champion, release.challenger) is not None:
            return _unknown("no labelled rows that both units answered"), 0  # a gate compares losses, which no threshold changes
        nothing = _unknown("no labelled rows that both units answered, and no gate that compared their losses")
        return self._of_gate(release.challenger) or nothing, 0

    def _of_gate(self, unit: str) -> Evidence | None:
        """Of two classes: the gate compared both units on rows that neither was trained on."""
        keys = {job.run_key for job in self._world.all("job", Job) if job.unit == unit}
        for made in reversed(decisions.recorded(self._world)):
            if made.room == "gates" and made.situation.get("candidate") in keys and self._answers_two_classes(unit):
                found = (codec.revive(each, Evidence) for each in made.situation["evidence"])
                return next(
                    (each for each in found if each.name == GATE and each.value is not None and each.lower is not None), None
                )
        return None

    def _answers_two_classes(self, unit: str) -> bool:
        try:
            return self._observation.files.reference(unit).task == "binary"
        except ArtifactDamaged:
            return False

    def _taken_back(self, unit: str) -> tuple[Evidence, int]:
        """What the unit that is gone had brought, the other way round."""
        for each in self._world.all("effect", Effect):
            for found in (each.realised, each.predicted) if each.new == unit else ():
                if found is not None and found.value is not None and found.lower is not None and found.upper is not None:
                    turned = {"value": -found.value, "lower": -found.upper, "upper": -found.lower}
                    return msgspec.structs.replace(found, **turned, note="what it had brought, taken back"), 0
        return _unknown("the unit that is gone was not compared with this one"), 0

    # -- realised

    def _measure(self, effect: Effect) -> None:
        world, release = self._world, self._world.get("release", effect.release, ReleaseState)
        if release is None or release.phase in ANSWERS:
            return
        now_us, start_us, end_us = micros(world.now()), micros(effect.at), micros(release.entered_at)
        if 0 <= now_us - self._looked_us.get(release.id, now_us - COHORT_US) < COHORT_US:
            return
        self._looked_us[release.id] = now_us
        ripe = self._ripe(start_us, end_us)
        if not ripe.unknown and now_us < end_us + ripe.age_us:
            return
        found = None if ripe.unknown else self._difference(release, start_us, end_us, ripe.age_us)
        if found is None:
            if self._may_come(start_us, end_us) and world.now() < self._last_call(release):
                return
            why = ripe.unknown or "too few labelled rows that both units answered after it took effect"
            _record(world, "effect.measured", msgspec.structs.replace(effect, realised=_unknown(why), words=why), ())
            return
        then = foretold_mean(effect)
        expected = None if then is None else foretold.expected(then, found.difference, ALPHA)
        told = msgspec.structs.replace(
            effect, realised=_evidence(found, "after it took effect"), old_loss=found.old_loss,
            expected=None if expected is None else _shorts(expected),
        )  # fmt: skip
        told = msgspec.structs.replace(told, words=words_of(told))
        _record(self._world, "effect.measured", told, self._judged(told))

    def _judged(self, effect: Effect) -> tuple[Put, ...]:
        """The track of this kind of action; where it says that intervals do not keep their word or that it harms, its level falls and a person is told."""
        track = self._world.get("effects", effect.action, EffectTrack) or EffectTrack()
        detectors = track.detectors or edetector.start(len(edetector.BET_FRACTIONS))
        moved = edetector.advance(detectors, edetector.mean_bets(float(effect.worse), WORSE, 0.0))
        falls = edetector.level(moved) >= RUN_LENGTH
        track = EffectTrack(
            judged=track.judged + 1, unforetold=track.unforetold + (effect.missed is None), missed=track.missed + bool(effect.missed),
            worse=track.worse + effect.worse, harmed=track.harmed + effect.harmed,
            detectors=() if falls else tuple(float(f"{value:.8g}") for value in moved),
        )  # fmt: skip
        puts = (put("effects", effect.action, track),)
        return (*puts, *self._fallen(effect, track)) if falls else puts

    def _fallen(self, effect: Effect, track: EffectTrack) -> tuple[Put, ...]:
        fell = bounds.fallen(self._world, effect.action)
        if fell is None:
            return ()
        words, puts = fell
        message = (
            f"{effect.action} brings less than was foretold, time and again: {track.worse} of {track.judged} times it was worse than its interval or did harm, last "
            f"{effect.words}. {words}. Next: flyball explain {effect.decision}, then flyball autonomy raise {effect.action}"
        )
        action = Action(kind="notify", subject=f"model:{self._world.model}", arguments={"message": message})
        todo = Todo(id=f"effect.{effect.release}", decision=effect.decision, action=action)
        return (*puts, put("todo", todo.id, todo))

    # -- both

    def _ripe(self, start_us: int, end_us: int) -> Ripe:
        """From which age on labels of the rows answered in between are a sample of all labels. Where nearly all have come, how late they come is no matter."""
        join, delay = self._observation.join, self._observation.label_delay
        if join is None:
            return Ripe(0, "nothing was captured")
        found = delay.ripe(join, micros(self._world.now()))
        return Ripe(0) if delay.has_nearly_all(join, start_us, end_us) else found

    def _may_come(self, start_us: int, end_us: int) -> bool:
        """Whether labels of the rows answered in between are awaited."""
        join = self._observation.join
        if join is None or not join.answered(start_us, end_us):
            return False
        return not self._observation.label_delay.has_nearly_all(join, start_us, end_us)

    def _last_call(self, release: ReleaseState) -> datetime:
        """From when on labels are waited for no longer: a window would be given up, or `capture.keep` has passed, which these rows hold up meanwhile."""
        spec, join, delay = self._world.spec, self._observation.join, self._observation.label_delay
        known = None if join is None or delay.declared_us is not None else delay.learned(join, micros(self._world.now()))
        given_up = release.entered_at + patience(policy_of(spec), known)
        return given_up if spec.capture.keep is None else min(given_up, release.opened_at + spec.capture.keep)

    def _difference(self, release: ReleaseState, start_us: int, end_us: int, ripe_us: int) -> _Compared | None:
        """Of labelled rows that both answered; None: too few."""
        join, old = self._observation.join, release.champion
        if join is None or old is None or end_us <= start_us:
            return None
        try:
            reference = self._observation.files.reference(old)
        except ArtifactDamaged:
            return None
        span = Span(start_us, end_us, micros(self._world.now()), ripe_us)
        pairs = join.pairs(old, release.challenger, span)
        order, task = np.argsort(pairs.at_us, kind="stable"), reference.task
        alone = thresholds_alone(self._world, old, release.challenger)
        if alone is not None:
            before, after = alone.costs(pairs)
        else:
            labels = pairs.labels if task == "regression" else pairs.labels.astype(np.int64)
            before, after = (bounded_loss(task, scores, labels, reference.scale) for scores in (pairs.first, pairs.second))
        found = foretold.block_mean((after - before)[order])
        return None if found is None else _Compared(found, _short(float(before.mean())), LOSS if alone is None else COST)


def _record(world: World, kind: str, effect: Effect, puts: tuple[Put, ...]) -> None:
    states = (put("effect", effect.release, effect), *puts)
    subject, key = f"release:{effect.release}", f"{kind}:{effect.release}"
    world.record(draft(world.now(), kind, subject, codec.plain(effect), states, actor="autopilot", key=key))


def quantity(found: Evidence) -> str:
    """Whose difference it is."""
    return "cost of wrong answers" if found.name == COST else "loss"


def words_of(effect: Effect) -> str:
    """`loss -0.0214 over 600 rows, -0.0310 to -0.0118 was to be expected`, and what that means where it is not as foretold."""
    realised = effect.realised
    if realised is None or realised.value is None:
        return realised.note if realised is not None else ""
    brought = f"{quantity(realised)} {realised.value:+.4f} over {realised.n} rows"
    harm = f"it did harm ({realised.lower:+.4f} to {realised.upper:+.4f})" if effect.harmed else ""
    if effect.expected is None:
        return f"{brought}; nothing was foretold{f': {harm}' if harm else ''}"
    then = ("worse than foretold" if realised.value > effect.expected[1] else "better than foretold") if effect.missed else ""
    how = ", and ".join(filter(None, (then, harm))) or ("too wide to tell whether it helped" if effect.untold else "")
    return f"{brought}, {effect.expected[0]:+.4f} to {effect.expected[1]:+.4f} was to be expected{f': {how}' if how else ''}"


def _evidence(compared: _Compared, when: str) -> Evidence:
    found = compared.difference
    reach = student.t_quantile(1.0 - ALPHA / 2.0, found.degrees) * found.error
    value, lower, upper = _shorts((found.mean, found.mean - reach, found.mean + reach))
    return Evidence(
        name=compared.of, value=value, lower=lower, upper=upper, alpha=ALPHA, n=found.n, method=METHODS[compared.of], note=when
    )


def foretold_mean(effect: Effect) -> BlockMean | None:
    """None: nothing was foretold, or without an interval. What a gate foretold is as sure as `gates.champion.alpha` says."""
    found = effect.predicted
    if found.value is None or found.lower is None or found.upper is None:
        return None
    side = 1.0 - (ALPHA if found.alpha is None else found.alpha) / 2.0
    per_error = student.t_quantile(side, effect.degrees) if effect.degrees else NormalDist().inv_cdf(side)
    return BlockMean(found.value, (found.upper - found.lower) / 2.0 / per_error, effect.degrees or MANY, found.n)


def _unknown(why: str) -> Evidence:
    return Evidence(name=LOSS, value=None, note=why)


def _shorts(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(map(_short, values))


def _short(value: float) -> float:
    return float(f"{value:.8g}")
