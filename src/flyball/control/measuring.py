"""The evidence of a release: each guard's question put to what gateways captured of champion and challenger."""

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.capture.join import LabelJoin
from flyball.capture.joined import Pairs, Span
from flyball.control.comparing import Compared, compared
from flyball.control.label_delay import Ripe
from flyball.control.observe import Observation
from flyball.control.pairing import PairLog, SliceLog
from flyball.control.release_tally import PERIOD_US, Matched
from flyball.control.rewards import RewardLog, Rewards
from flyball.control.shapes import ShapeLog
from flyball.control.unforeseen import for_the_ledger
from flyball.control.units import UnitShelf
from flyball.control.world import World, micros
from flyball.records.evidence import Evidence
from flyball.records.release import Phase, ReleaseState
from flyball.release import guards
from flyball.release.bandit import RewardSeen
from flyball.release.decide import JUDGED
from flyball.release.policy import GuardRule, ReleasePolicy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

STRETCH_US = 60 * PERIOD_US
"""Failures of the champion count over hours in which the challenger was asked as well."""


class Measured(NamedTuple):
    """What there is to judge at one look."""

    requests_in_phase: int
    labels: int
    evidence: tuple[Evidence, ...]
    rewards: tuple[RewardSeen, ...] = ()
    unripe: str = ""
    """Why nothing that becomes known later can pass yet; empty: it can."""
    ripe_us: int | None = None
    """As the release's state has it."""
    began_young: bool = False


NOTHING = Measured(0, 0, ())


class _Logs:
    """What was looked at, in the order in which it was: later looks only append."""

    def __init__(self) -> None:
        self.labelled = PairLog()
        self.sliced: dict[str, SliceLog] = defaultdict(SliceLog)
        """By slice."""
        self.scored = PairLog()
        self.rewards = RewardLog()
        self.shapes: dict[str, ShapeLog] = defaultdict(ShapeLog)
        """By guard."""


LEAST_GROWTH, GROWS_FROM = 0.01, 10_000
"""Of a guard that is reckoned over all rows of the release: with more than so many it is reckoned anew only once a hundredth more are there. A sequence
holds whenever it is looked at, and without this a release would slow its controller down the longer it lasts."""


class Measuring:
    """Of the release under way."""

    def __init__(self, world: World, shelf: UnitShelf, observation: Observation) -> None:
        self._sources = _Sources(world, shelf, observation, _Logs())
        self._answered: dict[tuple[str, GuardRule, bool], tuple[int, Evidence]] = {}
        """(release with the age from which rows count, guard, in blocks) → (rows, what was found of them)"""
        self._trouble: Exception | None = None

    def look(self, release: ReleaseState, policy: ReleasePolicy) -> Measured:
        """Everything that the policy's guards ask for, as far as it can be measured now."""
        if release.champion is None or release.phase not in JUDGED:
            return NOTHING
        try:
            seen = _Seen(self._sources, release, release.champion, policy)
            evidence = tuple(self._answer(seen, rule) for rule in policy.guards)
            rewards = _rewards_seen(seen.rewards(), policy) if policy.bandit is not None else ()
            age = (seen.ripe.unknown, seen.known_us, seen.young)
            return Measured(seen.requests_in_phase(), len(seen.labelled().rows), evidence, rewards, *age)
        except Exception as error:  # noqa: BLE001 - told at the tick's end; a release that cannot be measured must still be taken back
            self._trouble = error
            return NOTHING

    def tell_trouble(self) -> None:
        """Raise what kept a look from being whole since the last call: its guards are errors, which hold, and give up at the deadline."""
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble

    def _answer(self, seen: "_Seen", rule: GuardRule) -> Evidence:
        """One guard that cannot be measured keeps no other from telling of harm."""
        rule = seen.judged_by(rule)
        try:
            return self._reckoned(seen, rule) if rule.metric in _BEHIND else _QUESTIONS[rule.metric](seen, rule)
        except Exception as error:  # noqa: BLE001 - as above
            self._trouble = error
            return guards.unknown(rule, 1, "looks", f"it could not be measured: {for_the_ledger(error)}")

    def _reckoned(self, seen: "_Seen", rule: GuardRule) -> Evidence:
        """As it was found before while hardly a row was added."""
        rows = _BEHIND[rule.metric](seen, rule)
        key = (seen.key, rule, seen.policy.blocks)
        before, found = self._answered.get(key, (0, None))
        if found is None or rows < before or rows - before > (LEAST_GROWTH * before if before >= GROWS_FROM else 0):
            found = _QUESTIONS[rule.metric](seen, rule)
            self._answered = {known: value for known, value in self._answered.items() if known[0] == seen.key}
            self._answered[key] = (rows, found)
        return found


