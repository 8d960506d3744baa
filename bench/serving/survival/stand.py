"""Gateway workers on a socket of ours, as a supervisor runs them: `with Stand(directory) as stand: stand.publish(…); stand.start()`."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec
import psutil

from bench.model import ROW
from bench.serving.survival.client import Plan
from flyball.records import codec
from flyball.records.routing import Route, RoutingTable

OWNER, CLIENT = "the-owner-of-the-stand", "a-client-of-the-stand"
START_SECONDS = 60.0
ONE_ROW = json.dumps(ROW, separators=(",", ":"))


class Gateway:
    """One running worker."""

    def __init__(self, process: subprocess.Popen[bytes], card: dict[str, Any]) -> None:
        self.process = process
        self.pid = process.pid
        self._admin = httpx.Client(
            base_url=f"http://127.0.0.1:{card['admin_port']}",
            headers={"authorization": f"Bearer {OWNER}"},
            timeout=60,
            trust_env=False,
        )

    def reload(self) -> int:
        """The revision that is served then."""
        return int(self._admin.post("/flyball/reload").raise_for_status().json()["revision"])

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all series that bear these labels."""
        total, told = 0.0, self._admin.get("/metrics").text
        if name.removesuffix("_count") not in told:
            raise KeyError(f"{name} is not among the metrics")
        for line in told.splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(f'{key}="{wanted}"' in series for key, wanted in labels.items()):
                total += float(value)
        return total

    def memory_mb(self) -> float:
        return psutil.Process(self.pid).memory_info().rss / 1024**2

    def mark_memory(self) -> float:
        """MB resident now; from here the kernel notes the highest anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.memory_mb()

    def highest_mb(self) -> float:
        told = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM")) / 1024

    def connections(self, port: int) -> int:
        """Of clients, at that port."""
        listed = psutil.Process(self.pid).net_connections("tcp")
        return sum(1 for each in listed if each.laddr.port == port and each.raddr)

    def children(self) -> list[int]:
        """Process ids of its model workers."""
        return [each.pid for each in psutil.Process(self.pid).children(recursive=True)]

    def kill(self) -> tuple[float, float]:
        """When it was asked to die, and when it was dead."""
        asked = time.monotonic()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        return asked, time.monotonic()

    def terminate(self) -> None:
        self.process.terminate()

    def close(self) -> None:
        self._admin.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Stand:
    def __init__(self, directory: Path, *arguments: str) -> None:
        """`arguments`: of every worker."""
        self.directory = directory
        self.state = directory / "state"
        self.capture = self.state / "capture"
        self.revision = 0
        self._arguments = arguments
        self._gateways: list[Gateway] = []

    def __enter__(self) -> Self:
        self.state.mkdir(parents=True)
        for name, token in (("token", OWNER), ("token.client", CLIENT)):
            (self.state / name).write_text(token)
            (self.state / name).chmod(0o600)
        (self.state / "lease").touch()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port = int(self._socket.getsockname()[1])
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._gateways:
            each.close()
        self._socket.close()

    def publish(self, *routes: Route) -> tuple[int, float]:
        """The next revision, and when nobody could have seen it yet."""
        self.revision += 1
        table = RoutingTable(revision=self.revision, written_at=datetime(2026, 1, 1, tzinfo=UTC), routes=routes)
        draft = self.state / "routing.draft"
        draft.write_bytes(codec.encode(table))
        before = time.monotonic()
        draft.replace(self.state / "routing.json")
        return self.revision, before

    def start(self, name: str = "w0", *more: str) -> Gateway:
        """Returns when it serves."""
        card = self.state / "gateways" / f"{name}.json"
        card.unlink(missing_ok=True)
        descriptor = self._socket.fileno()
        command = [
            sys.executable,
            "-m",
            "flyball.gateway",
            "--state-dir",
            str(self.state),
            "--worker",
            name,
            "--fd",
            str(descriptor),
        ]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*command, "--lease-seconds", "1e6", *self._arguments, *more], pass_fds=[descriptor], stderr=log
            )
        until = time.monotonic() + START_SECONDS
        while not (card.exists() and json.loads(card.read_bytes())["pid"] == process.pid):
            if process.poll() is not None or time.monotonic() > until:
                process.kill()
                process.wait()
                raise RuntimeError(f"the gateway did not start: {self.said()[-2000:]}")
            time.sleep(0.005)
        self._gateways.append(Gateway(process, json.loads(card.read_bytes())))
        return self._gateways[-1]

    @property
    def newest(self) -> Gateway:
        return self._gateways[-1]

    @property
    def log(self) -> Path:
        return self.state / "log"

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def plan(self, **more: Any) -> Plan:
        return Plan(port=self.port, token=CLIENT, **({"rows": (ONE_ROW,)} | more))

    def client(self) -> httpx.Client:
        url, headers = f"http://127.0.0.1:{self.port}", {"authorization": f"Bearer {CLIENT}"}
        return httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)

    def scores(self, gateway: Gateway, routes: Sequence[Route]) -> dict[str, str]:
        """Unit → its score of ONE_ROW, as each champion alone tells it."""
        told: dict[str, str] = {}
        with self.client() as client:
            for route in routes:
                self.publish(route)
                gateway.reload()
                answer = client.post("/models/shop/predict", content=b'{"rows":[' + ONE_ROW.encode() + b"]}", headers=_JSON)
                given = msgspec.json.decode(answer.content, type=dict[str, Any])["predictions"][0]
                told[given["unit"]] = msgspec.json.encode(given["score"]).decode()
        return told


_JSON = {"content-type": "application/json"}


@contextmanager
def file_limit(pid: int, limit: int) -> Iterator[None]:
    """No file of that process grows beyond `limit` bytes meanwhile: EFBIG, as a full disk says ENOSPC."""
    import resource

    before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
