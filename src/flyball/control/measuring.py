"""The evidence of a release: each guard's question put to what gateways captured of champion and challenger."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.capture.join import LabelJoin, failed_rows
from flyball.capture.joined import Pairs, Span
from flyball.control.comparing import Compared, compared
from flyball.control.observe import Observation, micros_of
from flyball.control.pairing import PairLog
from flyball.control.release_tally import Matched
from flyball.control.rewards import RewardLog, Rewards
from flyball.control.shapes import ShapeLog
from flyball.control.units import UnitShelf
from flyball.control.world import World, micros
from flyball.errors import FlyballError
from flyball.monitoring import delays
from flyball.records.evidence import Evidence
from flyball.records.release import Phase, ReleaseState
from flyball.release import guards
from flyball.release.bandit import RewardSeen
from flyball.release.decide import JUDGED
from flyball.release.policy import GuardRule, ReleasePolicy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Measured(NamedTuple):
    """What there is to judge at one look."""

    requests_in_phase: int
    labels: int
    evidence: tuple[Evidence, ...]
    rewards: tuple[RewardSeen, ...] = ()


NOTHING = Measured(0, 0, ())


class Measuring:
    """Of the release under way: remembers the order in which rows were looked at, so that later looks only append."""

    def __init__(self, world: World, shelf: UnitShelf, observation: Observation) -> None:
        self._world = world
        self._shelf = shelf
        self._observation = observation
        self._labelled: dict[str | None, PairLog] = {}
        """By slice; None: of all rows."""
        self._scored = PairLog()
        self._rewards = RewardLog()
        self._shapes: dict[str, ShapeLog] = {}
        """By guard."""
        self._ripe: tuple[str, int] = ("", 0)
        """(release, age in µs)"""
        self._trouble: Exception | None = None

    def look(self, release: ReleaseState, policy: ReleasePolicy) -> Measured:
        """Everything that the policy's guards ask for, as far as it can be measured now."""
        if release.verified_at is None or release.champion is None or release.phase not in JUDGED:
            return NOTHING
        try:
            return self._look(release, policy)
        except Exception as error:  # noqa: BLE001 - told at the tick's end; a release that cannot be measured must still be taken back
            self._trouble = error
            return NOTHING

    def tell_trouble(self) -> None:
        """Raise what kept a look from being whole since the last call: its guards are errors, which hold, and give up at the deadline."""
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble

    def _look(self, release: ReleaseState, policy: ReleasePolicy) -> Measured:
        if release.verified_at is None or release.champion is None:
            return NOTHING
        seen = _Seen(self, release, release.champion, policy)
        phase_us, until_us = micros(release.verified_at), seen.now_us + 1
        scored = seen.join.scored if release.phase is Phase.SHADOW else lambda unit, a, b: seen.join.answered(a, b, unit)
        asked = [rule for rule in policy.guards if rule.metric in _QUESTIONS]
        evidence = tuple(self._answer(seen, rule) for rule in asked)
        rewards = _rewards_seen(seen.rewards()) if policy.bandit is not None else ()
        return Measured(scored(release.challenger, phase_us, until_us), len(seen.labelled().rows), evidence, rewards)

    def _answer(self, seen: "_Seen", rule: GuardRule) -> Evidence:
        """One guard that cannot be measured keeps no other from telling of harm."""
        try:
            return _QUESTIONS[rule.metric](seen, rule)
        except Exception as error:  # noqa: BLE001 - as above
            self._trouble = error
            words = error.message if isinstance(error, FlyballError) else f"{type(error).__name__}: {error}"
            return guards.unknown(rule, 1, "looks", f"it could not be measured: {words}")

    def labelled(self, seen: "_Seen", of: str | None = None) -> Pairs:
        """Of all rows, or of a slice's alone."""
        span = Span(seen.opened_us, seen.now_us + 1, seen.now_us, self._ripe_us(seen))
        among = None if of is None else self._observation.members.of(of)
        log = self._labelled.setdefault(of, PairLog())
        taken = log.taken(seen.release.id)
        return log.extend(
            seen.release.id, seen.join.pairs(seen.champion, seen.release.challenger, span, among=among, taken=taken)
        )

    def _ripe_us(self, seen: "_Seen") -> int:
        """The age from which rows count: what is declared; else that at which nearly all labels have come, as far as it was learnt when the release was looked
        at first. Labels that come sooner are of another kind (a flight that never arrives is known last)."""
        declared = self._world.spec.data.label_delay
        if declared is not None:
            return micros_of(declared)
        if self._ripe[0] != seen.release.id:
            ages = seen.join.label_ages(seen.now_us - delays.LOOK_BACK_US)
            learnt = delays.usual_age(delays.learn(ages, seen.now_us), self._world.spec.monitor.mature_share)
            self._ripe = (seen.release.id, learnt or 0)
        return self._ripe[1]

    def scored(self, seen: "_Seen") -> Pairs:
        span = Span(seen.opened_us, seen.now_us + 1, seen.now_us)
        taken = self._scored.taken(seen.release.id)
        pairs = seen.join.pairs(seen.champion, seen.release.challenger, span, labelled=False, taken=taken)
        return self._scored.extend(seen.release.id, pairs)

    def matched(self, seen: "_Seen") -> Matched:
        self._observation.release_tally.settle(seen.now_us)
        return self._observation.release_tally.matched()

    def rewards(self, seen: "_Seen") -> Rewards:
        return self._rewards.extend(seen.release.id, seen.matched(), seen.join.rewards)

    def shapes(self, guard: str) -> ShapeLog:
        return self._shapes.setdefault(guard, ShapeLog())

    @property
    def world(self) -> World:
        return self._world

    @property
    def shelf(self) -> UnitShelf:
        return self._shelf

    @property
    def observation(self) -> Observation:
        return self._observation


