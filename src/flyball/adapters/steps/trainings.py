"""Fits of a tournament: each done once and kept, whose very model one is, and whether seeking parameters would be done in time."""

import time
from typing import Any

from flyball.adapters.steps.recipes import Recipe
from flyball.adapters.steps.situation import Run
from flyball.adapters.steps.train import digest_at, train
from flyball.autopilot.entrants import Strategy
from flyball.errors import DataError, FlyballError
from flyball.records.jobs import StepResult

FITS_BESIDE = 4
"""Beside its trials: with what they found, and, if it wins, without the holdout and on all rows; and one for luck."""
_ON_ALL = (Strategy.ALL, Strategy.RETUNE)
"""Entrants that are fitted on all rows, each weighing the same."""


class Trainings:
    """Of one tournament. What a training cost is what it took where it was really done: not what its result from the cache took, nor what was waited for another
    run that did it. So the same tournament comes to the same limits and figures wherever its trainings were done first."""

    def __init__(self) -> None:
        self.done: dict[str, StepResult] = {}
        """Entrant → its `train` step."""
        self.waited_seconds = 0.0
        """Of this run's own time: until they were there."""
        self._failed_seconds = 0.0

    @property
    def seconds(self) -> float:
        """Those that failed are not kept by anybody, and count as they were here."""
        return sum(step.seconds for step in self.done.values()) + self._failed_seconds

    def hold(self, run: Run, keys: dict[str, str], validated: StepResult, of: tuple[str, Recipe]) -> StepResult:
        """`of`: the entrant, and how it is fitted. Raises FlyballError."""
        name, recipe = of
        began = time.perf_counter()
        try:
            trained = train(run, keys, validated, recipe)
        except FlyballError:
            self._failed_seconds += time.perf_counter() - began
            raise
        self.waited_seconds += time.perf_counter() - began
        self.done[name] = trained
        return trained

    def alike(self, name: str, trained: StepResult) -> str:
        """Whose very model it is, in words; empty: nobody's. Of those that take all rows, parameters are all that differs: judged twice, one would cost the others
        of the error rate."""
        if name not in _ON_ALL:
            return ""
        found = trained.values["parameters"]
        twins = (
            other
            for other, held in self.done.items()
            if other != name and other in _ON_ALL and held.values["parameters"] == found
        )
        return next((f"it is the same as {other}: tuning found the same parameters" for other in twins), "")

    def values(self, run: Run) -> dict[str, Any]:
        """Who was fitted; and for whoever counts what a run took (control/replay_result.py): its own time holds these trainings, or only a look at their
        results."""
        trained = [
            {"entrant": name, "key": step.key, "seconds": step.seconds, "estimator_digest": digest_at(run, step.step, step.key)}
            for name, step in self.done.items()
        ]
        return {"trained": trained, "waited_seconds": round(self.waited_seconds, 3)}


def refuse_longer(run: Run, trainings: Trainings) -> None:
    """A job that is ended by its limit has told nothing, and would try the same again. Raises DataError."""
    tuning, limit = run.request.spec.train.tuning, run.request.spec.train.time_limit.total_seconds()
    once = max((step.seconds for step in trainings.done.values()), default=0.0)
    if tuning is not None and trainings.seconds + (tuning.trials + FITS_BESIDE) * once > limit:
        raise DataError(f"{tuning.trials} trials of {once:.0f} s would not be done within train.time_limit ({limit:.0f} s)")
