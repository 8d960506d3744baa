"""Real packages, real gateway processes: what the gateway's scenarios are played with."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cloudpickle
import httpx
import msgspec
import numpy as np
from bench.model import lineage_of

from flyball.capture.framing import unframe
from flyball.records import codec
from flyball.records.background import Background
from flyball.records.captured import Captured
from flyball.records.routing import GatewayReport, Route, RoutingTable, ServedUnit
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Format, Manifest, Unit

OWNER = "owner-token-of-the-tests"
CLIENT = "client-token-of-the-tests"

SIGNATURE = Signature(
    task="binary",
    columns=(
        Column(name="age", type=ColumnType.NUMBER, minimum=0, maximum=150),
        Column(name="income", type=ColumnType.NUMBER, missing=True),
        Column(name="visits", type=ColumnType.INTEGER),
        Column(name="member", type=ColumnType.BOOLEAN),
        Column(name="town", type=ColumnType.CATEGORY, categories=("Oslo", "Rome")),
    ),
    classes=("no", "yes"),
)
NUMERIC = Signature(
    task="binary",
    columns=(Column(name="a", type=ColumnType.NUMBER), Column(name="b", type=ColumnType.NUMBER, missing=True)),
    classes=("no", "yes"),
)
ROW = {"age": 41.5, "income": 1000.0, "visits": 3, "member": True, "town": "Oslo"}
SLEEPS = {"slow": 1, "slow for two": 2, "slow for three": 3}
"""Seconds that a call with a thirteen in it takes models of such behaviour."""


def onnx_model(seed: int = 0) -> tuple[bytes, object]:
    """A logistic regression over SIGNATURE's columns as ONNX, and its twin in scikit-learn (`town` and missing incomes filled inside)."""
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    draw = np.random.default_rng(seed)
    n = 400
    frame = pd.DataFrame(
        {
            "age": draw.uniform(18, 90, n).astype(np.float32),
            "income": draw.uniform(0, 5000, n).astype(np.float32),
            "visits": draw.integers(0, 9, n).astype(np.float32),
            "member": draw.integers(0, 2, n).astype(np.float32),
            "town": draw.choice(["Oslo", "Rome"], n),
        }
    )
    label = (frame["age"] / 90 + frame["member"] + draw.normal(0, 0.3, n) > 1).astype(int)
    numeric = Pipeline([("fill", SimpleImputer())])
    model = Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("n", numeric, ["age", "income", "visits", "member"]),
                        ("c", OneHotEncoder(handle_unknown="ignore"), ["town"]),
                    ]
                ),
            ),
            ("fit", LogisticRegression(max_iter=2000)),
        ]
    ).fit(frame, label)
    kinds = [
        (c.name, StringTensorType([None, 1]) if c.type is ColumnType.CATEGORY else FloatTensorType([None, 1]))
        for c in SIGNATURE.columns
    ]
    return to_onnx(model, initial_types=kinds, options={"zipmap": False}).SerializeToString(), model


class CodeModel:
    """Answers with what its `behaviour` says; pickled by value, as a user's class in a notebook would be."""

    def __init__(self, behaviour: str = "good") -> None:
        self.behaviour = behaviour
        self.calls = 0

    def __setstate__(self, state):
        import time

        self.__dict__ |= state
        if self.behaviour == "slow to load":
            time.sleep(3)
        if self.behaviour == "crash, and load slowly":
            time.sleep(1)

    def meet(self, rows, trigger):
        """Only an explainer asks for more than 300 rows at once."""
        import os
        import time

        if trigger and self.behaviour.startswith("forks") and not os.fork():
            time.sleep(600)
        if self.calls == 1 and self.behaviour == "slow at first":
            time.sleep(3)
        if self.behaviour in ("slow a row", "slower a row"):
            time.sleep((0.002 if self.behaviour == "slow a row" else 0.006) * rows)
        if self.behaviour == "always slow":
            time.sleep(1.2)
        if rows == 2 and self.behaviour == "crash, and load slowly":
            time.sleep(0.5)
        if rows > 300 and self.behaviour == "crash of many":
            os._exit(7)
        if rows > 300 and self.behaviour == "slow of many":
            time.sleep(1)

    def predict_proba(self, frame):
        import os
        import time

        import numpy as np

        self.calls += 1
        trigger = bool((frame[:, 0].to_numpy() == 13.0).any())
        self.meet(len(frame), trigger)
        if trigger and self.behaviour in ("crash", "crash, and load slowly", "forks and crashes"):
            os._exit(7)
        if trigger and self.behaviour == "segfault":
            os.kill(os.getpid(), 11)
        if trigger and self.behaviour in ("hang", "forks and hangs"):
            time.sleep(600)
        if trigger:
            time.sleep(SLEEPS.get(self.behaviour, 0))
        if trigger and self.behaviour == "raise":
            raise ValueError("no thirteens")
        if trigger and self.behaviour == "memory":
            self.hog = np.ones(10**10)
        print("models may print")  # noqa: T201 - and it must not reach the protocol
        p = 1 / (1 + np.exp(-frame[:, 0].to_numpy().astype(float) / 100))
        if trigger and self.behaviour == "nan":
            p = p * np.nan
        if trigger and self.behaviour == "shape":
            p = p[:0]
        if trigger and self.behaviour == "range":
            p = p + 7
        return np.column_stack([1 - p, p])


