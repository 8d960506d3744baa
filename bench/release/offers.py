"""A shop that is really up, and challengers for it: packages that were made elsewhere, registered as a finished run leaves them.

Only the training is left out: from the registered version on, everything is done by the control process and the gateways that serve a project.
"""

import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import httpx

from bench.release.stack import Stack, wait_for
from flyball.adapters.clock import SystemClock
from flyball.adapters.packages import LocalPackages, make_manifest
from flyball.control import jobs
from flyball.control.world import World, draft, put
from flyball.gateway.units import MODEL_FILES
from flyball.records import codec
from flyball.records.jobs import Job, JobStatus
from flyball.records.unit import Format
from flyball.registry.unit import unit_of
from flyball.spec.load import load_project
from flyball.wiring.environment import quiet_libraries
from flyball.wiring.worlds import Home, say_nothing, world_of

ENDS = ("settled", "rolled_back")


class Shop:
    """A stack and what is offered to it."""

    def __init__(self, stack: Stack) -> None:
        quiet_libraries()
        self.stack = stack
        home = Home(load_project(stack.directory), stack.directory, stack.state, SystemClock())
        self.world: World = world_of(home, say_nothing)
        self._offered = 0
        self._http = httpx.Client(headers=stack.headers(), timeout=5, trust_env=False)

    @property
    def switch(self) -> Path:
        """While it is there, candidates misbehave."""
        return self.stack.directory / "misbehave"

    def estimator(self) -> Any:
        """What the first run has trained."""
        (path,) = (self.stack.state / "cache").glob("train-*/estimator.pkl")
        return cloudpickle.loads(path.read_bytes())

    def champion_model(self) -> bytes:
        """Its ONNX."""
        return (Path(self.routed()["champion"]["package"]) / MODEL_FILES[Format.ONNX]).read_bytes()

    def routed(self) -> dict[str, Any]:
        """The route that is wanted now."""
        with self._reading() as db:
            (value,) = db.execute("SELECT value FROM states WHERE kind = 'routing'").fetchone()
        return dict(json.loads(value)["routes"][0])

    def offer(self, content: bytes, kind: Format) -> str:
        """A new version with this model, as a run that has passed its gates leaves it; the unit's id. Control proposes it at its next tick."""
        self._offered += 1
        package = self.stack.directory.parent / f"offer-{self._offered}"
        shutil.copytree(
            Path(self.routed()["champion"]["package"]), package, ignore=shutil.ignore_patterns("model", "manifest.json")
        )
        (package / MODEL_FILES[kind]).parent.mkdir()
        (package / MODEL_FILES[kind]).write_bytes(content)
        run_key = hashlib.sha256(f"{self._offered} {package}".encode()).hexdigest()
        lineage = json.loads((package / "lineage.json").read_bytes()) | {"run_key": run_key}
        (package / "lineage.json").write_bytes(json.dumps(lineage, sort_keys=True).encode())
        (package / "manifest.json").write_bytes(codec.encode(make_manifest(package, kind.value)))
        return self._register(package)

    def _register(self, package: Path) -> str:
        world, packages = self.world, LocalPackages()
        lineage, manifest = packages.lineage(package), packages.manifest(package)
        now = world.now()
        version = world.ports.registry.register("shop", package, lineage, manifest, {}, now)
        unit = unit_of(version, jobs.threshold_of(world), codec.digest(jobs.policy_plain(world)))
        number, counter = world.number("job")
        job = Job(
            id=f"j-{number:04d}", model="shop", status=JobStatus.REGISTERED, requested_at=now, as_of=now, cause="user:bench",
            spec_digest=world.spec_digest, version=version.number, unit=unit.id, run_key=lineage.run_key,
        )  # fmt: skip
        puts = (*jobs.version_puts(version, unit), counter, put("job", job.id, job))
        world.record(draft(now, "version.registered", f"version:{version.number}", {"unit": unit.id, "job": job.id}, puts))
        return unit.id

    def release(self, unit: str) -> dict[str, Any] | None:
        """The newest release of that challenger."""
        with self._reading() as db:
            found = [json.loads(value) for (value,) in db.execute("SELECT value FROM states WHERE kind = 'release' ORDER BY key")]
        return next((each for each in reversed(found) if each["challenger"] == unit), None)

    def await_phase(
        self, unit: str, *phases: str, step: int | None = None, seconds: float = 60.0, verified: bool = False
    ) -> dict[str, Any]:
        """The release of the unit, as soon as it is in one of these phases."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            release = self.release(unit)
            if release is None or release["phase"] not in phases or (step is not None and release["step"] != step):
                assert release is None or release["phase"] != "rolled_back", f"{unit} never was in {phases}: {release}"
                return False
            if verified and release["verified_at"] is None:
                return False
            found.append(release)
            return True

        wait_for(there, f"{unit} is not in {' or '.join(phases)}", seconds)
        return found[-1]

    def entries(self, *kinds: str) -> list[dict[str, Any]]:
        """Events of these kinds, oldest first."""
        with self._reading() as db:
            rows = db.execute("SELECT at, kind, subject, payload, puts FROM events ORDER BY seq").fetchall()
        return [
            {"at": at, "kind": kind, "subject": subject, "told": json.loads(payload), "puts": json.loads(puts)}
            for at, kind, subject, payload, puts in rows
            if kind in kinds
        ]

    def served(self) -> list[dict[str, Any]]:
        """What each worker that answers says that it serves."""
        told = []
        for card in sorted((self.stack.state / "gateways").glob("*.json")):
            try:
                port = json.loads(card.read_bytes())["admin_port"]
                told.append(self._http.get(f"http://127.0.0.1:{port}/flyball/served").json())
            except (httpx.HTTPError, OSError, ValueError):
                continue
        return told

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(f"file:{self.stack.state / 'flyball.db'}?mode=ro", uri=True, timeout=20)) as connection:
            yield connection


@contextmanager
def shop(settings: str, *, tick: str = "0.2s", workers: int = 2) -> Iterator[Shop]:
    """Initialised, trained once, up; ended and cleared away afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-release-") as name:
        stack = Stack(Path(name) / "shop")
        try:
            stack.init(settings, tick=tick, workers=workers)
            _checked(stack, "run")
            _checked(stack, "up", "--detach")
            stack.note_processes()
            yield Shop(stack)
            stack.flyball("down")
        finally:
            stack.end_by_force()


def _checked(stack: Stack, *arguments: str) -> None:
    done = stack.flyball(*arguments, "--json")
    if done.returncode != 0:
        raise RuntimeError(f"flyball {' '.join(arguments)}: {done.stdout[-500:]}{done.stderr[-1500:]}")
