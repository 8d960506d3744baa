"""A binary model that divides its own scores: it is asked for probabilities, and those are divided at `serve.threshold`."""

from typing import Any

import numpy as np
import polars as pl

from flyball.adapters.steps.situation import Run
from flyball.errors import TrainingError
from flyball.records.jobs import StepResult
from flyball.records.scores import Scores
from flyball.stats.metrics import HALF

OWN = "own_threshold"
"""In the values of `evaluate`: of a model that answers otherwise than what is served of it would by one half."""

_TIE = 1e-9
"""So near to a threshold the last digit decides, which `predict` may have rounded otherwise."""
_DEEPEST = 5


def told_apart(run: Run, estimator: Any, features: pl.DataFrame, scores: Scores) -> float | None:
    """The threshold of its own by which `predict` answers rows otherwise than one half does; None: it has none, or it makes no difference.
    Whatever the reason, a difference to what will be served is told."""
    said = _said(estimator, features) if callable(getattr(estimator, "predict_proba", None)) else None
    if said is None:
        return None
    own = _threshold_of(estimator)
    if own is not None and _differ(said, scores[:, 0], own):
        own = None  # of something else: of decisions, not of probabilities, or of a selection
    served = scores[:, 0] >= run.threshold
    if _differ(said, scores[:, 0], run.threshold):
        its = "" if own is None else f" (by its own threshold, {own:.4g})"
        run.say(
            "evaluate",
            f"warning: predict says yes to {int(said.sum()):,} of {said.size:,} rows of the holdout{its}, and served is what predict_proba gives from "
            f"{run.threshold:g} on, {int(served.sum()):,} rows: serve.threshold in flyball.yaml says from where",
        )
    return own if own is not None and _differ(said, scores[:, 0], HALF) else None


def refuse_unsaid(run: Run, evaluated: StepResult) -> None:
    """Raises TrainingError where a model's own threshold would be passed over, and flyball.yaml does not say by which one is answered."""
    own = evaluated.values.get(OWN)
    if own is None or run.request.spec.serve.threshold is not None:
        return
    raise TrainingError(
        f"the model has a threshold of its own, {own:.4g}, by which predict answers rows of the holdout otherwise than what would be served, which is yes from 0.5 on",
        expected="serve.threshold in flyball.yaml: a served model is asked for probabilities, and those are divided there",
        next_step=f"write `serve: {{threshold: {own:.4g}}}` into flyball.yaml (0.5, if that is meant), or return the classifier without its threshold",
    )


def _differ(said: Any, scores: Any, threshold: float) -> bool:
    return bool(((said != (scores >= threshold)) & (np.abs(scores - threshold) > _TIE)).any())


def _said(estimator: Any, features: pl.DataFrame) -> Any:
    """(n_rows,) whether `predict` says yes; None: it says something else than the indices of the two classes."""
    try:
        said = np.asarray(estimator.predict(features))
    except Exception:  # noqa: BLE001 - the user's own: it is not what will be asked
        return None
    known = said.shape == (features.height,) and said.dtype.kind in "biuf" and set(np.unique(said)) <= {0, 1}
    return said == 1 if known else None


def _threshold_of(estimator: Any) -> float | None:
    """As scikit-learn's TunedThresholdClassifierCV and FixedThresholdClassifier have it, in a pipeline or a search, too."""
    for _ in range(_DEEPEST):
        for name in ("best_threshold_", "threshold"):
            value = getattr(estimator, name, None)
            # Of single precision where the model was asked with float32, as Flyball asks it.
            if isinstance(value, int | float | np.floating) and not isinstance(value, bool):
                return float(value)
        steps = getattr(estimator, "steps", None)
        estimator = steps[-1][1] if steps else getattr(estimator, "best_estimator_", None)
    return None