class _Seen:
    """One look's data, each read once."""

    def __init__(self, measuring: Measuring, release: ReleaseState, champion: str, policy: ReleasePolicy) -> None:
        self._measuring = measuring
        self.release, self.champion, self.policy = release, champion, policy
        self.join: LabelJoin = measuring.observation.joined_for(champion)
        self.now_us, self.opened_us = micros(measuring.world.now()), micros(release.opened_at)
        self._labelled: Pairs | None = None
        self._scored: Pairs | None = None
        self._matched: Matched | None = None

    @property
    def compared(self) -> Compared:
        """Read where it is asked for: failures and latencies are measured, too, when the champion's reference cannot be read."""
        units = (self.champion, self.release.challenger)
        return compared(self._measuring.world, self._measuring.shelf, self._measuring.observation, units)

    def labelled(self) -> Pairs:
        if self._labelled is None:
            self._labelled = self._measuring.labelled(self)
        return self._labelled

    def of_slice(self, name: str) -> Pairs:
        return self._measuring.labelled(self, name)

    def scored(self) -> Pairs:
        if self._scored is None:
            self._scored = self._measuring.scored(self)
        return self._scored

    def matched(self) -> Matched:
        if self._matched is None:
            self._matched = self._measuring.matched(self)
        return self._matched

    def rewards(self) -> Rewards:
        return self._measuring.rewards(self)

    def shapes(self, guard: str) -> ShapeLog:
        return self._measuring.shapes(guard)


def _loss(seen: _Seen, rule: GuardRule) -> Evidence:
    pairs = seen.labelled() if rule.slice is None else seen.of_slice(rule.slice)
    return seen.compared.loss(pairs, rule, blocks=seen.policy.blocks)


def _failure_rate(seen: _Seen, rule: GuardRule) -> Evidence:
    counts = []
    for unit in (seen.champion, seen.release.challenger):
        failed = failed_rows(seen.join, unit, seen.opened_us, seen.now_us + 1)
        counts.append((failed, failed + seen.join.scored(unit, seen.opened_us, seen.now_us + 1)))
    return guards.failure_rate(counts[0], counts[1], rule)


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


def _rewards_seen(known: Rewards) -> tuple[RewardSeen, ...]:
    return tuple(map(_seen_of, (known.values[~known.challengers], known.values[known.challengers])))


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
