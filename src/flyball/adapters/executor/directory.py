"""The child's side of a job's directory (its files: see `files.py`)."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from flyball.adapters.durable import replace_file
from flyball.adapters.executor.files import JobFiles
from flyball.control.ports import StepRequest
from flyball.errors import StoreUnavailable
from flyball.records import codec
from flyball.records.jobs import Progress, StepResult


class JobDirectory:
    """What a child tells: first `begin`, last `finish` or `fail`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self) -> StepRequest:
        """Say who runs, close a line that a killed predecessor left torn, and answer with what to do."""
        JobFiles(self.path).write_child(psutil.Process())
        for name in ("progress.jsonl", "results.jsonl"):
            with (self.path / name).open("ab+") as file:
                if file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
                    file.write(b"\n")
        return JobFiles(self.path).request()

    def progress(self, line: Progress) -> None:
        self._append("progress.jsonl", line)

    def step_done(self, result: StepResult) -> None:
        self._append("results.jsonl", result)

    def finish(self, results: Sequence[StepResult]) -> None:
        replace_file(self.path / "result.json", codec.encode(tuple(results)))

    def fail(self, words: str, detail: str = "") -> None:
        """`words` go into the ledger; `detail` stays here, for a terminal."""
        replace_file(self.path / "error.json", codec.encode({"words": words, "detail": detail}))

    def _append(self, name: str, record: Any) -> None:
        # One write a line: a kill leaves at most one torn line, which is skipped.
        descriptor = os.open(self.path / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, codec.encode(record) + b"\n")
        except OSError as error:
            raise StoreUnavailable(f"{self.path / name}: {error.strerror or error}") from error
        finally:
            os.close(descriptor)