class _Sources(NamedTuple):
    world: World
    shelf: UnitShelf
    observation: Observation
    logs: _Logs


class _Seen:
    """One look's data, each read once."""

    def __init__(self, sources: _Sources, release: ReleaseState, champion: str, policy: ReleasePolicy) -> None:
        self._sources = sources
        self.release, self.champion, self.policy = release, champion, policy
        self.join: LabelJoin = sources.observation.joined_for(champion)
        self.now_us, self.opened_us = micros(sources.world.now()), micros(release.opened_at)
        self._labelled: Pairs | None = None
        self._scored: Pairs | None = None
        self._matched: Matched | None = None
        self._rewards: Rewards | None = None
        self.ripe, self.known_us = self._ripe()
        # Also where a delay was declared meanwhile.
        self.young = release.began_young or self.known_us is None or release.ripe_us not in (None, self.known_us)
        self.key = f"{release.id} {self.ripe.age_us}"
        """Of what was looked at. Where another age is learned meanwhile it begins anew: no row may count that was taken too young."""

    @property
    def compared(self) -> Compared:
        """Read where it is asked for: failures and latencies are measured, too, when the champion's reference cannot be read."""
        units = (self.champion, self.release.challenger)
        return compared(self._sources.world, self._sources.shelf, self._sources.observation, units)

    def judged_by(self, rule: GuardRule) -> GuardRule:
        """A release that is looked at before it is known which rows count may be looked at twice: with half of the error rate each time."""
        began_anew = self.young and self.known_us != 0
        return msgspec.structs.replace(rule, alpha=rule.alpha / 2.0) if rule.ripens and began_anew else rule

    def requests_in_phase(self) -> int:
        """That the challenger scored; in the canary, that it answered. None before every gateway was seen to serve the phase."""
        if self.release.verified_at is None:
            return 0
        unit, since_us, until_us = self.release.challenger, micros(self.release.verified_at), self.now_us + 1
        if self.release.phase is Phase.SHADOW:
            return self.join.scored(unit, since_us, until_us)
        return self.join.answered(since_us, until_us, unit)

    def labelled(self, of: str | None = None) -> Pairs:
        """Of all rows, or of a slice's alone."""
        if self._labelled is None:
            span = Span(self.opened_us, self.now_us + 1, self.now_us, self.ripe.age_us)
            log = self._sources.logs.labelled
            pairs = self.join.pairs(self.champion, self.release.challenger, span, taken=log.taken(self.key))
            self._labelled = log.extend(self.key, pairs)
        if of is None:
            return self._labelled
        members = self._sources.observation.members.of(of)

        def inside(numbers: Ints) -> Bools:
            return np.asarray([each in members for each in self.join.ids(numbers)], dtype=np.bool_)

        return self._sources.logs.sliced[of].extend(self.key, self._labelled, inside)

    def scored(self) -> Pairs:
        if self._scored is None:
            span, log = Span(self.opened_us, self.now_us + 1, self.now_us), self._sources.logs.scored
            taken = log.taken(self.release.id)
            pairs = self.join.pairs(self.champion, self.release.challenger, span, labelled=False, taken=taken)
            self._scored = log.extend(self.release.id, pairs)
        return self._scored

    def matched(self) -> Matched:
        if self._matched is None:
            self._matched = self._sources.observation.release_tally.matched_of(self.release.id)
        return self._matched

    def rewards(self) -> Rewards:
        if self._rewards is None:
            matched = self.matched()
            # A minute counts once its last row is old enough.
            old_us = self.now_us - PERIOD_US - self.ripe.age_us
            mature = int(np.searchsorted(matched.periods, old_us, side="right"))
            self._rewards = self._sources.logs.rewards.extend(self.key, matched, self.join.rewards, mature)
        return self._rewards

    def shapes(self, guard: str) -> ShapeLog:
        return self._sources.logs.shapes[guard]

    def asked(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(rows that it could not answer, rows that it was asked) of champion and challenger, over stretches in which both were asked."""
        join, stretches = self.join, (self.opened_us, self.now_us + 1, STRETCH_US)
        units = (self.champion, self.release.challenger)
        failed = [join.failures.in_stretches(unit, *stretches) for unit in units]
        asked = [lost + join.scored_in_stretches(unit, *stretches) for unit, lost in zip(units, failed, strict=True)]
        return where_asked((failed[0], asked[0]), (failed[1], asked[1]))

    def _ripe(self) -> tuple[Ripe, int | None]:
        """(from which age on rows count, that age once it is known), as it was learned when it was known first: rows that were looked at stay, also where
        another process looked at them."""
        delay, before_us = self._sources.observation.label_delay, self.release.ripe_us
        if before_us is not None and delay.declared_us is None:
            return Ripe(before_us), before_us
        found = delay.ripe(self.join, self._sources.observation.seen_until_us)
        if not found.unknown:
            return found, found.age_us
        return (Ripe(0) if delay.has_nearly_all(self.join, self.opened_us, self.now_us + 1) else found), None


def where_asked(champion: tuple[Ints, Ints], challenger: tuple[Ints, Ints]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Both (rows that failed, rows that were asked) by stretch of time: the sums over those in which the challenger was asked. What befell the champion while
    the release was held is no baseline. Whether a stretch counts is a matter of the routing and not of what failed in it, so the sequence holds."""
    both = challenger[1] > 0
    old, new = ((int(failed[both].sum()), int(asked[both].sum())) for failed, asked in (champion, challenger))
    return old, new


def _loss(seen: _Seen, rule: GuardRule) -> Evidence:
    return seen.compared.loss(seen.labelled(rule.slice), rule, blocks=seen.policy.blocks)


def _failure_rate(seen: _Seen, rule: GuardRule) -> Evidence:
    return guards.failure_rate(*seen.asked(), rule)


def _calibration(seen: _Seen, rule: GuardRule) -> Evidence:
    return seen.compared.calibration(seen.labelled(), rule)


def _disagreement(seen: _Seen, rule: GuardRule) -> Evidence:
    return seen.compared.disagreement(seen.scored(), rule)


def _score_shift(seen: _Seen, rule: GuardRule) -> Evidence:
    return seen.compared.score_shift(seen.scored(), rule)


def _reward(seen: _Seen, rule: GuardRule) -> Evidence:
    known = seen.rewards()
    return guards.reward(known.values, known.challengers, known.looks, rule)


def _latency(seen: _Seen, rule: GuardRule) -> Evidence:
    calls = seen.matched().calls
    return guards.latency(calls.latencies_ms[~calls.challengers], calls.latencies_ms[calls.challengers], rule)


def _latency_shape(seen: _Seen, rule: GuardRule) -> Evidence:
    calls = seen.matched().calls
    return _shape(seen, rule, calls.latencies_ms, calls.challengers, calls.periods)


def _score_shape(seen: _Seen, rule: GuardRule) -> Evidence:
    both = seen.matched()
    return _shape(seen, rule, both.scores, both.challengers, both.periods)


def _shape(seen: _Seen, rule: GuardRule, values: Floats, challengers: Bools, periods: Ints) -> Evidence:
    found = seen.shapes(rule.name).extend(seen.release.id, values, challengers, periods)
    return guards.shape(found, values, challengers, rule)


def _rewards_seen(known: Rewards, policy: ReleasePolicy) -> tuple[RewardSeen, ...]:
    """Cut where the guard cuts them: a single absurd one must not divide the traffic, and the square of a large one is no number any more."""
    low, high = next((rule.between for rule in policy.guards if rule.between is not None), (-np.inf, np.inf))
    values = np.clip(known.values, low, high)
    return tuple(map(_seen_of, (values[~known.challengers], values[known.challengers])))


def _seen_of(rewards: Floats) -> RewardSeen:
    if not rewards.size:
        return RewardSeen(n=0, mean=0.0, variance=0.0)
    return RewardSeen(n=int(rewards.size), mean=float(f"{rewards.mean():.8g}"), variance=float(f"{rewards.var():.8g}"))


_QUESTIONS: dict[str, Callable[[_Seen, GuardRule], Evidence]] = {
    "loss": _loss,
    "failure_rate": _failure_rate,
    "calibration": _calibration,
    "disagreement": _disagreement,
    "score_shift": _score_shift,
    "reward": _reward,
    "latency_p50_ms": _latency,
    "latency_p95_ms": _latency,
    "latency_p99_ms": _latency,
    "latency_shape": _latency_shape,
    "score_shape": _score_shape,
}
_BEHIND: dict[str, Callable[[_Seen, GuardRule], int]] = {
    "loss": lambda seen, rule: len(seen.labelled(rule.slice).rows),
    "calibration": lambda seen, _: len(seen.labelled().rows),
    "disagreement": lambda seen, _: len(seen.scored().rows),
    "score_shift": lambda seen, _: len(seen.scored().rows),
    "reward": lambda seen, _: seen.rewards().values.size,
    "score_shape": lambda seen, _: len(seen.matched().ids),
    "latency_p50_ms": lambda seen, _: seen.matched().calls.periods.size,
    "latency_p95_ms": lambda seen, _: seen.matched().calls.periods.size,
    "latency_p99_ms": lambda seen, _: seen.matched().calls.periods.size,
    "latency_shape": lambda seen, _: seen.matched().calls.periods.size,
}
"""How many rows there are of what is reckoned over all of them."""
