"""The two units of a release on the same rows, as the guards of the release ask: what each task calls a loss, a decision, a score."""

from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.capture.joined import Pairs
from flyball.control.observe import Observation
from flyball.control.units import UnitShelf
from flyball.control.world import World
from flyball.records.evidence import Evidence
from flyball.records.signature import Task
from flyball.records.unit import Unit
from flyball.registry.unit import scores_alike
from flyball.release import guards
from flyball.release.policy import GuardRule
from flyball.stats.losses import bounded_loss, wrong_costs

Floats = npt.NDArray[np.float64]


class Thresholds(NamedTuple):
    """Of two units that differ by nothing else: their scores are the same, so that what their wrong answers cost tells them apart, and no loss of scores."""

    old: float
    new: float
    yes_cost: float
    """Of a wrong yes; of a wrong no it is 1 less that."""

    def costs(self, pairs: Pairs) -> tuple[Floats, Floats]:
        """Of each row, in [0, 1]: as `rethreshold` chooses by."""
        old, new = (
            wrong_costs(scores, pairs.labels, threshold, self.yes_cost)
            for scores, threshold in ((pairs.first, self.old), (pairs.second, self.new))
        )
        return old, new

    @property
    def words(self) -> str:
        costs = f"a wrong yes {self.yes_cost:g}, a wrong no {1.0 - self.yes_cost:g}"
        return f"of what wrong answers cost ({costs}), since the threshold alone differs: {self.new:g}, and {self.old:g} before"


class Compared(NamedTuple):
    """How scores of this task are read; champion first."""

    task: Task
    scale: float
    """Of regression losses, in the label's unit."""
    thresholds: tuple[float, float]
    """Binary: where each unit's positive class begins."""
    alone: Thresholds | None = None
    """None: more differs than the threshold, or nothing does, and the losses of the scores are compared."""

    def loss(self, pairs: Pairs, rule: GuardRule, *, blocks: bool = False) -> Evidence:
        if self.alone is not None:
            found = guards.loss(*self.alone.costs(pairs), rule, blocks=blocks)
            return msgspec.structs.replace(found, note="; ".join(filter(None, (found.note, self.alone.words))))
        labels = pairs.labels if self.task == "regression" else pairs.labels.astype(np.int64)
        old, new = (bounded_loss(self.task, scores, labels, self.scale) for scores in (pairs.first, pairs.second))
        return guards.loss(old, new, rule, blocks=blocks)

    def calibration(self, pairs: Pairs, rule: GuardRule) -> Evidence:
        both = (pairs.first, pairs.second)
        if self.task == "binary":
            return guards.calibration(pairs.first[:, 0], pairs.second[:, 0], pairs.labels, rule)
        if self.task == "multiclass":
            # of the class that each is surest of: is it right as often as it says?
            gaps = [scores.max(axis=1) - (scores.argmax(axis=1) == pairs.labels) for scores in both]
        else:
            gaps = [np.clip((scores[:, 0] - pairs.labels) / self.scale, -1.0, 1.0) for scores in both]
        return guards.calibration(gaps[0], gaps[1], np.zeros(len(pairs.labels)), rule)

    def disagreement(self, pairs: Pairs, rule: GuardRule) -> Evidence:
        if self.task == "regression":
            apart = np.minimum(np.abs(pairs.second[:, 0] - pairs.first[:, 0]) / self.scale, 1.0)
        elif self.task == "multiclass":
            apart = (pairs.first.argmax(axis=1) != pairs.second.argmax(axis=1)).astype(np.float64)
        else:
            decided = [scores[:, 0] >= least for scores, least in zip((pairs.first, pairs.second), self.thresholds, strict=True)]
            apart = (decided[0] != decided[1]).astype(np.float64)
        return guards.disagreement(np.zeros(len(apart)), apart, rule)

    def score_shift(self, pairs: Pairs, rule: GuardRule) -> Evidence:
        return guards.score_shift(self._one_number(pairs.first), self._one_number(pairs.second), rule)

    def _one_number(self, scores: Floats) -> Floats:
        """In [0, 1] a row: the positive class's probability, the largest one, or where the value lies on the scale (its arctangent: it has no bound)."""
        if self.task == "regression":
            return np.asarray(0.5 + np.arctan(scores[:, 0] / self.scale) / np.pi)
        return scores[:, 0] if self.task == "binary" else scores.max(axis=1)


def compared(world: World, shelf: UnitShelf, observation: Observation, units: tuple[str, str]) -> Compared:
    """Of champion and challenger, which answer the same question: what flyball.yaml says by now may be another one."""
    thresholds = [shelf.unit(unit).threshold for unit in units]
    old, new = (0.5 if threshold is None else threshold for threshold in thresholds)
    reference = observation.files.reference(units[0])
    return Compared(reference.task, reference.scale, (old, new), thresholds_alone(world, *units))


def thresholds_alone(world: World, old: str, new: str) -> Thresholds | None:
    """Where the units differ by them alone; None: by more, or by nothing. What is wrong costs what flyball.yaml says by now."""
    first, second = (world.get("unit", name, Unit) for name in (old, new))
    if first is None or second is None or not scores_alike(first, second):
        return None
    if first.threshold is None or second.threshold is None or first.threshold == second.threshold:
        return None
    declared = world.spec.serve.threshold
    return Thresholds(first.threshold, second.threshold, 0.5 if declared is None else declared)
