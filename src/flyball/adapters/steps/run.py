"""One run of the pipeline in this process: step after step, each from the cache where it is there."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from flyball.adapters.environment import surroundings
from flyball.adapters.sources import Secret
from flyball.adapters.steps.cache import StepCache
from flyball.adapters.steps.evaluate import evaluate, evaluation_key
from flyball.adapters.steps.package import PackageOrder, package, package_key
from flyball.adapters.steps.situation import Run
from flyball.adapters.steps.snapshot import take_snapshot, validate
from flyball.adapters.steps.train import train
from flyball.adapters.validation_pandera import schema_of
from flyball.control.ports import StepRequest
from flyball.errors import DataError, FlyballError
from flyball.pipelines import graph
from flyball.records.jobs import Progress, StepResult


def no_secrets(name: str) -> str:
    raise DataError(
        f"the environment variable {name} was not handed to this run", next_step=f"set {name} where flyball is started"
    )


def run_steps(request: StepRequest, report: Callable[[Progress], None], secret: Secret = no_secrets) -> tuple[StepResult, ...]:
    """Do what is not done yet, in this process; answers with every step's result.

    Call it from a child process: it runs the user's code and unpickles what this project's children trained. Raises FlyballError whose
    message is for the user; its `__cause__` holds the trace for the log. `values["package"]` of the last result is an absolute path.
    """
    last = _Last(report)
    run = Run(request, last, secret, StepCache(request.state_dir / "cache", last), surroundings(request.project_dir))
    try:
        return _all(run)
    except FlyballError as error:
        last(Progress(step=last.step, status="failed", words=error.message))
        raise


def _all(run: Run) -> tuple[StepResult, ...]:
    done: dict[str, StepResult] = {}
    keys: dict[str, str] = {}

    def keep(result: StepResult) -> StepResult:
        done[result.step], keys[result.step] = result, result.key
        return result

    snapshot, frame = take_snapshot(run)
    keep(snapshot)
    schema = schema_of(run.schema_file, frame, run.request.spec.data)
    validated = keep(validate(run, keys, frame, schema.of_data))
    trained = keep(train(run, keys, validated))
    alone = {**keys, "evaluate": evaluation_key(run, keys, None)}
    run_key = graph.run_key({**alone, "package": package_key(run, alone, schema)})
    keep(evaluate(run, keys, validated, trained))
    packed = keep(package(run, keys, done, PackageOrder(run_key, schema)))
    place: Path = run.cache.directory("package", packed.key) / packed.values["package"]
    done["package"] = msgspec.structs.replace(packed, values={**packed.values, "package": str(place.resolve())})
    return tuple(done[name] for name in graph.NAMES)


class _Last:
    """Hands reports on, and remembers the step, for the report of a failure."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self._report = report
        self.step = graph.NAMES[0]

    def __call__(self, progress: Progress) -> None:
        self.step = progress.step
        self._report(progress)