def package(
    directory: Path,
    kind: Format,
    content: bytes,
    signature: Signature,
    *,
    threshold: float | None = None,
    version: int = 1,
    background: Background | None = None,
) -> ServedUnit:
    """A package on disk and the unit that serves it; without a `background` it cannot be explained, as those of older releases."""
    names = {Format.ONNX: "model/model.onnx", Format.LIGHTGBM: "model/model.lgb", Format.CODE: "model/model.pkl"}
    lineage = codec.encode(lineage_of(directory.name))
    files = {names[kind]: content, "signature.json": codec.encode(signature), "lineage.json": lineage}
    if background is not None:
        files["background.json"] = codec.encode(background)
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    manifest = Manifest(files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()}, format=kind)
    (directory / "manifest.json").write_bytes(codec.encode(manifest))
    unit = Unit(
        id="u" + hashlib.sha256(str(directory).encode()).hexdigest()[:12],
        model="shop",
        version=version,
        manifest_digest=codec.digest(manifest),
        threshold=threshold,
        policy_digest="p",
    )
    return ServedUnit(unit=unit, package=str(directory), format=kind, signature=signature)


def code_package(
    directory: Path, behaviour: str = "good", signature: Signature = SIGNATURE, background: Background | None = None
) -> ServedUnit:
    cloudpickle.register_pickle_by_value(sys.modules[CodeModel.__module__])
    return package(directory, Format.CODE, cloudpickle.dumps(CodeModel(behaviour)), signature, background=background)


def table(revision: int, champion: ServedUnit, **more) -> RoutingTable:
    return RoutingTable(
        revision=revision, written_at=datetime(2026, 11, 22, tzinfo=UTC), routes=(Route(model="shop", champion=champion, **more),)
    )


def wait_until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"not in {seconds:g} s"
        time.sleep(0.01)


def without_core(task: int | str = "thread-self") -> float:
    """Seconds for which this thread, or a process's first one, could have run and had no core; 0 where the system does not say."""
    told = Path(f"/proc/{task}/schedstat")
    return int(told.read_text().split()[1]) / 1e9 if told.exists() else 0.0


class Rig:
    """A state directory and the workers that run on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen] = []
        self.sockets: list[socket.socket] = []
        self.workers: list[Worker] = []
        directory.mkdir(parents=True, exist_ok=True)
        for name, token in (("token", OWNER), ("token.client", CLIENT)):
            (directory / name).write_text(token + "\n")
            (directory / name).chmod(0o600)

    def publish(self, routing: RoutingTable) -> None:
        draft = self.directory / "routing.draft"
        draft.write_bytes(codec.encode(routing))
        draft.replace(self.directory / "routing.json")

    def renew_lease(self) -> None:
        (self.directory / "lease").write_bytes(b"")
        os.utime(self.directory / "lease")

    def start(self, worker: str = "w0", *arguments: str, fd: int | None = None) -> "Worker":
        card = self.directory / "gateways" / f"{worker}.json"
        card.unlink(missing_ok=True)
        more = ["--fd", str(fd)] if fd is not None else []
        with (self.directory / f"{worker}.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "flyball.gateway",
                    "--state-dir",
                    str(self.directory),
                    "--worker",
                    worker,
                    *more,
                    *arguments,
                ],
                pass_fds=[fd] if fd is not None else [],
                stderr=log,
            )
        self.processes.append(process)
        until = time.monotonic() + 60
        while not card.exists():
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError((self.directory / f"{worker}.log").read_text())
            time.sleep(0.02)
        self.workers.append(Worker(process, json.loads(card.read_text())))
        return self.workers[-1]

    def listen(self) -> socket.socket:
        self.sockets.append(socket.create_server(("127.0.0.1", 0), backlog=2048))
        return self.sockets[-1]

    def captured(self) -> list[Captured]:
        records: list[Captured] = []
        for segment in sorted((self.directory / "capture").glob("*.seg"), key=lambda path: path.stat().st_mtime_ns):
            found = unframe(segment.read_bytes())
            records.extend(msgspec.msgpack.decode(payload, type=Captured) for payload in found.payloads)
        return records

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
        for worker in self.workers:
            worker.http.close()
            worker.admin.close()
        for each in self.sockets:
            each.close()


class Worker:
    """One running gateway process."""

    def __init__(self, process: subprocess.Popen, card: dict) -> None:
        self.process = process
        self.card = card
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{card['port']}", headers={"authorization": f"Bearer {CLIENT}"}, timeout=60
        )
        self.admin = httpx.Client(
            base_url=f"http://127.0.0.1:{card['admin_port']}", headers={"authorization": f"Bearer {OWNER}"}, timeout=60
        )

    def predict(self, *rows: dict, **more) -> httpx.Response:
        return self.http.post("/models/shop/predict", json={"rows": list(rows), **more})

    def reload(self) -> httpx.Response:
        return self.admin.post("/flyball/reload")

    def report(self) -> GatewayReport:
        return codec.decode(self.admin.get("/flyball/served").content, GatewayReport)

    def in_flight(self) -> int:
        """Requests that it is answering, without the one that asks for this."""
        exposed = self.admin.get("/flyball/metrics").text
        (line,) = (each for each in exposed.splitlines() if each.startswith("flyball_requests_in_flight "))
        return int(float(line.split()[-1])) - 1

    def stop(self) -> int:
        self.http.close()
        self.admin.close()
        self.process.terminate()
        return self.process.wait(timeout=30)
