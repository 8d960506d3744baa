"""Runs a job's steps at once, in this process: for examples and simulations."""

from collections.abc import Callable, Sequence

from flyball.control.ports import JobReport, StepRequest
from flyball.errors import FlyballError
from flyball.records.jobs import Progress, StepResult

Run = Callable[[StepRequest, Callable[[Progress], None]], Sequence[StepResult]]
"""Does the steps, telling its progress; raises a FlyballError when the user must act."""


class MemoryExecutor:
    """`launch` returns when the job is done. `lost_launches` names jobs whose next launch is lost, as by a kill."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._reports: dict[str, JobReport] = {}
        self.lost_launches: set[str] = set()
        self.launches = 0

    def launch(self, request: StepRequest) -> None:
        job_id = request.job.id
        if self.observe(job_id).state in ("running", "done"):
            return
        self.launches += 1
        if job_id in self.lost_launches:
            self.lost_launches.discard(job_id)
            self._reports[job_id] = JobReport("absent", (), (), "", job=request.job)
            return
        lines: list[Progress] = []
        self._reports[job_id] = JobReport("running", (), (), "", job=request.job)
        try:
            results = tuple(self._run(request, lines.append))
        except FlyballError as error:
            self._reports[job_id] = JobReport("failed", (), tuple(lines), error.message, error.detail, request.job)
        else:
            self._reports[job_id] = JobReport("done", results, tuple(lines), "", job=request.job)

    def observe(self, job_id: str) -> JobReport:
        return self._reports.get(job_id, JobReport("new", (), (), ""))

    def cancel(self, job_id: str) -> None:
        if self.observe(job_id).state == "running":
            self._reports.pop(job_id)

    def forget(self, job_id: str) -> None:
        if (report := self.observe(job_id)).state == "done":
            self._reports[job_id] = JobReport("absent", (), (), "", job=report.job)

    def set_aside(self, job_id: str) -> None:
        self._reports.pop(job_id, None)

    def tidy(self) -> None:
        """Nothing lies on a disk."""
