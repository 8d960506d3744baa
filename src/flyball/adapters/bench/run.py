"""`flyball bench`: a real gateway worker on this machine, loaded by a client beside it, then its stages timed alone."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import numpy as np
import psutil

from flyball.adapters.bench.load import Load, load, request_bytes
from flyball.adapters.bench.rows import draw_rows, streams_of
from flyball.adapters.durable import replace_file
from flyball.adapters.entropy import fresh_token
from flyball.adapters.packages import CODE_SPEEDUP, EVALUATION, LocalPackages, verify_package
from flyball.adapters.supervisor import GatewayProcess
from flyball.adapters.supervisor.child import gateway_program
from flyball.adapters.token import owner_token
from flyball.control.bench_reports import BenchReport, LoadRow, StageRow
from flyball.control.ports import Say
from flyball.errors import OperatorError
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.routing import Route, RoutingTable, ServedUnit
from flyball.records.unit import Format
from flyball.registry.unit import unit_made_of

CONNECTIONS = (1, 16, 64)
BATCH_ROWS, BATCH_CONNECTIONS = 100, 8
BODIES = 64
"""Different ones in turn: one row again and again would be answered from the processor's caches."""
STAGES_SECONDS = 120.0
"""A code model of a second a call: 450 calls never end; then the load's own figures must do."""


class _Loads(NamedTuple):
    rows: list[LoadRow]
    cpu_us: float
    """Processor time of the worker and its model processes for a one-row request that is answered alone."""
    memory_bytes: int


def bench(package: Path, model: str, seconds: float, say: Say, limits: tuple[str, ...] = ()) -> BenchReport:
    """Serve `package` from a state directory that is deleted afterwards, within `limits`. Raises NotFound, ArtifactDamaged, OperatorError."""
    manifest = verify_package(package)
    signature = LocalPackages().signature(package)
    unit = unit_made_of(model, 0, codec.digest(manifest), None, "")
    served = ServedUnit(unit=unit, package=str(package.resolve()), format=manifest.format, signature=signature)
    drawn = draw_rows(signature, streams_of(package), BODIES + BATCH_ROWS, np.random.default_rng(0))
    single = [msgspec.json.encode({"rows": [row]}) for row in drawn[:BODIES]]
    batch = [msgspec.json.encode({"rows": drawn[at : at + BATCH_ROWS]}) for at in range(8)]
    with tempfile.TemporaryDirectory(prefix="flyball-bench-") as name:
        state_dir = Path(name)
        token = owner_token(state_dir, fresh_token)
        table = RoutingTable(
            revision=1, written_at=datetime(2026, 1, 1, tzinfo=UTC), routes=(Route(model=model, champion=served),)
        )
        replace_file(state_dir / "routing.json", codec.encode(table))
        with GatewayProcess(state_dir, arguments=limits) as gateway:
            loads = _load_it(gateway, model, {"single": single, "batch": batch}, (token, seconds, say))
        say("step", "timing the stages of one request, and of one with 100 rows")
        one = _stages(state_dir, model, single, limits)
        many = _stages(state_dir, model, batch, limits)
    stages = _stage_rows(one, many, loads.cpu_us)
    return BenchReport(
        model=model,
        package=str(package),
        format=manifest.format.value,
        cores=os.cpu_count() or 1,
        memory_bytes=loads.memory_bytes,
        loads=tuple(loads.rows),
        stages=stages,
        advice=advice(manifest.format, loads.rows, stages, faster_as_code(package)),
    )


def _load_it(gateway: GatewayProcess, model: str, bodies: Mapping[str, list[bytes]], how: tuple[str, float, Say]) -> _Loads:
    token, seconds, say = how
    port = urlsplit(gateway.url).port or 0
    path = f"/models/{model}/predict"
    requests = {kind: [request_bytes(port, path, body, token) for body in each] for kind, each in bodies.items()}
    plan = [*((1, "single", at) for at in CONNECTIONS), (BATCH_ROWS, "batch", BATCH_CONNECTIONS)]
    rows, cpu_us = [], 0.0
    load(port, requests["single"], 1, min(seconds, 0.5))
    for n, kind, connections in plan:
        say("step", f"{n} row{'s' * (n > 1)} a request over {connections} connection{'s' * (connections > 1)}")
        before = _cpu_seconds(gateway)
        got = load(port, requests[kind], connections, seconds)
        if got.failed or not got.seconds:
            raise OperatorError(f"{got.failed} requests failed: {got.first_failure or 'none was answered'}")
        if (kind, connections) == ("single", 1):  # with more of them requests share calls of the model
            cpu_us = (_cpu_seconds(gateway) - before) / len(got.seconds) * 1e6
        rows.append(_row(n, connections, got))
    return _Loads(rows, cpu_us, _memory_bytes(gateway))


