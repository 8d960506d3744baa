"""Jobs whose result is not what it tells of."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_models import Workshop
from engine_world import AT_ONCE, HOUR, Project, spec_of

from flyball.adapters.executor import MemoryExecutor
from flyball.control import commands, decisions, jobs
from flyball.control.ports import JobReport, StepRequest
from flyball.records.jobs import Job, JobStatus, StepResult


def job_of(project: Project) -> Job:
    (job,) = project.door.all("job", Job)
    return job


def launched(project: Project) -> None:
    commands.order(project.door, "run", "user:me", "")
    for _ in range(5):
        if project.executor.launches:
            return
        project.engine.tick()
    raise AssertionError("nothing was launched")


def gone(package: Path) -> None:
    shutil.rmtree(package)


def damaged(package: Path) -> None:
    (package / "manifest.json").write_text("no manifest")


def unlike_its_manifest(package: Path) -> None:
    (package / "evaluation.json").write_text("[]")


@pytest.mark.parametrize("harm", [gone, damaged, unlike_its_manifest])
def test_a_job_whose_package_is_gone_is_run_again_and_no_more_often_than_others(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    project = Project(tmp_path)
    launched(project)
    (report,) = project.executor.observe(job_of(project).id).results
    gone(Path(report.values["package"]))
    project.tick()
    assert (job_of(project).status, job_of(project).attempt) == (JobStatus.REGISTERED, 2)
    assert ("bad", "job j-0001: the package that it made is gone or damaged; it is made again") in project.said

    made = project.workshop.run

    def loses(request: StepRequest, tell: object) -> list[StepResult]:
        results = made(request, tell)
        harm(Path(results[-1].values["package"]))
        return results

    lossy = Project(tmp_path / "lossy", wrap=lambda ports: ports._replace(executor=MemoryExecutor(loses)))
    made = lossy.workshop.run
    commands.order(lossy.door, "run", "user:me", "")
    for _ in range(8):
        lossy.engine.tick()
    assert (job_of(lossy).status, job_of(lossy).attempt) == (JobStatus.FAILED, 3)


class Killed(MemoryExecutor):
    """Each of its children is killed."""

    def launch(self, request: StepRequest) -> None:
        self.lost_launches.add(request.job.id)
        super().launch(request)

    def observe(self, job_id: str) -> JobReport:
        report = super().observe(job_id)
        return report._replace(error="ended by signal 9") if report.state == "absent" else report


def test_what_ended_a_child_is_told_each_time_and_in_the_end(tmp_path: Path) -> None:
    project = Project(tmp_path, wrap=lambda ports: ports._replace(executor=Killed(Workshop(tmp_path).run)))
    commands.order(project.door, "run", "user:me", "")
    for _ in range(8):
        project.engine.tick()
    assert job_of(project).status is JobStatus.FAILED
    assert "3 children died without a result (the last one ended by signal 9)" in job_of(project).error
    assert project.said.count(("bad", "job j-0001: its process was ended by signal 9; it is started again")) == 2


class Recalled(MemoryExecutor):
    """Each of its first children is ended by `flyball down`."""

    def launch(self, request: StepRequest) -> None:
        if self.launches < 6:
            self.lost_launches.add(request.job.id)
        super().launch(request)

    def observe(self, job_id: str) -> JobReport:
        report = super().observe(job_id)
        return report._replace(recalled=report.state == "absent")


def test_a_child_that_a_person_ended_with_everything_else_has_not_died(tmp_path: Path) -> None:
    project = Project(tmp_path, wrap=lambda ports: ports._replace(executor=Recalled(Workshop(tmp_path).run)))
    commands.order(project.door, "run", "user:me", "")
    for _ in range(9):
        project.engine.tick()
    assert (job_of(project).status, job_of(project).attempt) == (JobStatus.REGISTERED, 1)


class Tidied(MemoryExecutor):
    """Counts how often it was tidied up."""

    times = 0

    def tidy(self) -> None:
        self.times += 1


def test_what_jobs_left_is_tidied_up_once_the_last_of_them_is_over(tmp_path: Path) -> None:
    executor = Tidied(Workshop(tmp_path).run)
    project = Project(tmp_path, wrap=lambda ports: ports._replace(executor=executor))
    first, second = (jobs.request(project.engine.world, "user:me", key=key) for key in "ab")
    executor.lost_launches.add(second.id)
    times: list[int] = []
    while jobs.active(project.door):
        project.engine.tick()
        times.append(executor.times)
    assert first.id != second.id
    assert times[-2:] == [0, 1], "not while the second one is under way"
    project.tick()
    assert executor.times == 1


def test_the_result_of_a_job_that_a_restored_ledger_does_not_know_is_not_its_successors(tmp_path: Path) -> None:
    later = Project(tmp_path / "later")
    later.version()
    left = later.executor
    project = Project(tmp_path, wrap=lambda ports: ports._replace(executor=left))
    project.clock.sleep(HOUR)
    job = jobs.request(project.engine.world, "user:me")
    assert (jobs.observed(project.door, job).state, left.observe(job.id).state) == ("new", "done")
    project.tick()
    assert (job_of(project).status, left.launches) == (JobStatus.REGISTERED, 2)
    assert any(style == "bad" and "it is set aside" in words for style, words in project.said)
    project.holds()


def test_a_run_that_a_controller_takes_ends_what_was_asked_for_under_another_flyball_yaml(tmp_path: Path) -> None:
    project = Project(tmp_path)
    jobs.request(project.engine.world, "user:me")
    own = jobs.request(project.engine.world, "d-000001")
    project.spec = spec_of(AT_ONCE)
    engine = project.new_engine()
    order = commands.order(engine.world, "run", "user:me", "")
    hands = commands.Hands(engine.releases, engine.drills, engine.stopping)
    done, _again = (commands.carry_out(engine.world, hands, order) for _ in range(2))
    found = {job.id: job for job in project.door.all("job", Job)}
    assert [job.status for job in found.values()] == [JobStatus.FAILED, JobStatus.REQUESTED, JobStatus.REQUESTED]
    assert "flyball.yaml has changed since" in found["j-0001"].error
    assert (own.id, done.subject) == ("j-0002", "job:j-0003"), "what a policy asked for stays"


def test_a_model_that_was_judged_beside_a_champion_of_the_past_is_judged_again_beside_the_present_one(tmp_path: Path) -> None:
    beside: list[str | None] = []
    first = ["u-earlier"]

    def judged(request: StepRequest, tell: object) -> list[StepResult]:
        champion = request.champion.unit.id if request.champion else None
        beside.append(first.pop() if champion and first else champion)
        told = StepResult(step="evaluate", key="k", values={"champion": beside[-1]}, seconds=0.0)
        return [told, *project.workshop.run(request, tell)]

    executor = MemoryExecutor(judged)
    project = Project(tmp_path, spec_of(AT_ONCE), wrap=lambda ports: ports._replace(executor=executor))
    project.first_champion()
    present = project.champion()
    assert present is not None
    assert beside == [None]
    commands.order(project.door, "run", "user:me", "")
    for _ in range(8):
        project.engine.tick()
    job = project.door.all("job", Job)[-1]
    assert beside == [None, "u-earlier", present.unit]
    assert (job.status, job.attempt, executor.launches) == (JobStatus.REGISTERED, 1, 3)
    assert ("plain", f"job {job.id}: the champion has changed since its model was judged; it is judged again") in project.said
    gates = [made for made in decisions.recorded(project.door) if made.room == "gates"]
    assert len(gates) == 2, "what was judged beside another was decided on by nobody"
    project.holds()
