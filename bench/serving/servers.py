"""A server to be measured: how it is started, asked and read. Floor, ceilings and Flyball stand here; other projects' servers in `peers.py`."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bench.serving.pipeline import Row, Workspace

APPS = Path(__file__).parent / "apps"
REPOSITORY = Path(__file__).parents[2]


class Stage(NamedTuple):
    """Where one server plays."""

    directory: Path
    """Its own, fresh."""
    ports: Sequence[int]
    """Free ones; the first is asked."""
    workspace: Workspace
    environments: Path | None
    """`venvs` of the bench root: one environment for each peer."""

    def python(self, environment: str) -> str:
        return self.tool(environment, "python")

    def tool(self, environment: str, name: str) -> str:
        if self.environments is None:
            raise FileNotFoundError("no bench root was given")
        return str(self.environments / environment / "bin" / name)


class Scored(NamedTuple):
    """One row's answer."""

    score: float
    by: str = "champion"
    """Which model's number it must be."""


Commands = Callable[[Stage], Sequence[Sequence[str]]]


@dataclass(frozen=True, kw_only=True)
class Server:
    name: str
    kind: str
    """`floor`, `ceiling`, `by hand`, `flyball` or `peer`."""
    commands: Commands
    """One a process; more than one share the socket that they inherit as descriptor (`shares_socket`)."""
    environment: str | None = None
    """Of the bench root; None: Flyball's own."""
    path: str = "/predict"
    body: Callable[[Sequence[Row]], Any] = lambda rows: {"rows": list(rows)}
    read: Callable[[Any], Sequence[Scored]] | None = lambda answer: [Scored(score) for score in answer["predictions"]]
    """From the decoded answer; None: it echoes."""
    headers: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Stage], None] = lambda stage: None  # noqa: ARG005 - nothing to lay out
    ready: Callable[[Stage], bool] = lambda stage: True  # noqa: ARG005 - its first answer is all there is to wait for
    prove: Callable[[Stage], None] = lambda stage: None  # noqa: ARG005 - nothing is claimed of it
    """After the load: raises RuntimeError when what was measured was not what its name says."""
    variables: Mapping[str, str] = field(default_factory=dict)
    shares_socket: bool = False
    start_seconds: float = 60.0

    def missing(self, root: Path | None) -> str:
        """Why it cannot run here; '' if it can."""
        if self.environment is None:
            return ""
        if root is None:
            return "no --root was given"
        python = root / "venvs" / self.environment / "bin" / "python"
        return "" if python.exists() else f"{python} does not exist"


def own_variables() -> dict[str, str]:
    """For processes that run in Flyball's environment: its sources come from this checkout."""
    return {"PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])}


def _uvicorn(app: str, *more: str) -> Commands:
    """As the gateway runs it: uvloop, httptools, no access log."""
    fixed = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning", "--lifespan", "off"]
    return lambda stage: [
        [sys.executable, "-m", "uvicorn", "--app-dir", str(APPS), app, "--port", str(stage.ports[0]), *fixed, *more]
    ]


def _granian(app: str) -> Commands:
    fixed = ["--interface", "asginl", "--workers", "1", "--no-ws", "--log-level", "warning", "--loop", "uvloop"]
    return lambda stage: [
        [
            stage.tool("base", "granian"),
            *fixed,
            "--host",
            "127.0.0.1",
            "--port",
            str(stage.ports[0]),
            "--working-dir",
            str(APPS),
            app,
        ]
    ]


def _fastapi(*more: str) -> Commands:
    return lambda stage: [
        [stage.tool("fastapi", "uvicorn"), "--app-dir", str(APPS), "by_hand:app", "--port", str(stage.ports[0]), *more]
    ]


FLOORS = (
    Server(name="floor-uvicorn", kind="floor", commands=_uvicorn("echo:app"), read=None),
    Server(name="floor-granian", kind="floor", commands=_granian("echo:app"), read=None, environment="base"),
)

CEILINGS = (
    Server(name="ceiling-uvicorn", kind="ceiling", commands=_uvicorn("ceiling:app")),
    Server(name="ceiling-granian", kind="ceiling", commands=_granian("ceiling:app"), environment="base"),
)

CEILING_OF_TWO = Server(name="ceiling-uvicorn-w2", kind="ceiling", commands=_uvicorn("ceiling:app", "--workers", "2"))
"""How much a second process adds on this machine, with the client beside it: what two gateway workers are held against."""

BY_HAND = (
    Server(name="fastapi-onnx", kind="by hand", commands=_fastapi(), environment="fastapi"),
    Server(
        name="fastapi-onnx-tuned", kind="by hand", commands=_fastapi("--no-access-log"), environment="fastapi", variables={"TUNED": "1"}
    ),
)  # fmt: skip
