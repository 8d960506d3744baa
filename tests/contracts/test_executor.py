"""What the Executor port promises, and what only children of their own can be put through."""

import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from flyball.adapters.clock import elapsed_seconds
from flyball.adapters.executor import JobFiles, MemoryExecutor, ProcessExecutor
from flyball.adapters.known_process import known
from flyball.control.ports import JobReport, StepRequest
from flyball.errors import NotFound, StoreUnavailable, TrainingError
from flyball.records.jobs import Job, JobStatus, Progress, StepResult
from flyball.records.routing import ServedUnit
from flyball.records.signature import Signature
from flyball.records.unit import Format, Unit
from flyball.spec import ProjectSpec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = {
    "project": "shop",
    "model": "shop",
    "task": "binary",
    "train": {"entrypoint": "pipeline:train", "time_limit": "30m", "history": "60d"},
    "data": {
        "source": {"files": "data/*.csv"},
        "features": {"distance": {"type": "number"}, "carrier": {}},
        "time": "at",
        "key": "id",
        "label": "late",
        "label_delay": "1d",
    },
}

CHILD = """
import os, sys, time
from pathlib import Path
from flyball.adapters.executor import JobDirectory
from flyball.errors import TrainingError
from flyball.records.jobs import Progress, StepResult
job = JobDirectory(Path(sys.argv[1]))
request = job.begin()
plan = request.job.overrides
job.progress(Progress(step="train", status="started", fraction=0.5))
job.step_done(StepResult(step="snapshot", key="k", values={"rows": 3}, seconds=0.1))
print("said on stdout", flush=True)
if plan.get("waits"):
    job.progress(Progress(step="train", status="waited", waited_seconds=3600.0))
    job.progress(Progress(step="train", status="waiting"))
    while not (request.project_dir / "free").exists():
        time.sleep(0.01)
    job.progress(Progress(step="train", status="waited", waited_seconds=3600.0))
if plan.get("wait"):
    if plan.get("family") and os.fork() == 0:
        time.sleep(600)
    while not (request.project_dir / "go").exists():
        time.sleep(0.01)
if plan.get("fail"):
    job.fail("the label has a single class")
else:
    job.finish([StepResult(step="snapshot", key="k", values={"rows": 3, "pid": os.getpid()}, seconds=0.1)])
"""


def request(directory: Path, job_id: str = "j-0001", **overrides: object) -> StepRequest:
    job = Job(
        id=job_id, model="shop", status=JobStatus.RUNNING, requested_at=NOW, as_of=NOW, cause="user:me", overrides=dict(overrides)
    )
    return StepRequest(job, ProjectSpec.model_validate_json(json.dumps(SPEC)), directory, directory / ".flyball", None)


def in_memory(asked: StepRequest, tell: Callable[[Progress], None]) -> Sequence[StepResult]:
    tell(Progress(step="train", status="started", fraction=0.5))
    if asked.job.overrides.get("fail"):
        raise TrainingError("the label has a single class")
    return [StepResult(step="snapshot", key="k", values={"rows": 3, "pid": os.getpid()}, seconds=0.1)]


def process_executor(directory: Path, command: Sequence[str] = (sys.executable, "-c", CHILD)) -> ProcessExecutor:
    return ProcessExecutor(directory / ".flyball", lambda: datetime.now(UTC), command)


@pytest.fixture(params=["process", "memory"])
def executor(request: pytest.FixtureRequest, tmp_path: Path) -> ProcessExecutor | MemoryExecutor:
    return process_executor(tmp_path) if request.param == "process" else MemoryExecutor(in_memory)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[ProcessExecutor]:
    made = process_executor(tmp_path)
    yield made
    for job in (tmp_path / ".flyball" / "jobs").glob("*"):
        made.cancel(job.name)


def wait_for(executor: ProcessExecutor | MemoryExecutor, states: set[str], job_id: str = "j-0001") -> JobReport:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        report = executor.observe(job_id)
        if report.state in states:
            return report
        threading.Event().wait(0.01)
    raise AssertionError(executor.observe(job_id))


def wait_for_progress(executor: ProcessExecutor) -> JobReport:
    deadline = time.monotonic() + 20
    while not executor.observe("j-0001").results and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return executor.observe("j-0001")


