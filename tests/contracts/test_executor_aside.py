"""What lies under a job's id and is another job's: a restored ledger counts from where its backup was."""

import os
from pathlib import Path

from test_executor import in_memory, process_executor, request

from flyball.adapters.executor import JobDirectory, JobFiles, MemoryExecutor
from flyball.adapters.kept_results import KEPT, LOG_BYTES


def test_a_job_says_whose_it_is_and_set_aside_it_leaves_its_id_new(tmp_path: Path) -> None:
    asked = request(tmp_path, history="60d")
    job = tmp_path / ".flyball" / "jobs" / "j-0001"
    for number in (1, 2):
        executor = process_executor(tmp_path)
        job.mkdir(parents=True)
        JobFiles(job).write_request(asked)
        JobDirectory(job).fail("the old job's error")
        assert (executor.observe("j-0001").state, executor.observe("j-0001").job) == ("failed", asked.job)
        for _ in range(2):
            executor.set_aside("j-0001")
        assert (executor.observe("j-0001").state, executor.observe("j-0001").job) == ("new", None)
        assert (job.parent / f"j-0001-aside-{number}" / "error.json").exists()


def test_tidied_up_a_job_that_is_over_tells_what_it_told(tmp_path: Path) -> None:
    executor, asked = process_executor(tmp_path), request(tmp_path)
    job, cache = tmp_path / ".flyball" / "jobs" / "j-0001", tmp_path / ".flyball" / "cache"
    job.mkdir(parents=True)
    JobFiles(job).write_request(asked)
    JobDirectory(job).fail("what the user reads")
    (job / "log").write_bytes(b"x" * 5 * LOG_BYTES)
    for number in range(KEPT + 2):
        (cache / f"validate-{number}").mkdir(parents=True)
        os.utime(cache / f"validate-{number}", (number, number))
    before = executor.observe("j-0001")
    for _ in range(2):
        executor.tidy()
    assert executor.observe("j-0001") == before
    assert sorted(each.name for each in cache.iterdir()) == [f"validate-{number}" for number in range(2, KEPT + 2)]
    assert (job / "log").stat().st_size == LOG_BYTES


def test_in_memory_too(tmp_path: Path) -> None:
    executor, asked = MemoryExecutor(in_memory), request(tmp_path)
    executor.launch(asked)
    assert (executor.observe("j-0001").state, executor.observe("j-0001").job) == ("done", asked.job)
    executor.set_aside("j-0001")
    assert (executor.observe("j-0001").state, executor.observe("j-0001").job) == ("new", None)
