"""refit: the recipe that was judged, fitted once more on all rows; what is served has then seen the newest ones, too.

Its own answers to the holdout say nothing of it any more. So gates and monitors go by those of the model that was judged: the recipe is the same, and a release
compares the very model that it serves on rows that nobody has seen.
"""

from pathlib import Path
from typing import Any

from flyball.adapters import estimators
from flyball.adapters.environment import refuse_change
from flyball.adapters.steps.recipes import Recipe
from flyball.adapters.steps.situation import Run, divided, read_rows
from flyball.adapters.steps.train import ESTIMATOR, estimator_digest, fit_with, of_estimator, told
from flyball.adapters.user_code import own_modules, user_code
from flyball.records import codec
from flyball.records.jobs import StepResult
from flyball.records.signature import Signature

CODE_VERSION = 1


def refitted(run: Run, validated: StepResult, trained: StepResult, recipe: Recipe) -> StepResult:
    """As `trained`, which chose the parameters."""
    spec = run.request.spec
    signature = codec.revive(validated.values["signature"], Signature)

    def work(directory: Path) -> dict[str, Any]:
        before, holdout = divided(run, read_rows(run.cache.directory("validate", validated.key)))
        rows = recipe.of(before.followed_by(holdout))
        with user_code(run.request.project_dir) as load:
            fit = fit_with(run, load(spec.train.entrypoint), recipe, signature)
            run.say("package", f"fitting once more, on all {rows.labels.size:,} rows")
            estimator = fit(rows, trained.values["parameters"])
            with told(f"the {type(estimator).__name__} of {spec.train.entrypoint}", run.request.project_dir):
                estimators.score(estimator, holdout.features.head(100), signature)
            (directory / ESTIMATOR).write_bytes(estimators.dump(estimator, own_modules(run.request.project_dir)))
        refuse_change(run.request.project_dir, run.surroundings)
        until_us, judged = int(rows.event_us.max()), estimator_digest(run, trained)
        return {**trained.values, "rows": int(rows.labels.size), "trained_until_us": until_us, "estimator_digest": judged}

    return run.cache.do("refit", codec.digest(["refit", CODE_VERSION, trained.key]), work, of_estimator(run, trained))