def test_a_job_is_absent_then_done_with_its_progress_and_results(
    executor: ProcessExecutor | MemoryExecutor, tmp_path: Path
) -> None:
    assert executor.observe("j-0001") == JobReport("new", (), (), "")
    executor.launch(request(tmp_path))
    report = wait_for(executor, {"done"})
    assert [result.step for result in report.results] == ["snapshot"]
    assert report.progress == (Progress(step="train", status="started", fraction=0.5),)
    executor.launch(request(tmp_path))
    assert executor.observe("j-0001") == report  # done once, whoever asks again
    executor.cancel("j-0001")
    assert executor.observe("j-0001") == report


def test_a_result_that_is_forgotten_is_made_again(executor: ProcessExecutor | MemoryExecutor, tmp_path: Path) -> None:
    executor.forget("j-0001")
    assert executor.observe("j-0001").state == "new"
    executor.launch(request(tmp_path))
    wait_for(executor, {"done"})
    for _ in range(2):
        executor.forget("j-0001")
        wait_for(executor, {"absent"})
    executor.launch(request(tmp_path))
    assert [result.step for result in wait_for(executor, {"done"}).results] == ["snapshot"]


def test_a_failed_job_tells_the_user_why_and_may_be_launched_again(
    executor: ProcessExecutor | MemoryExecutor, tmp_path: Path
) -> None:
    executor.launch(request(tmp_path, fail=True))
    report = wait_for(executor, {"failed"})
    assert "the label has a single class" in report.error
    executor.launch(request(tmp_path))
    assert wait_for(executor, {"done"}).error == ""


def test_a_child_is_told_everything_that_the_request_says(tmp_path: Path) -> None:
    unit = Unit(id="u1", model="m", version=1, manifest_digest="d" * 64, threshold=0.4, policy_digest="p")
    signature = Signature(task="regression", columns=(), classes=())
    champion = ServedUnit(unit=unit, package=str(tmp_path / "package"), format=Format.ONNX, signature=signature)
    asked = request(tmp_path, history="60d", parameters={"depth": 3})._replace(
        champion=champion, earlier=(champion, champion), waits=True
    )
    job = JobFiles(tmp_path / "job")
    job.write_request(asked)
    assert job.request() == asked


def test_a_second_launch_does_nothing_while_a_child_lives_also_from_another_process(
    processes: ProcessExecutor, tmp_path: Path
) -> None:
    processes.launch(request(tmp_path, wait=True))
    pid = JobFiles(tmp_path / ".flyball/jobs/j-0001").child()
    for _ in range(3):
        processes.launch(request(tmp_path, wait=True))
        process_executor(tmp_path).launch(request(tmp_path, wait=True))
    assert wait_for_progress(processes).state == "running"
    assert JobFiles(tmp_path / ".flyball/jobs/j-0001").child() == pid
    (tmp_path / "go").touch()
    report = wait_for(processes, {"done"})
    assert pid is not None
    assert report.results[0].values["pid"] == pid.pid
    assert len(report.progress) == 1


def test_a_killed_child_is_absent_and_launched_again_it_goes_on(processes: ProcessExecutor, tmp_path: Path) -> None:
    processes.launch(request(tmp_path, wait=True))
    wait_for_progress(processes)
    job = JobFiles(tmp_path / ".flyball/jobs/j-0001")
    child = job.child()
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    assert wait_for(processes, {"absent"}).results[0].values == {"rows": 3}
    deadline = time.monotonic() + 5
    while not processes.observe("j-0001").error and time.monotonic() < deadline:
        threading.Event().wait(0.01)  # its lock is free a moment before its parent may know how it ended
    assert processes.observe("j-0001").error == "ended by signal 9, as a machine does that runs out of memory"
    with (job.path / "progress.jsonl").open("ab") as file:
        file.write(b'{"step":"tr')  # the line that the kill left torn
    (tmp_path / "go").touch()
    processes.launch(request(tmp_path, wait=True))
    assert [line.status for line in wait_for(processes, {"done"}).progress] == ["started", "started"]


def test_cancel_ends_the_child_and_its_descendants_and_is_idempotent(processes: ProcessExecutor, tmp_path: Path) -> None:
    processes.cancel("j-0001")
    processes.launch(request(tmp_path, wait=True, family=True))
    wait_for_progress(processes)
    child = JobFiles(tmp_path / ".flyball/jobs/j-0001").child()
    assert child is not None
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    assert len(family) >= 1
    processes.cancel("j-0001")
    processes.cancel("j-0001")
    _, alive = psutil.wait_procs(family, timeout=5)
    assert [process for each in alive if (process := known(each.pid)) and process.lives] == []
    assert processes.observe("j-0001").state == "absent"
    assert processes.observe("j-0001").error == ""


