"""Parameters that are sought: a trial that fails is one trial."""

import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "control"))
from ledger_world import world_at
from projects import AS_OF, LOGISTIC, Told, project, request, spec

from flyball.adapters.executor import MemoryExecutor
from flyball.adapters.steps import run_steps
from flyball.control import job_story
from flyball.control.world import World, draft, put
from flyball.errors import TrainingError
from flyball.records.jobs import Job, JobStatus

PICKY = (
    LOGISTIC
    + """
import numpy as np

well = train

class Blank:
    def __init__(self, model):
        self.model, self.classes_ = model, model.classes_

    def predict(self, frame):
        return self.model.predict(frame)

    def predict_proba(self, frame):
        return self.model.predict_proba(frame) * np.nan

def train(features, label, parameters, seed):
    if parameters["C"] < 0:
        raise ERROR
    model = well(features, label, parameters, seed)
    return Blank(model) if parameters["C"] > 5 else model
"""
)
"""It refuses a negative `C`, and answers nothing with a large one."""


def picky(low: float, high: float, trials: int = 8) -> dict:
    return {"entrypoint": "pipeline:train", "seed": 1, "tuning": {"trials": trials, "space": {"C": [low, high]}}}


def test_a_trial_that_fails_is_told_and_keeps_no_other_from_being_tried(tmp_path: Path) -> None:
    directory, told = project(tmp_path / "p", PICKY.replace("ERROR", "ValueError(parameters['C'])")), Told()
    values = run_steps(request(directory, spec(train=picky(-4.0, 9.0))), told)[2].values
    trials = values["trials"]
    assert len(trials) == 8
    refused, blank = ([trial for trial in trials if low < trial["parameters"]["C"] < high] for low, high in ((-9, 0), (5, 99)))
    assert refused
    assert blank
    assert all(trial["failed"].startswith("pipeline:train failed: ValueError") for trial in refused)
    assert all("rows without a finite score" in trial["failed"] for trial in blank)
    best = min((trial for trial in trials if "failed" not in trial), key=lambda trial: trial["log_loss"])
    assert values["parameters"] == best["parameters"]
    words = [progress.words for progress in told if progress.words.startswith("trial")]
    assert len(words) == 8
    place = trials.index(refused[0])
    assert words[place].startswith(
        f"trial {place + 1} of 8 (C={refused[0]['parameters']['C']:.4g}) failed: pipeline:train failed"
    )


def test_where_every_trial_fails_the_first_is_told(tmp_path: Path) -> None:
    directory = project(tmp_path / "p", PICKY.replace("ERROR", "ValueError(1)"))
    with pytest.raises(
        TrainingError, match=r"all 3 trials of train.tuning failed; trial 1 \(C=-\d.*\) failed: pipeline:train failed: ValueError"
    ):
        run_steps(request(directory, spec(train=picky(-4.0, -2.0, 3))), Told())


@pytest.mark.parametrize("error", ["MemoryError()", "OSError(28, 'No space left on device')"])
def test_a_trial_that_the_machine_failed_fails_the_training_which_is_not_kept(tmp_path: Path, error: str) -> None:
    directory, told = project(tmp_path / "p", PICKY.replace("ERROR", error)), Told()
    with pytest.raises(TrainingError, match=r"^pipeline:train failed: (MemoryError|OSError)"):
        run_steps(request(directory, spec(train=picky(-4.0, 4.0, 6))), told)


def story_of(world: World, job: Job) -> job_story.JobStory:
    world.record(draft(world.now(), "test", "test", {}, (put("job", job.id, job),)))
    return job_story.story(world, job.id)


def test_a_job_is_told_with_the_parameters_that_it_found_and_all_that_it_tried(tmp_path: Path) -> None:
    asked = request(project(tmp_path / "p", PICKY.replace("ERROR", "ValueError(1)")), spec(train=picky(-4.0, 9.0)))
    executor = MemoryExecutor(run_steps)
    executor.launch(asked)
    world = world_at(AS_OF)
    world.ports = world.ports._replace(executor=executor)
    assert story_of(world, asked.job).trials == (), "it runs"
    told = story_of(world, msgspec.structs.replace(asked.job, status=JobStatus.REFUSED))
    assert told.metric == "log_loss"
    assert len(told.trials) == 8
    best = min((trial for trial in told.trials if trial.value is not None), key=lambda trial: trial.value)
    assert told.parameters == best.parameters
    failed = [trial for trial in told.trials if trial.value is None]
    assert failed
    assert all(trial.words for trial in failed)
    other = msgspec.structs.replace(asked.job, status=JobStatus.REFUSED, cause="user:somebody-else")
    assert story_of(world, other).parameters is None, (
        "what lies there is of a job of the same number, before a backup was restored"
    )
