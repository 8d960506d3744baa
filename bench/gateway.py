"""One row a request over connections that stay open: a real gateway worker with everything on, beside the barest server of the same model."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.client import call, request_bytes
from bench.measure import Row, interleaved
from bench.model import ROW, onnx, package
from flyball.records import codec
from flyball.records.routing import Route, RoutingTable

SECONDS, CONNECTIONS = 0.8, 8
TOKEN = "a-token-of-the-benchmark"
PATH = "/models/shop/predict"


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        content = onnx()
        with _gateway(directory, content) as ours, _floor(directory, content) as floor:
            body = msgspec.json.encode({"rows": [ROW]})
            requests = {port: request_bytes(port, PATH, body, TOKEN) for port in (ours, floor)}

            def rate(port: int) -> float:
                return len(call(port, requests[port], CONNECTIONS, SECONDS)) / SECONDS

            def median(port: int) -> float:
                return statistics.median(call(port, requests[port], 1, SECONDS / 2)) * 1e6

            floor_is = "ASGI + onnxruntime, nothing else"
            return [
                interleaved(f"gateway: one row, {CONNECTIONS} connections", "requests/s", lambda: rate(ours), (floor_is, lambda: rate(floor))),
                interleaved("gateway: one row, one connection, median", "µs", lambda: median(ours), (floor_is, lambda: median(floor))),
            ]  # fmt: skip


@contextmanager
def _gateway(directory: Path, content: bytes) -> Iterator[int]:
    """Token, validation, signature, ids, capture with fsync each second, metrics: as `flyball up` starts it."""
    served = package(directory / "package", content)
    table = RoutingTable(revision=1, written_at=datetime(2026, 1, 1, tzinfo=UTC), routes=(Route(model="shop", champion=served),))
    (directory / "routing.json").write_bytes(codec.encode(table))
    (directory / "token").write_text(TOKEN)
    (directory / "token").chmod(0o600)
    command = [sys.executable, "-m", "flyball.gateway", "--state-dir", str(directory), "--worker", "w0"]
    card = directory / "gateways" / "w0.json"
    with _process(command) as process:
        while not card.exists():
            if process.poll() is not None:
                raise RuntimeError("the gateway did not start")
            time.sleep(0.05)
        yield json.loads(card.read_text())["port"]


@contextmanager
def _floor(directory: Path, content: bytes) -> Iterator[int]:
    model = directory / "floor.onnx"
    model.write_bytes(content)
    with _process([sys.executable, "-m", "bench.floor_app", str(model)]) as process:
        if process.stdout is None:
            raise RuntimeError("no pipe")
        yield int(process.stdout.readline())


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)
