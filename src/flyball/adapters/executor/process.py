"""Runs a job's steps in a detached child that outlives this process."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import psutil

from flyball.adapters.clock import elapsed_seconds
from flyball.adapters.durable import PRIVATE_UMASK, replace_file
from flyball.adapters.executor.directory import JobDirectory
from flyball.adapters.executor.files import RECALLED, JobFiles, asked_in
from flyball.adapters.giving_way import give_way
from flyball.adapters.kept_results import remove_old, shorten_logs
from flyball.adapters.known_process import KnownProcess
from flyball.control.ports import JobReport, StepRequest
from flyball.errors import NotFound, StoreUnavailable
from flyball.records import codec
from flyball.records.jobs import WAITING, Progress
from flyball.spec.fields import format_duration

END_SECONDS = 5.0
"""A killed process is gone within milliseconds; longer means that it hangs in the kernel, and its lock with it."""
STEP_CHILD = (sys.executable, "-P", "-m", "flyball", "step-child")


def nobody() -> int:
    return 0


class ProcessExecutor:
    """`command` and the job's directory are the child's arguments. `now` and `elapsed` are real time: a time limit is for real work. By the first it is
    measured where a child's own start is known by the wall clock alone.

    `serving`: how many processes answer requests on this machine when a child is started, which leaves them their cores.
    """

    def __init__(
        self,
        state_dir: Path,
        now: Callable[[], datetime],
        command: Sequence[str] = STEP_CHILD,
        serving: Callable[[], int] = nobody,
        elapsed: Callable[[], float] = elapsed_seconds,
    ) -> None:
        self._jobs = state_dir / "jobs"
        self._now, self._elapsed = now, elapsed
        self._serving = serving
        self._command = tuple(command)
        self._children: dict[str, int] = {}
        """Process ids of children of this very process: only their parent can reap them."""
        self._exits: dict[str, int] = {}
        """Exit codes of those that ended by themselves; who was killed has none."""
        self._signals: dict[str, int] = {}
        """Signals that ended others."""

    def launch(self, request: StepRequest) -> None:
        job = self._directory(request.job.id)
        if job.results() is not None:
            return
        try:
            job.path.mkdir(parents=True, exist_ok=True)
            lock = _take(job.path / "lock")
            if lock is None and job.error() is not None:
                self.cancel(request.job.id)  # it has told that it failed: only the end of its process is missing
                lock = _take(job.path / "lock")
        except OSError as error:
            raise StoreUnavailable(f"{job.path}: {error.strerror or error}") from error
        if lock is None:
            return  # a child lives
        try:
            job.forget("error")
            job.forget("recalled")
            self._exits.pop(request.job.id, None)
            self._signals.pop(request.job.id, None)
            job.write_request(request)
            self._start(request, job, lock)
        except OSError as error:
            raise StoreUnavailable(f"{job.path}: {error.strerror or error}") from error
        finally:
            os.close(lock)  # the child has it now: the lock is of the open file, which it inherited

    def observe(self, job_id: str) -> JobReport:
        job = self._directory(job_id)
        report = self._look(job_id, job)
        return report._replace(job=asked_in(job.path), recalled=report.state == "absent" and (job.path / RECALLED).exists())

    def _look(self, job_id: str, job: JobFiles) -> JobReport:
        self._reap(job_id)
        results, error = job.results(), job.error()
        if results is not None:
            return JobReport("done", results, job.progress_so_far(), "")
        if error is None and _held(job.path / "lock"):
            error = self._beyond_limit(job_id, job)
            if error is None:
                return JobReport("running", job.results_so_far(), job.progress_so_far(), "")
        if (results := job.results()) is not None:  # it finished between the two looks
            return JobReport("done", results, job.progress_so_far(), "")
        if error is None:
            error = job.error() or self._without_a_word(job_id, job)
        state = "failed" if error is not None else "absent" if (job.path / "request.json").exists() else "new"
        told = error or (self._killed(job_id) if state == "absent" else "")
        return JobReport(state, job.results_so_far(), job.progress_so_far(), told, job.detail())

    def cancel(self, job_id: str) -> None:
        job = self._directory(job_id)
        child = job.child()
        # Who does not hold the lock has ended, or works for the project that this one is a copy of.
        if child is not None and _held(job.path / "lock"):
            _end(child)
        pause, deadline = threading.Event(), time.monotonic() + END_SECONDS
        while _held(job.path / "lock"):
            self._reap(job_id)
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"job {job_id} does not end", next_step=f"end process {child.pid if child else '?'} by hand"
                )
            pause.wait(0.02)
        self._reap(job_id)
        self._signals.pop(job_id, None)  # it was ours

    def forget(self, job_id: str) -> None:
        job = self._directory(job_id)
        if job.results() is None:
            return
        self.cancel(job_id)  # it has told its result: only the end of its process may be missing
        self._exits.pop(job_id, None)  # else it would have ended without a word
        job.forget("result")

    def set_aside(self, job_id: str) -> None:
        job = self._directory(job_id)
        if not job.path.exists():
            return
        self.cancel(job_id)
        self._exits.pop(job_id, None)
        places = (self._jobs / f"{job_id}-aside-{number}" for number in count(1))
        try:
            job.path.rename(next(place for place in places if not place.exists()))
        except OSError as error:
            raise StoreUnavailable(f"{job.path}: {error.strerror or error}") from error

    def tidy(self) -> None:
        with suppress(OSError, StoreUnavailable):  # the next one comes after the next job
            if remove_old(self._jobs.with_name("cache"), self._now().timestamp()):
                shorten_logs(self._jobs)

    def cancel_all(self) -> bool:
        """End every child of every job; idempotent. Whether there was one."""
        found = [lock.parent.name for lock in sorted(self._jobs.glob("*/lock")) if _held(lock)]
        for job_id in found:
            with suppress(StoreUnavailable):  # on a full disk it counts as a death, and is ended all the same
                replace_file(self._directory(job_id).path / RECALLED, codec.encode({}))
            self.cancel(job_id)
        return bool(found)

    def _start(self, request: StepRequest, job: JobFiles, lock: int) -> None:
        with (job.path / "log").open("ab") as log:
            process = subprocess.Popen(
                [*self._command, str(job.path)],
                cwd=request.project_dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=PRIVATE_UMASK,
                pass_fds=(lock,),
            )
        process.returncode = 0  # detached: it may outlive this object, and `_reap` waits for it
        self._children[request.job.id] = process.pid
        with suppress(psutil.Error):  # it has ended already; what it left says how
            child = psutil.Process(process.pid)
            give_way(child, self._serving())  # at once: its threads inherit what they may use
            job.write_child(child)

    def _beyond_limit(self, job_id: str, job: JobFiles) -> str | None:
        """Ends a child that has run for too long; what to tell the user, None: it may go on."""
        child = job.child()
        if child is None:
            return None
        limit, seconds = job.request().spec.train.time_limit, child.age_seconds(self._now().timestamp(), self._elapsed())
        if seconds <= limit.total_seconds() or seconds <= _allowed_seconds(limit, progress := job.progress_so_far()):
            return None
        self.cancel(job_id)
        if job.results() is not None:
            return None
        ran = format_duration(timedelta(seconds=round(seconds)))
        waited = ", and it waited as long for another run that does the same" if _waits(progress) else ""
        words = f"The run was ended after {ran}: train.time_limit is {format_duration(limit)}{waited}. Next: raise it in flyball.yaml, or train on less."
        told = JobDirectory(job.path)
        if progress:
            worked = round(max(seconds - _waited_seconds(progress), 0.0), 3)
            told.progress(Progress(step=progress[-1].step, status="failed", words=words, seconds=worked))
        told.fail(words)
        return words

    def _without_a_word(self, job_id: str, job: JobFiles) -> str | None:
        """Who ended by itself and left neither a result nor an error (`os._exit` in the user's code, say) would do so again. None: killed, or not ours to know."""
        code = self._exits.get(job_id)
        if code is None:
            return None
        words = f"The run's process ended by itself with exit code {code} and left no result. Next: look into {job.log_name}"
        JobDirectory(job.path).fail(words, job.log_tail(500))
        return words

    def _killed(self, job_id: str) -> str:
        """By what, in words; empty: nobody knows, or it was us."""
        number = self._signals.get(job_id)
        if number is None:
            return ""
        why = ", as a machine does that runs out of memory" if number == signal.SIGKILL else ""
        return f"ended by signal {number}{why}"

    def _reap(self, job_id: str) -> None:
        pid = self._children.get(job_id)
        if pid is None:
            return
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
            ended = found == pid
            if ended and os.WIFEXITED(status):
                self._exits[job_id] = os.WEXITSTATUS(status)
            elif ended and os.WIFSIGNALED(status):
                self._signals[job_id] = os.WTERMSIG(status)
        except ChildProcessError:
            ended = True
        if ended:
            del self._children[job_id]

    def _directory(self, job_id: str) -> JobFiles:
        if not job_id or not all(letter.isalnum() or letter in "-_" for letter in job_id):
            raise NotFound(f"no job has the id {job_id!r}")
        return JobFiles(self._jobs / job_id)


def _allowed_seconds(limit: timedelta, progress: Sequence[Progress]) -> float:
    """Its own limit and what it has waited for other runs that did the same step. While it waits, once more its limit: the other has no more time than that,
    unless it hangs where nobody looks at it any more."""
    return _waited_seconds(progress) + limit.total_seconds() * (2 if _waits(progress) else 1)


def _waited_seconds(progress: Sequence[Progress]) -> float:
    return sum(line.waited_seconds for line in progress)


def _waits(progress: Sequence[Progress]) -> bool:
    return bool(progress) and progress[-1].status == WAITING


def _take(path: Path) -> int | None:
    """The lock, or None when a living child holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _end(child: KnownProcess) -> None:
    """SIGKILL at once: the steps survive it by design, and a trainer inside native code hears nothing else."""
    if not child.is_same and psutil.pid_exists(child.pid):
        return  # the number went to another process
    try:
        process = psutil.Process(child.pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        # It is gone; what it forked may live on in its group, whose number nobody else gets before that is gone, too.
        family = []
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    for member in family:
        with suppress(psutil.Error):
            member.kill()