def test_the_child_of_a_project_is_not_ended_by_a_copy_of_it(processes: ProcessExecutor, tmp_path: Path) -> None:
    processes.launch(request(tmp_path, wait=True))
    wait_for_progress(processes)
    shutil.copytree(tmp_path / ".flyball", tmp_path / "copy" / ".flyball")
    copy = process_executor(tmp_path / "copy")
    copy.cancel("j-0001")
    assert not copy.cancel_all()
    assert copy.observe("j-0001").state == "absent"
    assert processes.observe("j-0001").state == "running"
    (tmp_path / "go").touch()
    assert wait_for(processes, {"done", "absent"}).state == "done"


def test_what_a_dead_child_forked_is_ended_too(processes: ProcessExecutor, tmp_path: Path) -> None:
    processes.launch(request(tmp_path, wait=True, family=True))
    wait_for_progress(processes)
    child = JobFiles(tmp_path / ".flyball/jobs/j-0001").child()
    assert child is not None
    deadline = time.monotonic() + 10
    while not psutil.Process(child.pid).children() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    os.kill(child.pid, signal.SIGKILL)
    assert processes.observe("j-0001").state == "running"  # the fork holds the lock: a second child must not work beside it
    processes.cancel("j-0001")
    assert processes.observe("j-0001").state == "absent"


def test_a_stranger_with_the_childs_number_is_let_live(processes: ProcessExecutor, tmp_path: Path) -> None:
    job = JobFiles(tmp_path / ".flyball/jobs/j-0001")
    job.path.mkdir(parents=True)
    (job.path / "child.json").write_text(json.dumps({"pid": os.getpid(), "started": 1.0}))
    processes.cancel("j-0001")  # would end this test otherwise


def later_by(late: list[timedelta], directory: Path, clock: timedelta = timedelta(0)) -> ProcessExecutor:
    """`late`: how much more time is to have gone by; `clock`: by how much the wall clock was set since the child began."""

    def now() -> datetime:
        return datetime.now(UTC) + late[0] + clock

    def elapsed() -> float:
        return elapsed_seconds() + late[0].total_seconds()

    return ProcessExecutor(directory / ".flyball", now, (sys.executable, "-c", CHILD), elapsed=elapsed)


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux tells of starts what no clock moves")
@pytest.mark.parametrize("clock", [timedelta(days=-1), timedelta(days=1)])
def test_a_clock_that_is_set_ends_no_run_and_frees_none_of_its_limit(tmp_path: Path, clock: timedelta) -> None:
    late = [timedelta(0)]
    executor = later_by(late, tmp_path, clock)
    executor.launch(request(tmp_path, wait=True))
    assert wait_for_progress(executor).state == "running"
    late[0] = timedelta(minutes=29)
    assert executor.observe("j-0001").state == "running"
    late[0] = timedelta(minutes=31)
    assert executor.observe("j-0001").state == "failed"


def test_a_run_whose_start_is_known_by_the_wall_clock_alone_is_limited_by_that(tmp_path: Path) -> None:
    late = [timedelta(0)]
    executor = later_by(late, tmp_path, timedelta(minutes=31))
    executor.launch(request(tmp_path, wait=True))
    wait_for_progress(executor)
    file = tmp_path / ".flyball/jobs/j-0001/child.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps({"pid": told["pid"], "started": told["started"]}))
    assert executor.observe("j-0001").state == "failed"


