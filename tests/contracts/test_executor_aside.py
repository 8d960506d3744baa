"""What lies under a job's id and is another job's: a restored ledger counts from where its backup was."""

from pathlib import Path

from test_executor import in_memory, process_executor, request

from flyball.adapters.executor import JobDirectory, JobFiles, MemoryExecutor


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


def test_in_memory_too(tmp_path: Path) -> None:
    executor, asked = MemoryExecutor(in_memory), request(tmp_path)
    executor.launch(asked)
    assert (executor.observe("j-0001").state, executor.observe("j-0001").job) == ("done", asked.job)
    executor.set_aside("j-0001")
    assert (executor.observe("j-0001").state, executor.observe("j-0001").job) == ("new", None)
