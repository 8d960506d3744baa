"""A server while it runs: started, asked, checked, weighed, ended with all its children."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from bench.ports import free_ports
from bench.serving.pipeline import TOLERANCE, Row, Workspace
from bench.serving.servers import APPS, Server, Stage
from flyball.adapters.known_process import known

STOP_SECONDS = 10.0
LOOK_SECONDS = 0.02
"""Between two tries while a server starts: the resolution of its start."""


class Place(NamedTuple):
    """What all servers of a run share."""

    workspace: Workspace
    root: Path | None
    """The bench root, with an environment for each peer; None: Flyball, floor and ceiling only."""


class Reply(NamedTuple):
    status: int
    body: bytes


class Running:
    """One started server."""

    def __init__(self, server: Server, stage: Stage, processes: Sequence[subprocess.Popen[bytes]], mark: str) -> None:
        self.server = server
        self.stage = stage
        self.port = stage.ports[0]
        self.headers = {"Content-Type": "application/json", **server.headers}
        self.first_answer_seconds = float("nan")
        """From the start of the first process."""
        self._processes = processes
        self._mark = mark

    def at(self, path: str) -> "Running":
        """The same server, asked elsewhere."""
        return Running(replace(self.server, path=path), self.stage, self._processes, self._mark)

    def body(self, rows: Sequence[Row]) -> bytes:
        return json.dumps(self.server.body(rows), separators=(",", ":")).encode()

    def connect(self, timeout: float = 60.0) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(
        self,
        body: bytes,
        connection: http.client.HTTPConnection | None = None,
        *,
        headers: dict[str, str] | None = None,
        path: str | None = None,
    ) -> Reply:
        """Over `connection`, or one of its own. Raises OSError, HTTPException."""
        used = connection or self.connect()
        try:
            used.request("POST", path or self.server.path, body, self.headers if headers is None else headers)
            answer = used.getresponse()
            return Reply(answer.status, answer.read())
        finally:
            if connection is None:
                used.close()

    def tree(self) -> list[psutil.Process]:
        """Its processes: children of children, and those that left the family but still carry its mark."""
        found: dict[int, psutil.Process] = {}
        for process in self._processes:
            with contextlib.suppress(psutil.Error):
                parent = psutil.Process(process.pid)
                found |= {each.pid: each for each in (parent, *parent.children(recursive=True))}
        for each in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if each.environ().get("BENCH_MARK") == self._mark:
                    found[each.pid] = each
        return [each for each in found.values() if (process := known(each.pid)) and process.lives]

    def memory_mb(self) -> float:
        """Of the tree as if it were alone: what each process has for itself, and once what they share. (The proportional set size of a file's pages
        falls with every stranger that maps the same file: this process has numpy and onnxruntime, too, and took a tenth off its neighbours.)"""
        total, files = 0, dict[str, int]()
        for each in self.tree():
            with contextlib.suppress(psutil.Error):
                for mapped in each.memory_maps():
                    if mapped.path.startswith("/"):
                        total += mapped.private_dirty
                        files[mapped.path] = max(files.get(mapped.path, 0), mapped.rss - mapped.private_dirty)
                    else:
                        total += mapped.pss  # nobody but parent and child shares such pages
        return (total + sum(files.values())) / 1024**2

    def cpu_seconds(self, tree: Sequence[psutil.Process]) -> float:
        total = 0.0
        for each in tree:
            with contextlib.suppress(psutil.Error):
                times = each.cpu_times()
                total += times.user + times.system
        return total

    def alive(self) -> bool:
        return all(process.poll() is None for process in self._processes)

    def log(self) -> str:
        return (self.stage.directory / "log").read_text(errors="replace")[-3000:]

    def check(self, workspace: Workspace) -> None:
        """Right numbers one at a time, many at a time, and in batches; raises RuntimeError. A server that is wrong is not measured."""
        if self.server.read is None:
            return
        asked = [(at, 1) for at in range(160)] + [(0, 100), (500, 100)]
        for at, n in asked[:5]:
            self._check(workspace, at, n)
        with ThreadPoolExecutor(16) as pool:
            for done in [pool.submit(self._check, workspace, at, n) for at, n in asked]:
                done.result()

    def _check(self, workspace: Workspace, at: int, n: int) -> None:
        reply = self.ask(self.body(workspace.rows[at : at + n]))
        if reply.status != 200:
            raise RuntimeError(f"{self.server.name} answers a good request with {reply.status}: {reply.body[:300]!r}")
        off = worst(self.server, json.loads(reply.body), workspace, range(at, at + n))
        if off > TOLERANCE:
            raise RuntimeError(f"{self.server.name} is wrong by {off:g} in rows {at} to {at + n - 1}")

    def stop(self) -> None:
        tree = self.tree()
        for process in self._processes:
            process.terminate()
        until = time.monotonic() + STOP_SECONDS
        while time.monotonic() < until and (left := self.tree()):
            tree = left
            time.sleep(0.1)
        for each in {*tree, *self.tree()}:
            with contextlib.suppress(psutil.Error):
                each.kill()
        for process in self._processes:
            process.wait()


def worst(server: Server, answer: Any, workspace: Workspace, rows: Sequence[int]) -> float:
    """Largest distance of an answer to what is right; infinite when it has another number of scores."""
    given = server.read(answer) if server.read else []
    if len(given) != len(rows):
        return float("inf")
    return max(abs(each.score - workspace.right[each.by][row]) for each, row in zip(given, rows, strict=True))


@contextmanager
def running(server: Server, place: Place) -> Iterator[Running]:
    """Started and answering rightly; ended and cleared away afterwards."""
    directory = Path(tempfile.mkdtemp(prefix=f"bench-{server.name}-"))
    try:
        with _started(server, place, directory) as started:
            _await_first_answer(started, place.workspace)
            started.check(place.workspace)
            yield started
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _started(server: Server, place: Place, directory: Path) -> Iterator[Running]:
    ports = free_ports(4)
    stage = Stage(directory, ports, place.workspace, place.root / "venvs" if place.root else None)
    server.prepare(stage)
    mark = directory.name
    shared = socket.create_server(("127.0.0.1", ports[0]), backlog=2048) if server.shares_socket else None
    passed = [shared.fileno()] if shared else []
    processes: list[subprocess.Popen[bytes]] = []
    started = Running(server, stage, processes, mark)
    try:
        with (directory / "log").open("wb") as log:
            for command in server.commands(stage):
                words = [word.format(socket=passed[0]) if passed and word == "{socket}" else word for word in command]
                processes.append(
                    subprocess.Popen(
                        words, cwd=directory, env=_environment(server, stage, mark), stdout=log, stderr=log, pass_fds=passed
                    )
                )
        if shared:
            shared.close()  # the workers have it: with the last of them it must be gone
        yield started
    finally:
        started.stop()


def _environment(server: Server, stage: Stage, mark: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = os.environ.get("PATH", "")
    if server.environment:
        path = os.pathsep.join([str(Path(stage.python(server.environment)).parent), path])
    own = {"PATH": path, "PYTHONPATH": str(APPS), "PYTHONUNBUFFERED": "1", "BENCH_MARK": mark}
    own["ORT_DISABLE_TELEMETRY"] = "1"  # as in the gateway: no server pays here for what onnxruntime reports to its maker
    return {**kept, **own, "WORKSPACE": str(stage.workspace.directory), **server.variables}


def _await_first_answer(started: Running, workspace: Workspace) -> None:
    begun, body, last = time.perf_counter(), started.body(workspace.rows[:1]), "nothing"
    while True:
        if not started.alive():
            raise RuntimeError(f"{started.server.name} ended while it started:\n{started.log()}")
        try:
            reply = started.ask(body)
            last = f"{reply.status} {reply.body[:200]!r}"
            if reply.status == 200:
                break
        except (OSError, http.client.HTTPException) as refused:
            last = repr(refused)
        if time.perf_counter() - begun > started.server.start_seconds:
            raise RuntimeError(
                f"{started.server.name} did not answer within {started.server.start_seconds:g} s: {last}\n{started.log()}"
            )
        time.sleep(LOOK_SECONDS)
    started.first_answer_seconds = time.perf_counter() - begun
    while not started.server.ready(started.stage):
        time.sleep(LOOK_SECONDS)
