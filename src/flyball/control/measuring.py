"""The evidence of a release: each guard's question put to what gateways captured of champion and challenger."""

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.capture.join import LabelJoin, failed_rows
from flyball.capture.joined import Pairs, Span
from flyball.control.comparing import Compared, compared
from flyball.control.observe import Observation
from flyball.control.pairing import PairLog
from flyball.control.release_tally import Matched
from flyball.control.rewards import RewardLog, Rewards
from flyball.control.shapes import ShapeLog
from flyball.control.units import UnitShelf
from flyball.control.world import World, micros
from flyball.errors import FlyballError
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


class _Logs:
    """What was looked at, in the order in which it was: later looks only append."""

    def __init__(self) -> None:
        self.labelled: dict[str | None, PairLog] = defaultdict(PairLog)
        """By slice; None: of all rows."""
        self.scored = PairLog()
        self.rewards = RewardLog()
        self.shapes: dict[str, ShapeLog] = defaultdict(ShapeLog)
        """By guard."""
        self.ripe: tuple[str, int] = ("", 0)
        """(release, age in µs from which its rows count)"""


LEAST_GROWTH, GROWS_FROM = 0.01, 10_000
"""Of a guard that is reckoned over all rows of the release: with more than so many it is reckoned anew only once a hundredth more are there. A sequence
holds whenever it is looked at, and without this a release would slow its controller down the longer it lasts."""


class Measuring:
    """Of the release under way."""

    def __init__(self, world: World, shelf: UnitShelf, observation: Observation) -> None:
        self._sources = _Sources(world, shelf, observation, _Logs())
        self._answered: dict[tuple[str, GuardRule, bool], tuple[int, Evidence]] = {}
        """(release, guard, in blocks) → (rows, what was found of them)"""
        self._trouble: Exception | None = None

    def look(self, release: ReleaseState, policy: ReleasePolicy) -> Measured:
        """Everything that the policy's guards ask for, as far as it can be measured now."""
        if release.verified_at is None or release.champion is None or release.phase not in JUDGED:
            return NOTHING
        try:
            seen = _Seen(self._sources, release, release.champion, policy)
            evidence = tuple(self._answer(seen, rule) for rule in policy.guards)
            rewards = _rewards_seen(seen.rewards()) if policy.bandit is not None else ()
            return Measured(seen.requests_since(micros(release.verified_at)), len(seen.labelled().rows), evidence, rewards)
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
        try:
            return self._reckoned(seen, rule) if rule.metric in _OVER_PAIRS else _QUESTIONS[rule.metric](seen, rule)
        except Exception as error:  # noqa: BLE001 - as above
            self._trouble = error
            words = error.message if isinstance(error, FlyballError) else f"{type(error).__name__}: {error}"
            return guards.unknown(rule, 1, "looks", f"it could not be measured: {words}")

    def _reckoned(self, seen: "_Seen", rule: GuardRule) -> Evidence:
        """As it was found before while hardly a row was added."""
        rows = len((seen.labelled(rule.slice) if rule.labels else seen.scored()).rows)
        key = (seen.release.id, rule, seen.policy.blocks)
        before, found = self._answered.get(key, (0, None))
        if found is None or rows < before or rows - before > (LEAST_GROWTH * before if before >= GROWS_FROM else 0):
            found = _QUESTIONS[rule.metric](seen, rule)
            self._answered = {known: value for known, value in self._answered.items() if known[0] == seen.release.id}
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
        self._labelled: dict[str | None, Pairs] = {}
        self._scored: Pairs | None = None
        self._matched: Matched | None = None

    @property
    def compared(self) -> Compared:
        """Read where it is asked for: failures and latencies are measured, too, when the champion's reference cannot be read."""
        units = (self.champion, self.release.challenger)
        return compared(self._sources.world, self._sources.shelf, self._sources.observation, units)

    def requests_since(self, since_us: int) -> int:
        """That the challenger scored; in the canary, that it answered."""
        unit, until_us = self.release.challenger, self.now_us + 1
        if self.release.phase is Phase.SHADOW:
            return self.join.scored(unit, since_us, until_us)
        return self.join.answered(since_us, until_us, unit)

    def labelled(self, of: str | None = None) -> Pairs:
        """Of all rows, or of a slice's alone."""
        if of not in self._labelled:
            span = Span(self.opened_us, self.now_us + 1, self.now_us, self._ripe_us())
            among = None if of is None else self._sources.observation.members.of(of)
            log = self._sources.logs.labelled[of]
            taken = log.taken(self.release.id)
            pairs = self.join.pairs(self.champion, self.release.challenger, span, among=among, taken=taken)
            self._labelled[of] = log.extend(self.release.id, pairs)
        return self._labelled[of]

    def scored(self) -> Pairs:
        if self._scored is None:
            span, log = Span(self.opened_us, self.now_us + 1, self.now_us), self._sources.logs.scored
            taken = log.taken(self.release.id)
            pairs = self.join.pairs(self.champion, self.release.challenger, span, labelled=False, taken=taken)
            self._scored = log.extend(self.release.id, pairs)
        return self._scored

    def matched(self) -> Matched:
        if self._matched is None:
            tally = self._sources.observation.release_tally
            tally.settle(self.now_us)
            self._matched = tally.matched()
        return self._matched

    def rewards(self) -> Rewards:
        return self._sources.logs.rewards.extend(self.release.id, self.matched(), self.join.rewards)

    def shapes(self, guard: str) -> ShapeLog:
        return self._sources.logs.shapes[guard]

    def _ripe_us(self) -> int:
        """As far as it was learned when the release was looked at first: rows that were looked at stay."""
        logs = self._sources.logs
        if logs.ripe[0] != self.release.id:
            logs.ripe = (self.release.id, self._sources.observation.label_delay.ripe_us(self.join, self.now_us))
        return logs.ripe[1]


def _loss(seen: _Seen, rule: GuardRule) -> Evidence:
    return seen.compared.loss(seen.labelled(rule.slice), rule, blocks=seen.policy.blocks)


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
_OVER_PAIRS = frozenset({"loss", "calibration", "disagreement", "score_shift"})
"""Reckoned over all rows that both scored."""
