"""Parameters by a seeded search (Optuna's TPE): each trial fits the user's function with others."""

from collections.abc import Callable
from typing import Any

from flyball.adapters import estimators
from flyball.adapters.steps.own_fault import own_fault
from flyball.adapters.steps.situation import Rows, Run
from flyball.errors import DataError, TrainingError
from flyball.pipelines import split
from flyball.records.signature import Signature
from flyball.spec import TuningSpec
from flyball.stats.metrics import HIGHER_IS_BETTER, measure

Fit = Callable[[Rows, dict[str, Any]], Any]

_TUNING_SHARE = 0.2
"""Of the training part, its newest rows: parameters are chosen on them, as the model will be judged on newer ones still."""


def tuned(
    run: Run, tuning: TuningSpec, fit: Fit, rows: Rows, signature: Signature
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The best parameters, and every trial with its metric, on the newest part of the training rows; the holdout is not looked at. A trial that fails by its
    own fault is kept with why, and the next one is tried. Raises TrainingError where all failed."""
    import optuna

    inner = split.newest(rows.event_us, _TUNING_SHARE)
    split.check(inner, rows.labels, classification=signature.task != "regression")
    older, newer = rows.where(~inner), rows.where(inner)
    metric = tuning.metric or run.request.spec.primary_metric
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if metric in HIGHER_IS_BETTER else "minimize",
        sampler=optuna.samplers.TPESampler(seed=run.request.spec.train.seed),
    )
    done: list[dict[str, Any]] = []
    failed: list[TrainingError | DataError] = []
    for number in range(1, tuning.trials + 1):
        trial = study.ask()
        chosen = {name: _suggest(trial, name, values) for name, values in tuning.space.items()}
        try:
            scores = estimators.score(fit(older, {**run.parameters, **chosen}), newer.features, signature)
            value = _defined(measure(metric, signature.task, scores, newer.labels, run.threshold), metric)
        except (TrainingError, DataError) as error:
            if not own_fault(error):
                raise  # kept, it would be told of a machine that is well again
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            failed.append(error)
            done.append({"parameters": chosen, metric: None, "failed": error.message})
            told = f"trial {number} of {tuning.trials}{_in_words(chosen)} failed: {error.message}"
        else:
            study.tell(trial, value)
            done.append({"parameters": chosen, metric: value})
            told = f"trial {number} of {tuning.trials}: {metric} {value:.4f} (best {study.best_value:.4f})"
        run.say("train", told, number / (tuning.trials + 1))
    if len(failed) == len(done):
        raise _all_failed(failed[0], done)
    return {**run.parameters, **study.best_params}, done


def _defined(value: float | None, metric: str) -> float:
    if value is None:
        raise DataError(
            f"{metric} is not defined on the rows that parameters are tuned on",
            next_step="choose another train.tuning.metric",
        )
    return value


def _all_failed(first: TrainingError | DataError, done: list[dict[str, Any]]) -> TrainingError:
    words = f"trial 1{_in_words(done[0]['parameters'])} failed: {first.found}"
    return TrainingError(
        words if len(done) == 1 else f"all {len(done)} trials of train.tuning failed; {words}",
        expected=first.expected, next_step=first.next_step or "look at train.tuning.space, and at what the function does with it", detail=first.detail,
    )  # fmt: skip


def _in_words(chosen: dict[str, Any]) -> str:
    told = ", ".join(f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in chosen.items())
    return f" ({told})" if told else ""


def _suggest(trial: Any, name: str, values: list[Any]) -> Any:
    """Two numbers are a range, inclusive; anything else is a choice."""
    numbers = len(values) == 2 and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if not numbers:
        return trial.suggest_categorical(name, values)
    low, high = min(values), max(values)
    if all(isinstance(value, int) for value in values):
        return trial.suggest_int(name, low, high)
    # Three powers of ten or more are searched by powers: learning rates, penalties.
    return trial.suggest_float(name, float(low), float(high), log=low > 0 and high / low >= 1000)