def _row(n: int, connections: int, got: Load) -> LoadRow:
    return LoadRow(
        rows=n,
        connections=connections,
        requests_per_second=got.per_second,
        rows_per_second=got.per_second * n,
        p50_ms=got.quantile_ms(0.5),
        p99_ms=got.quantile_ms(0.99),
    )


def _stages(state_dir: Path, model: str, bodies: list[bytes], limits: tuple[str, ...]) -> Mapping[str, Any]:
    """In a process of its own: this one has other work. Empty: the model is too slow to be timed so often."""
    file = state_dir / "bodies"
    replace_file(file, b"\n".join([model.encode(), *bodies]))
    command = (*gateway_program(sys.executable, state_dir, "stages"), "--stages", str(file), *limits)
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=STAGES_SECONDS)
    except subprocess.TimeoutExpired:
        return {}
    if done.returncode != 0:
        raise OperatorError(f"the stages could not be timed: {done.stderr.decode(errors='replace')[-500:].strip()}")
    return codec.decode(done.stdout, dict[str, Any])


_STAGES = {
    "parse_us": "parse, hold against the signature",
    "model_us": "model",
    "route_us": "route, ids, metrics",
    "capture_us": "capture",
    "encode_us": "encode the answer",
}
HTTP = "HTTP, sockets, the rest"


def _stage_rows(one: Mapping[str, Any], many: Mapping[str, Any], cpu_us: float) -> tuple[StageRow, ...]:
    if not one:
        return ()
    rows = [(words, float(one[key]), float(many[key]) if many else None) for key, words in _STAGES.items()]
    known = sum(us for _, us, _ in rows)
    # What the loaded worker's processor was busy for, less what the stages explain: negative where they took longer, as those of a model that waits do.
    rows.insert(0, (HTTP, cpu_us - known, None))
    total = sum(max(us, 0.0) for _, us, _ in rows)
    return tuple(StageRow(stage=words, us=us, share=max(us, 0.0) / total, batch_us=batch) for words, us, batch in rows)


def faster_as_code(package: Path) -> Evidence | None:
    """How many times as fast code was at one row as the data format that is proven; None: the package knows of no such format."""
    if EVALUATION not in LocalPackages().manifest(package).files:
        return None
    return next((item for item in LocalPackages().evaluation(package) if item.name == CODE_SPEEDUP), None)


def advice(kind: Format, loads: list[LoadRow], stages: tuple[StageRow, ...], as_code: Evidence | None) -> str:
    """One sentence: what would help most. `as_code`: of code that is served because it is faster than a data format that is proven."""
    shares = {row.stage: row.share for row in stages}
    gain = loads[-1].rows_per_second / max(row.rows_per_second for row in loads[:-1])
    if kind is Format.CODE and as_code is not None:
        return (
            f"It is served from a worker process, one call at a time, since its proven data format is slower (code was {as_code.value:.3g} times as fast at one row "
            "when it was packaged): a model that computes less helps most, such as nearest neighbours among fewer rows."
        )
    if kind is Format.CODE:
        return (
            "It is served from a worker process, one call at a time: a model that converts to ONNX (scikit-learn's own estimators, "
            "LightGBM) is answered inside the gateway, often a hundred times faster."
        )
    if shares.get("model", 0.0) > 0.5:
        return f"The model itself takes {shares['model']:.0%} of a request: fewer or smaller trees help most, then one worker for each core."
    if gain > 2:
        return f"The model is a small part of a request: {BATCH_ROWS} rows in one give {gain:.0f} times as many rows a second."
    return "No single part dominates: one worker for each core is what is left."


def _family(gateway: GatewayProcess) -> list[psutil.Process]:
    if gateway.pid is None:
        raise OperatorError("the gateway ended under load")
    worker = psutil.Process(gateway.pid)
    return [worker, *worker.children(recursive=True)]


def _cpu_seconds(gateway: GatewayProcess) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _family(gateway))


def _memory_bytes(gateway: GatewayProcess) -> int:
    return sum(process.memory_info().rss for process in _family(gateway))
