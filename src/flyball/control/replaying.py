"""Before a challenger sees a live request: its answers to captured ones, judged against the champion's own."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.capture.joined import Pairs
from flyball.control.comparing import Compared, compared
from flyball.control.observe import Observation, micros_of
from flyball.control.recent_rows import AnsweredRow
from flyball.control.units import UnitShelf
from flyball.control.world import World, draft, micros, put
from flyball.errors import ModelFailed
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.release import ReleaseState, Replayed
from flyball.records.signature import ColumnType, Signature
from flyball.records.unit import Unit
from flyball.release import guards
from flyball.release.metrics import FAILURE_RATE, LOSS
from flyball.release.policy import GuardRule, ReplayRule

Floats = npt.NDArray[np.float64]

_QUESTIONS: dict[str, Callable[[Compared, Pairs, GuardRule], Evidence]] = {
    LOSS: Compared.loss,
    "disagreement": Compared.disagreement,
    "score_shift": Compared.score_shift,
}


class Replaying:
    """Asked once a release; the answer is in the ledger."""

    def __init__(self, world: World, shelf: UnitShelf, observation: Observation) -> None:
        self._world, self._shelf, self._observation = world, shelf, observation

    def of(self, release: ReleaseState, rule: ReplayRule | None) -> Replayed | None:
        """What it said, asked now if it was not before. None: this release is not asked."""
        if release.champion is None or rule is None:
            return None
        return self._world.get("replayed", release.id, Replayed) or self._ask(release, release.champion, rule)

    def _ask(self, release: ReleaseState, champion: str, rule: ReplayRule) -> Replayed:
        now, scorer = self._world.now(), self._world.ports.scorer
        challenger = self._shelf.served(release.challenger)
        rows = self._observation.recent_rows.whole(champion, challenger.signature)
        nobody = Replayed(release=release.id, at=now, rows=0, evidence=(), words="no captured request could be asked")
        if scorer is None or not rows:
            return self._told(nobody)
        try:
            scores = np.asarray(scorer.score(Path(challenger.package), [row.values for row in rows]), dtype=np.float64)
            words = ""
        except ModelFailed as error:
            if error.late or error.died:  # the machine's trouble as likely as its own, which the shadow will show
                return self._told(msgspec.structs.replace(nobody, words=f"{nobody.words}: {error.message.rstrip('.')}"))
            scores, words = np.full((len(rows), 1), np.nan), f"it could not answer captured requests: {error.message.rstrip('.')}"
        except (TypeError, ValueError) as error:  # a feature of the same name and another type
            self._world.say("bad", f"Release {release.id}: captured requests do not fit the challenger: {error}")
            what = f"{type(error).__name__}{_misfit(rows, challenger.signature)}"
            return self._told(msgspec.structs.replace(nobody, words=f"{nobody.words}: they do not fit its signature ({what})"))
        rows, found = rows[: len(scores)], len(rows)
        pairs, answered = self._pairs(champion, release.challenger, rows, _calibrated(challenger.unit, scores))
        both = compared(self._world, self._shelf, self._observation, (champion, release.challenger))
        failed = self._failed(champion, release.challenger, rows), (len(rows) - answered, len(rows))
        evidence = tuple(_measured(both, pairs, failed, guard) for guard in rule.guards)
        words = words or _in_words(answered, len(rows), found)
        return self._told(Replayed(release=release.id, at=now, rows=len(rows), evidence=evidence, words=words))

    def _pairs(self, champion: str, challenger: str, rows: list[AnsweredRow], scores: Floats) -> tuple[Pairs, int]:
        """The rows that it answered with numbers, with the mature labels that it cannot have learnt; how many those are."""
        old = np.array([row.scores for row in rows], dtype=np.float64)
        fits = scores.shape == old.shape
        answered = np.flatnonzero(np.isfinite(scores).all(axis=1)) if fits else np.zeros(0, dtype=np.int64)
        calibration = self._shelf.unit(challenger).calibration
        until = (self._shelf.version(challenger).lineage.snapshot.until, calibration.until if calibration else None)
        learnt_us = max((micros(each) for each in until if each is not None), default=-1)
        outcomes = self._observation.joined_for(challenger).outcomes(champion, rows[0].at_us, rows[-1].at_us + 1)
        known = dict(zip(outcomes.ids, outcomes.labels.tolist(), strict=True))
        at_us = np.array([row.at_us for row in rows], dtype=np.int64)
        young = at_us + micros_of(self._world.spec.data.label_delay or timedelta(0)) > micros(self._world.now())
        labels = np.where((at_us > learnt_us) & ~young, [known.get(row.id, np.nan) for row in rows], np.nan)
        shown = scores if fits else old
        return Pairs(answered, at_us[answered], old[answered], shown[answered], labels[answered]), len(answered)

    def _failed(self, champion: str, challenger: str, rows: list[AnsweredRow]) -> tuple[int, int]:
        """(rows that the champion could not answer, rows that it was asked) while it answered these: what it failed by was captured as a number alone, and a
        champion that never failed would be a baseline that nobody meets."""
        join, span = self._observation.joined_for(challenger), (rows[0].at_us, rows[-1].at_us + 1)
        failed = join.failures.between(champion, *span)
        return failed, failed + join.answered(*span, champion)

    def _told(self, replayed: Replayed) -> Replayed:
        subject, state = f"release:{replayed.release}", put("replayed", replayed.release, replayed)
        self._world.record(
            draft(
                self._world.now(),
                "release.replayed",
                subject,
                codec.plain(replayed),
                (state,),
                key=f"replayed:{replayed.release}",
            )
        )
        self._world.say("plain", f"Release {replayed.release}: {replayed.words}.")
        return replayed


def _measured(both: Compared, pairs: Pairs, failed: tuple[tuple[int, int], tuple[int, int]], guard: GuardRule) -> Evidence:
    """`failed`: (rows that it could not answer, rows that it was asked) of champion and challenger."""
    if guard.metric == FAILURE_RATE:
        return guards.failure_rate(*failed, guard)
    if guard.metric == LOSS:
        chosen = ~np.isnan(pairs.labels)
        pairs = Pairs(*(part[chosen] for part in pairs))  # type: ignore[arg-type]
    return _QUESTIONS[guard.metric](both, pairs, guard)


def _calibrated(unit: Unit, scores: Floats) -> Floats:
    """As it would be answered; rows that it could not answer stay so."""
    whole = np.isfinite(scores).all(axis=1)
    if unit.calibration is None or not whole.any():
        return scores
    answers = np.full(scores.shape, np.nan)
    answers[whole] = unit.calibration.of(scores[whole])
    return answers


def _in_words(answered: int, asked: int, captured: int) -> str:
    of = f" of {asked}" if answered < asked else ""
    return f"it answered {answered}{of} captured rows{f', and for {captured - asked} more there was no time' if asked < captured else ''}"


def _misfit(rows: list[AnsweredRow], signature: Signature) -> str:
    """In which feature, never what it holds: a value may be a person's name, and the ledger forgets nothing."""
    for column in signature.columns:
        if column.type is not ColumnType.CATEGORY:
            try:
                [float(row.values[column.name]) for row in rows if row.values[column.name] is not None]
            except (TypeError, ValueError):
                return f" in the feature {column.name!r}"
    return ""
