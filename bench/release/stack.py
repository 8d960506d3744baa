"""A project that is really up: supervisor, control, two gateway workers, step children; and the knife for each of them."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import msgspec
import psutil

from bench.ports import free_ports
from flyball.adapters.known_process import KnownProcess, known

PATIENCE_SECONDS = 60.0
"""For a process that was killed to serve again; a machine shared with others takes a multiple of the usual two seconds."""

CHILD_KILLS = 2
"""Of one job: a third death ends it, and then there would be no release to kill anything in. That a third one ends it is the executor's own test."""

SETTINGS = """
release:
  shadow: {at_least: 1s, min_labels: 10}
  steps: [{traffic: 20%, at_least: 1s, min_requests: 5}, {traffic: 60%, at_least: 1s, min_requests: 5}]
  watch: 2s
  margin: 0.9
gates:
  absolute:
    - {metric: roc_auc, at_least: 0.5}
  champion: {metric: roc_auc, margin: 0.5}
  latency_p99_ms: 5000
monitor: {window: 10s, min_rows: 20}
policies:
  - {name: told-often, when: window.predictions > 0, do: notify, cooldown: 5s}
  - {name: retrained-often, when: window.predictions > 0, do: retrain, cooldown: 45s}
"""
"""Everything short, so that many releases pass all their phases; margins wide, so that the kills are all that disturbs them."""


class Kill(msgspec.Struct):
    """One SIGKILL. Times are seconds of the monotonic clock."""

    kind: str
    """`control`, `gateway` or `child`."""
    part: str
    """Of two gateway workers, which."""
    at: float
    recovered_seconds: float | None = None
    """Until the same part served again; None: a step child, whose job goes on by itself."""


class Victim(threading.Thread):
    """Watches a killed part until it serves again."""

    def __init__(self, kill: Kill, serves: Callable[[], bool]) -> None:
        super().__init__(name=f"watch-{kill.part}", daemon=True)
        self.kill = kill
        self._serves = serves
        self.start()

    def run(self) -> None:
        while time.monotonic() < self.kill.at + PATIENCE_SECONDS:
            with suppress(httpx.HTTPError):
                if self._serves():
                    self.kill.recovered_seconds = time.monotonic() - self.kill.at
                    return
            time.sleep(0.05)

    def await_recovery(self) -> None:
        self.join()
        assert self.kill.recovered_seconds is not None, f"{self.kill.part} did not come back in {PATIENCE_SECONDS:.0f} s"


