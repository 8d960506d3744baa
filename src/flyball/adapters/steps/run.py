"""One run of the pipeline in this process: step after step, each from the cache where it is there."""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from flyball.adapters.environment import surroundings
from flyball.adapters.kept_results import in_use
from flyball.adapters.schema_file import Schema
from flyball.adapters.sources import Secret
from flyball.adapters.steps import tournament
from flyball.adapters.steps.apart import Apart, rows_apart
from flyball.adapters.steps.cache import StepCache
from flyball.adapters.steps.evaluate import Fits, evaluate, model_key
from flyball.adapters.steps.package import PackageOrder, package, package_key
from flyball.adapters.steps.recipes import PLAIN, Recipe
from flyball.adapters.steps.refit import refitted
from flyball.adapters.steps.situation import Run
from flyball.adapters.steps.snapshot import take_snapshot, validate
from flyball.adapters.steps.train import train
from flyball.adapters.validation_pandera import schema_of
from flyball.autopilot import contest
from flyball.control.ports import StepRequest
from flyball.errors import CodeChanged, DataError, FlyballError, StoreUnavailable
from flyball.pipelines import graph
from flyball.records import codec
from flyball.records.jobs import Progress, StepResult
from flyball.records.tournaments import Standings

OLDER = "older"
"""The name under which is told that the older rows of a tournament's holdout were answered."""


def no_secrets(name: str) -> str:
    raise DataError(
        f"the environment variable {name} was not handed to this run", next_step=f"set {name} where flyball is started"
    )


def run_steps(request: StepRequest, report: Callable[[Progress], None], secret: Secret = no_secrets) -> tuple[StepResult, ...]:
    """Do what is not done yet, in this process; answers with every step's result.

    Call it from a child process: it runs the user's code and unpickles what this project's children trained. Raises FlyballError whose
    message is for the user; its `__cause__` holds the trace for the log. `values["package"]` of the last result is its place
    below the request's state directory: a project may be moved between two looks.
    """
    last = _Last(report)
    try:
        around = surroundings(request.project_dir, request.spec.data)
        cache = request.state_dir / "cache"
        with in_use(cache):
            return _all(Run(request, last, secret, StepCache(cache, last), around))
    except FlyballError as error:
        last(Progress(step=last.step, status="failed", words=error.message, seconds=last.worked_seconds()))
        raise


def _all(run: Run) -> tuple[StepResult, ...]:
    done = _Done()
    snapshot, frame = take_snapshot(run)
    done.keep(snapshot)
    schema = schema_of(run.schema_file, frame, run.request.spec.data, partial(run.say, "validate"))
    validated = done.keep(validate(run, done.keys, frame, schema.of_data))
    order = tournament.order_of(run)
    if order is None:
        return _made(run, done, schema, PLAIN, Fits(done.keep(train(run, done.keys, validated, PLAIN))))
    apart = rows_apart(run, order, validated)
    held = done.keep(tournament.hold(apart, done.keys, validated, order))
    won = contest.winner(codec.revive(held.values["standings"], Standings))
    if won is None or not won.fitted:
        return done.all
    recipe = tournament.recipe_of(run, won.name)
    judged = done.keep(train(apart.judging, done.keys, validated, recipe))
    older = _of_older_rows(apart, done, judged, recipe)
    return _made(apart.judging if older is None else apart.measured, done, schema, recipe, Fits(judged, older))


def _of_older_rows(apart: Apart, done: "_Done", judged: StepResult, recipe: Recipe) -> StepResult | None:
    """The recipe without the holdout, of which a few windows judged. None: those are all of it, or it is not to be had: then they alone say what it is worth."""
    run, validated = apart.measured, done.results["validate"]
    if apart.measured is apart.judging:
        return None
    limit = run.request.spec.train.time_limit.total_seconds()
    # One fit more may still come, on all rows.
    if tournament.seconds_of(done.results[tournament.STEP]) + (1 + run.refits) * judged.seconds > limit:
        run.say(
            "train",
            f"the newest rows alone say what it is worth: another fit may not be done within train.time_limit ({limit:.0f} s)",
        )
        return None
    if run.request.spec.train.tuning is not None:
        recipe = recipe._replace(parameters=judged.values["parameters"])  # sought once
    began = time.perf_counter()
    try:
        older = train(run, done.keys, validated, recipe)
    except (CodeChanged, StoreUnavailable):
        raise
    except FlyballError as error:
        run.say("train", f"the newest rows alone say what it is worth: {error.message}")
        done.keep(StepResult(step=OLDER, key="", values={"failed": error.message}, seconds=round(time.perf_counter() - began, 3)))
        return None
    return done.keep(msgspec.structs.replace(older, step=OLDER))


def _made(run: Run, done: "_Done", schema: Schema, recipe: Recipe, fits: Fits) -> tuple[StepResult, ...]:
    """With a version's package, from what is trained."""
    validated, trained = done.results["validate"], fits.newest
    alone = {**done.keys, "evaluate": model_key(run, done.keys, fits)}
    run_key = graph.run_key({**alone, "package": package_key(run, alone, schema)})
    done.keep(evaluate(run, done.keys, validated, fits))
    fitted = done.keep(refitted(run, validated, trained, recipe)) if run.refits else trained
    packed = package(run, done.keys, done.results, PackageOrder(run_key, schema, fitted, recipe))
    place: Path = run.cache.directory("package", packed.key) / packed.values["package"]
    done.keep(msgspec.structs.replace(packed, values={**packed.values, "package": os.path.relpath(place, run.request.state_dir)}))
    return done.all


class _Done:
    """Results and keys of the steps so far, by name."""

    def __init__(self) -> None:
        self.results: dict[str, StepResult] = {}
        self.keys: dict[str, str] = {}

    def keep(self, result: StepResult) -> StepResult:
        self.results[result.step], self.keys[result.step] = result, result.key
        return result

    @property
    def all(self) -> tuple[StepResult, ...]:
        return tuple(self.results.values())


class _Last:
    """Hands reports on, and remembers the step and the time, for the report of a failure."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self._report = report
        self._began, self._waited_seconds = time.perf_counter(), 0.0
        self.step = graph.NAMES[0]

    def __call__(self, progress: Progress) -> None:
        self.step = progress.step
        self._waited_seconds += progress.waited_seconds
        self._report(progress)

    def worked_seconds(self) -> float:
        return round(time.perf_counter() - self._began - self._waited_seconds, 3)
