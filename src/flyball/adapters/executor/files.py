"""`DIR/jobs/<id>/`: all that a job's child and its watchers know of one another.

request.json     what to do (StepRequest); written before the launch
lock             flock held by the child, and by whatever it forks, for life
child.json       the process, and when it was started (KnownProcess)
progress.jsonl   one Progress a line
results.jsonl    one StepResult a line, as each step is done
result.json      all StepResults, renamed into place: done
error.json       {"words", "detail"}: failed; the detail is what foreign code said, and stays here
recalled.json    empty: a person ended everything, this child with it
log              stdout and stderr of the child
"""

from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import psutil

from flyball.adapters.durable import replace_file
from flyball.adapters.known_process import KnownProcess, known
from flyball.control.ports import StepRequest
from flyball.errors import StoreUnavailable
from flyball.records import codec
from flyball.records.jobs import Job, Progress, StepResult
from flyball.records.routing import ServedUnit
from flyball.records.tournaments import Tournament
from flyball.spec import ProjectSpec

T = TypeVar("T")

STATE = ".flyball"
RECALLED = "recalled.json"


class _Asked(msgspec.Struct):
    """Of a request."""

    job: Job


def asked_in(path: Path) -> Job | None:
    """The job whose directory it is, as it was launched last; None: none was."""
    found = _read(path / "request.json", _Asked)
    return None if found is None else found.job


class JobFiles:
    """The watchers' side: writes the request, reads what the child told."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_request(self, request: StepRequest) -> None:
        data = codec.encode(
            {
                "job": request.job,
                "spec": request.spec.model_dump(mode="json", by_alias=True),
                "project_dir": str(request.project_dir.resolve()),
                "state_dir": str(request.state_dir.resolve()),
                "champion": request.champion,
                "earlier": request.earlier,
                "tried": request.tried,
                "schema_file": str(request.schema_file.resolve()) if request.schema_file else None,
                "waits": request.waits,
            }
        )
        replace_file(self.path / "request.json", data)

    def request(self) -> StepRequest:
        """Raises StoreUnavailable when there is none, or it cannot be read."""
        try:
            plain = codec.decode((self.path / "request.json").read_bytes(), dict[str, Any])
            schema_file, waits = plain.get("schema_file"), plain.get("waits", False)  # an earlier release's request has none
            return StepRequest(
                job=codec.revive(plain["job"], Job),
                spec=ProjectSpec.model_validate_json(codec.encode(plain["spec"])),
                project_dir=Path(plain["project_dir"]),
                state_dir=Path(plain["state_dir"]),
                champion=codec.revive(plain["champion"], ServedUnit) if plain["champion"] else None,
                earlier=codec.revive(plain["earlier"], tuple[ServedUnit, ...]),
                tried=codec.revive(plain["tried"], tuple[Tournament, ...]),
                schema_file=Path(schema_file) if schema_file else None,
                waits=waits,
            )
        except (OSError, ValueError, KeyError) as error:
            raise StoreUnavailable(f"{self.path / 'request.json'} cannot be read: {error}") from error

    def write_child(self, process: psutil.Process) -> None:
        found = known(process.pid)
        if found is not None:  # else it has ended already
            replace_file(self.path / "child.json", codec.encode(found))

    def child(self) -> KnownProcess | None:
        return self._read("child.json", KnownProcess)

    def results(self) -> tuple[StepResult, ...] | None:
        """None: not done."""
        return self._read("result.json", tuple[StepResult, ...])

    def results_so_far(self) -> tuple[StepResult, ...]:
        """The newest of each step, in order of their first appearance: a child that was started again tells its steps again."""
        return tuple({result.step: result for result in self._lines("results.jsonl", StepResult)}.values())

    def progress_so_far(self) -> tuple[Progress, ...]:
        return tuple(self._lines("progress.jsonl", Progress))

    def error(self) -> str | None:
        """None: not failed."""
        found = self._read("error.json", dict[str, str])
        return None if found is None else found.get("words", "")

    def detail(self) -> str:
        """What foreign code said of the failure; empty: nothing, or not failed."""
        return (self._read("error.json", dict[str, str]) or {}).get("detail", "")

    @property
    def log_name(self) -> str:
        """The log as a person at the project's directory would type it."""
        parts = self.path.parts
        return str(Path(*parts[parts.index(STATE) :] if STATE in parts else parts) / "log")

    def forget(self, told: Literal["error", "result", "recalled"]) -> None:
        (self.path / f"{told}.json").unlink(missing_ok=True)

    def log_tail(self, size_bytes: int = 2000) -> str:
        """The end of what the child printed."""
        try:
            return (self.path / "log").read_bytes()[-size_bytes:].decode(errors="replace").strip()
        except OSError:
            return ""

    def _read(self, name: str, kind: type[T]) -> T | None:
        return _read(self.path / name, kind)

    def _lines(self, name: str, kind: type[T]) -> list[T]:
        try:
            data = (self.path / name).read_bytes()
        except OSError:
            return []
        found = []
        for line in data.split(b"\n"):
            try:
                found.append(codec.decode(line, kind))
            except ValueError:
                continue  # torn by a kill, still being written, or blank
        return found


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return codec.decode(path.read_bytes(), kind)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreUnavailable(f"{path} cannot be read: {error}") from error
