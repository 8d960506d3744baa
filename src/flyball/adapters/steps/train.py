"""train: the user's own function, with tuned parameters where they are asked for."""

import hashlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from flyball.adapters import estimators
from flyball.adapters.environment import refuse_change
from flyball.adapters.steps.recipes import PLAIN, Recipe
from flyball.adapters.steps.situation import Rows, Run, divided, read_rows
from flyball.adapters.steps.tuning import Fit, tuned
from flyball.adapters.user_code import kind_and_place, own_modules, user_code, words_of
from flyball.errors import FlyballError, TrainingError
from flyball.pipelines import split
from flyball.pipelines.graph import step_key
from flyball.records import codec
from flyball.records.jobs import StepResult
from flyball.records.signature import Signature
from flyball.records.words import listed

ESTIMATOR = "estimator.pkl"


def train(run: Run, keys: dict[str, str], validated: StepResult, recipe: Recipe = PLAIN) -> StepResult:
    """Fit on everything but the holdout, or on what the recipe takes of it."""
    spec = run.request.spec
    key = step_key("train", keys, _content(run, recipe))
    signature = codec.revive(validated.values["signature"], Signature)

    def work(directory: Path) -> dict[str, Any]:
        before, holdout = divided(run, read_rows(run.cache.directory("validate", validated.key)))
        to_train = recipe.of(before)
        split.check_fit(to_train.labels, classification=signature.task != "regression")
        with user_code(run.request.project_dir) as load:
            function = load(spec.train.entrypoint)

            fit = fit_with(run, function, recipe, signature)
            trials: list[dict[str, Any]] = []
            parameters = run.parameters if recipe.parameters is None else recipe.parameters
            if spec.train.tuning is not None and recipe.parameters is None:
                with told(f"tuning {spec.train.entrypoint}", run.request.project_dir):
                    parameters, trials = tuned(run, spec.train.tuning, fit, to_train, signature)
            run.say("train", f"fitting on {to_train.labels.size:,} rows")
            estimator = fit(to_train, parameters)
            if without := estimators.unmet(estimator, signature):
                run.say("train", f"no row to fit on has the class {listed(without)}: the model gives it a probability of 0")
            # Asked here already: an estimator that cannot answer should fail the step that made it.
            with told(f"the {type(estimator).__name__} of {spec.train.entrypoint}", run.request.project_dir):
                estimators.score(estimator, holdout.features.head(100), signature)
            (directory / ESTIMATOR).write_bytes(estimators.dump(estimator, own_modules(run.request.project_dir)))
        refuse_change(run.request.project_dir, run.surroundings)
        return {
            "parameters": codec.plain(parameters), "trials": trials, "estimator": type(estimator).__name__, "rows": int(to_train.labels.size),
            "holdout_rows": int(holdout.labels.size), "trained_until_us": int(to_train.event_us.max()),
        }  # fmt: skip

    return run.cache.do("train", key, work)


def _content(run: Run, recipe: Recipe) -> list[Any]:
    """All that decides the fit beside the rows."""
    spec = run.request.spec
    return [
        spec.train.model_dump(mode="json", include={"entrypoint", "tuning", "seed"}),
        run.parameters,
        spec.model_dump(mode="json", include={"evaluate": {"holdout"}}),
        spec.primary_metric,
        run.surroundings.code_digest,
        run.surroundings.environment_digest,
        *recipe.content,
        *([] if run.held_out_from_us is None else [run.held_out_from_us]),
        *([] if spec.train.tuning is None else run.decided_at([spec.train.tuning.metric or spec.primary_metric])),
    ]


def takes_weights(run: Run) -> bool:
    """Whether the user's function weighs rows. Raises TrainingError where it cannot be loaded."""
    with user_code(run.request.project_dir) as load:
        return "weights" in inspect.signature(load(run.request.spec.train.entrypoint)).parameters


def fit_with(run: Run, function: Callable[..., Any], recipe: Recipe, signature: Signature) -> Fit:
    """The user's function as a fit of rows with parameters. Raises TrainingError where it cannot weigh them."""
    train, project_dir = run.request.spec.train, run.request.project_dir
    if recipe.half_life_us is not None and "weights" not in inspect.signature(function).parameters:
        raise TrainingError(
            f"{train.entrypoint} takes no keyword `weights`", expected="train(features, label, parameters, seed, weights=None)",
            next_step="add it, and hand it on as sample_weight",
        )  # fmt: skip

    def fit(rows: Rows, parameters: dict[str, Any]) -> Any:
        weights = recipe.weights(rows)
        more = {} if weights is None else {"weights": weights}
        with told(f"{train.entrypoint}{_absent(rows, signature)}", project_dir):
            # Copies: what the function does to its arguments must not reach the next trial.
            fitted = function(rows.features.clone(), rows.label_series(signature), dict(parameters), train.seed, **more)
            estimator = estimators.adopted(fitted, signature, _met(rows))  # asks it for its classes: the user's code, too
        return _checked(estimator, train.entrypoint)

    return fit


def _met(rows: Rows) -> list[float]:
    """The classes that there are rows of; for regression its labels."""
    return list(np.unique(rows.labels).tolist())


def _absent(rows: Rows, signature: Signature) -> str:
    """Why a function may fail that is sound: in words, empty where every class is there."""
    there = set(_met(rows))
    names = [name for at, name in enumerate(signature.classes) if at not in there]
    return f", without a row of the class {listed(names)} to fit on," if names else ""


@contextmanager
def told(entrypoint: str, project_dir: Path) -> Iterator[None]:
    """What the user's code raises, and an exit that it asks for, is an answer: TrainingError with its kind and place."""
    try:
        yield
    except FlyballError:
        raise
    except (Exception, SystemExit) as error:
        raise TrainingError(f"{entrypoint} failed: {kind_and_place(error, project_dir)}", detail=words_of(error)) from error


def _checked(estimator: Any, entrypoint: str) -> Any:
    if callable(getattr(estimator, "predict", None)):
        return estimator
    kind, half = type(estimator).__name__, callable(getattr(estimator, "predict_proba", None))
    raise TrainingError(
        f"{entrypoint} gave a {kind}" + (" with predict_proba and without predict" if half else ""),
        expected="a fitted estimator with predict (and predict_proba)",
        next_step=f"add predict(self, features) to {kind}" if half else "does the function end with `return model`?",
    )


def of_estimator(run: Run, fitted: StepResult) -> Callable[[StepResult], bool]:
    """Whether a later step's result is of the very estimator that lies there: fitted anew, its result being gone, it may have come out as another one."""
    digest = estimator_digest(run, fitted)
    return lambda made: made.values.get("estimator_digest", digest) == digest  # a result of an earlier release does not say


def estimator_digest(run: Run, fitted: StepResult) -> str:
    """Of a step `train` or `refit`."""
    return digest_at(run, fitted.step, fitted.key)


def digest_at(run: Run, step: str, key: str) -> str:
    """Raises FileNotFoundError where its result is gone."""
    return hashlib.sha256((run.cache.directory(step, key) / ESTIMATOR).read_bytes()).hexdigest()


def read_estimator(run: Run, trained: StepResult) -> Any:
    """As this project's own child wrote it. Its project's modules must be importable (see adapters/user_code.py)."""
    return estimators.read((run.cache.directory("train", trained.key) / ESTIMATOR).read_bytes())
