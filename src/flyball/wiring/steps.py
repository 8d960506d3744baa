"""The steps of one job, in a process of their own."""

import traceback
from pathlib import Path

from flyball.adapters.executor import JobDirectory, JobFiles
from flyball.errors import FlyballError, TrainingError
from flyball.wiring.environment import quiet_libraries, secret_of


def work_on(job_dir: Path) -> int:
    """The exit code. Asks no flyball.yaml: the request has the one that the controller has read, and the present one may be half written."""
    quiet_libraries()
    from flyball.adapters.steps import run_steps

    job = JobDirectory(job_dir)
    request = job.begin()
    try:
        job.finish(run_steps(request, job.progress, secret_of))
    except (FlyballError, SystemExit) as ended:
        error = (
            ended
            if isinstance(ended, FlyballError)
            else TrainingError("the project's code ended the process: SystemExit", detail=str(ended))
        )
        traceback.print_exception(ended)  # into the job's log
        job.fail(*_told_of(error, job_dir))
        return error.exit_code
    return 0


def _told_of(error: FlyballError, job_dir: Path) -> tuple[str, str]:
    """(for the ledger, for the terminal): what foreign code said itself may be private, so the ledger only says where to read it."""
    if not error.detail:
        return error.message, ""
    return f"{error.message.rstrip('.')}. What it said, and the trace: {JobFiles(job_dir).log_name}", error.detail