def test_a_run_beyond_its_time_limit_is_ended_and_failed_with_both_numbers(tmp_path: Path) -> None:
    late = [timedelta(0)]
    executor = later_by(late, tmp_path)
    executor.launch(request(tmp_path, wait=True))
    assert wait_for_progress(executor).state == "running"
    late[0] = timedelta(minutes=31)
    report = executor.observe("j-0001")
    assert report.state == "failed"
    assert re.search(r"The run was ended after \S+: train\.time_limit is 30m\. Next: raise it in flyball\.yaml", report.error)
    assert (report.progress[-1].status, report.progress[-1].seconds // 60) == ("failed", 31), "what it cost is known"
    assert executor.observe("j-0001") == report


def test_waiting_for_another_run_that_does_the_same_counts_toward_no_limit_but_ends(tmp_path: Path) -> None:
    late = [timedelta(0)]
    executor = later_by(late, tmp_path)
    executor.launch(request(tmp_path, waits=True, wait=True))

    def until(lines: int) -> JobReport:
        deadline = time.monotonic() + 20
        while len(executor.observe("j-0001").progress) < lines and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        return executor.observe("j-0001")

    until(3)
    late[0] = timedelta(hours=1, minutes=59)
    assert executor.observe("j-0001").state == "running", "an hour of earlier waiting, its own limit, and that of the other"
    late[0] = timedelta(0)
    (tmp_path / "free").touch()
    until(4)
    late[0] = timedelta(hours=2, minutes=29)
    assert executor.observe("j-0001").state == "running"
    late[0] = timedelta(hours=2, minutes=31)
    assert executor.observe("j-0001").state == "failed"


def test_a_run_that_waits_for_one_that_never_ends_is_ended_at_twice_its_limit(tmp_path: Path) -> None:
    late = [timedelta(0)]
    executor = later_by(late, tmp_path)
    executor.launch(request(tmp_path, waits=True, wait=True))
    wait_for_progress(executor)
    deadline = time.monotonic() + 20
    while len(executor.observe("j-0001").progress) < 3 and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    late[0] = timedelta(hours=2, minutes=1)
    report = executor.observe("j-0001")
    assert report.state == "failed"
    assert "waited" in report.error


@pytest.mark.parametrize("serving", [0, 1, 64])
def test_a_child_leaves_cores_to_those_who_serve_and_gives_way_to_them(serving: int, tmp_path: Path) -> None:
    executor = ProcessExecutor(
        tmp_path / ".flyball", lambda: datetime.now(UTC), (sys.executable, "-c", CHILD), serving=lambda: serving
    )
    executor.launch(request(tmp_path, wait=True, family=True))
    wait_for_progress(executor)
    told = JobFiles(tmp_path / ".flyball/jobs/j-0001").child()
    assert told is not None
    me, child = psutil.Process(), psutil.Process(told.pid)
    deadline = time.monotonic() + 10
    while not child.children() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    for process in (child, *child.children()):
        assert process.nice() == min(me.nice() + (10 if serving else 0), 19)
        if hasattr(me, "cpu_affinity"):
            cores = me.cpu_affinity()
            assert process.cpu_affinity() == cores[min(serving, len(cores) // 2) :]
    executor.cancel("j-0001")


def test_a_child_that_ends_by_itself_without_a_word_has_failed_and_its_log_says_why(tmp_path: Path) -> None:
    executor = process_executor(tmp_path, (sys.executable, "-c", "import os; os.write(1, b'the last words'); os._exit(3)"))
    executor.launch(request(tmp_path))
    report = wait_for(executor, {"failed", "absent"})
    assert (report.state, report.detail) == ("failed", "the last words")
    assert "ended by itself with exit code 3" in report.error
    assert report.error.endswith("look into .flyball/jobs/j-0001/log")
    assert executor.observe("j-0001") == report
    assert process_executor(tmp_path).observe("j-0001") == report  # also for who takes over


def test_a_child_that_cannot_even_start_is_absent(tmp_path: Path) -> None:
    executor = process_executor(tmp_path)
    with pytest.raises(StoreUnavailable):
        process_executor(tmp_path, ("/no/such/program",)).launch(request(tmp_path, "j-0002"))
    assert executor.observe("j-0002").state == "absent"


def test_an_id_never_leaves_the_directory_of_jobs(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        process_executor(tmp_path).observe("../../etc")


def test_all_children_end_together_and_what_was_done_stays_done(processes: ProcessExecutor, tmp_path: Path) -> None:
    processes.cancel_all()
    processes.launch(request(tmp_path))
    wait_for(processes, {"done"})
    for job_id in ("j-0002", "j-0003"):
        processes.launch(request(tmp_path, job_id, wait=True))
    process_executor(tmp_path).cancel_all()  # as `flyball down` does, from another process
    processes.cancel_all()
    assert [processes.observe(f"j-000{number}").state for number in (1, 2, 3)] == ["done", "absent", "absent"]