class Stack:
    """One project in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = directory / ".flyball"
        self.port, self.control_port = free_ports(2)
        self.seen: dict[int, float] = {}
        """Every process of ours that was ever seen: pid → start."""
        self.child_kills: dict[str, int] = {}
        """Job → how often its child was killed."""
        self._last_children: dict[str, int] = {}

    def init(self, settings: str = SETTINGS, *, tick: str = "0.2s", workers: int = 2) -> None:
        command = [sys.executable, "-m", "flyball", "init", self.directory.name]
        subprocess.run(command, cwd=self.directory.parent, capture_output=True, timeout=240, check=True)
        path = self.directory / "flyball.yaml"
        text = path.read_text()
        kept = text[: text.index("\ngates:")].replace("label_delay: 14d", "label_delay: 0s")
        serve = f"serve: {{port: {self.port}, control_port: {self.control_port}, workers: {workers}, tick: {tick}}}\n"
        path.write_text(kept + settings + serve)

    def flyball(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command as a person types it. 0: yes, 1: no; anything else is a failure."""
        command = [sys.executable, "-m", "flyball", *arguments, "--project", str(self.directory)]
        return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {(self.state / 'token').read_text().strip()}"}

    def _parts(self) -> dict[str, int]:
        """What can be killed now."""
        self._last_children = self.step_children()
        children = [pid for job, pid in sorted(self._last_children.items()) if self.child_kills.get(job, 0) < CHILD_KILLS]
        return {**self._children(), **({"child": children[0]} if children else {})}

    def step_children(self) -> dict[str, int]:
        """Job → process that works on its steps."""
        found: dict[str, int] = {}
        for path in (self.state / "jobs").glob("*/child.json"):
            with suppress(OSError, ValueError, psutil.Error):
                child = json.loads(path.read_bytes())
                process = psutil.Process(child["pid"])
                if abs(process.create_time() - child["started"]) < 2 and process.status() != psutil.STATUS_ZOMBIE:
                    found[path.parent.name] = child["pid"]
        return found

    def kill(self, part: str) -> Victim:
        """SIGKILL `control`, `gateway-0`, `gateway-1`, or a `child` that works on a job, as soon as there is one."""
        found: dict[str, int] = {}

        def finds() -> bool:
            found.update(self._parts())
            return part in found

        wait_for(finds, f"no {part} to kill")
        before = self.epoch()
        pid = found[part]
        process = known(pid)
        at = _kill(pid)
        if part == "control":
            return Victim(Kill("control", part, at), lambda: self.epoch() > before and self._control_answers())
        if part == "child":
            job = next((job for job, child in self._last_children.items() if child == pid), "")
            self.child_kills[job] = self.child_kills.get(job, 0) + 1
            return Victim(Kill("child", part, at), lambda: has_ended(process))
        return Victim(Kill("gateway", part, at), lambda: self._worker_serves(part, pid))

    def await_child(self, seconds: float) -> bool:
        """Whether there is a step child to kill, or comes to be in so many seconds."""
        deadline = time.monotonic() + seconds
        while "child" not in self._parts():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def epoch(self) -> int:
        with sqlite3.connect(f"file:{self.state / 'flyball.db'}?mode=ro", uri=True, timeout=20) as connection:
            return int(connection.execute("SELECT epoch FROM control").fetchone()[0])

    def note_processes(self) -> None:
        """Remember every process that belongs to this project, to ask at the end whether it is gone."""
        mine = str(self.directory)
        for process in psutil.process_iter(["pid", "cmdline", "create_time"]):
            if any(mine in word for word in process.info["cmdline"] or ()):
                self.seen[process.info["pid"]] = process.info["create_time"]

    def left_over(self) -> list[str]:
        """Processes of ours that still live."""
        self.note_processes()
        found = []
        for pid, started in self.seen.items():
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                if abs(process.create_time() - started) < 0.01 and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{pid}: {' '.join(process.cmdline())[:150]}")
        return found

    def end_by_force(self) -> None:
        """What a failed test has left running."""
        self.note_processes()
        for pid, started in self.seen.items():
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                if abs(process.create_time() - started) < 0.01:
                    process.kill()

    def _children(self) -> dict[str, int]:
        try:
            run = json.loads((self.state / "run" / "supervisor.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return {name: child["pid"] for name, child in run["children"].items() if psutil.pid_exists(child["pid"])}

    def _control_answers(self) -> bool:
        return _says_yes(f"http://127.0.0.1:{self.control_port}/health")

    def _worker_serves(self, worker: str, earlier: int) -> bool:
        with suppress(OSError, ValueError):
            card = json.loads((self.state / "gateways" / f"{worker.removeprefix('gateway-')}.json").read_bytes())
            if card["pid"] != earlier:
                answer = httpx.get(
                    f"http://127.0.0.1:{card['admin_port']}/flyball/served", headers=self.headers(), timeout=2, trust_env=False
                )
                return answer.status_code == 200 and answer.json()["revision"] is not None
        return False


def wait_for(done, words: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Raises AssertionError with `words` when it takes longer."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(httpx.HTTPError):
            if done():
                return
        assert time.monotonic() < deadline, f"{words} in {seconds:.0f} s"
        time.sleep(0.03)


def has_ended(process: KnownProcess | None) -> bool:
    """None: it had ended before it could be looked at."""
    return process is None or not process.lives


def _kill(pid: int) -> float:
    at = time.monotonic()
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return at


def _says_yes(address: str) -> bool:
    try:
        return httpx.get(address, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
