"""Claims about where a request's time goes: the stages are all of it, each is seen, and the model's is its own within the very call."""

import asyncio
import json
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.model import ROW, onnx, package

from flyball.adapters.bench.run import HTTP, _stage_rows
from flyball.gateway import stages
from flyball.gateway.__main__ import _options, _parser
from flyball.gateway.worker import World
from flyball.records import codec
from flyball.records.routing import Route, RoutingTable


def timed(directory: Path, rows: int, monkeypatch) -> tuple[stages.Stages, list[float], list[tuple[float, ...]]]:
    """(what is told, seconds of each whole call, seconds of its stages)"""
    served = package(directory / "package", onnx())
    table = RoutingTable(revision=1, written_at=datetime(2026, 1, 1, tzinfo=UTC), routes=(Route(model="shop", champion=served),))
    (directory / "routing.json").write_bytes(codec.encode(table))
    wholes, parts, once = [], [], stages._Bench.once

    def watched(bench, body, at_us):
        began = time.perf_counter()
        n, seconds = once(bench, body, at_us)
        wholes.append(time.perf_counter() - began)
        parts.append(seconds)
        return n, seconds

    monkeypatch.setattr(stages._Bench, "once", watched)
    options = _options(_parser().parse_args(["--state-dir", str(directory), "--worker", "w0"]))
    world = World(lambda: time.time_ns() // 1000, secrets.token_bytes)
    told = asyncio.run(stages.time_stages(options, world, "shop", [json.dumps({"rows": [ROW] * rows}).encode()]))
    return told, wholes, parts


def test_stages_sum_to_the_whole_and_each_that_works_takes_time(tmp_path, monkeypatch):
    told, wholes, parts = timed(tmp_path, 1, monkeypatch)
    assert told.rows == 1
    assert all(us > 0.5 for us in (told.parse_us, told.model_us, told.route_us, told.capture_us, told.encode_us))
    assert all(seconds > 0 for each in parts for seconds in each)
    assert all(sum(each) <= whole for each, whole in zip(parts, wholes, strict=True))
    assert median(sum(each) / whole for each, whole in zip(parts, wholes, strict=True)) > 0.9


def test_what_the_processor_was_not_busy_for_is_told_below_0_and_has_no_share():
    one = {"parse_us": 10.0, "model_us": 500.0, "route_us": 10.0, "capture_us": 20.0, "encode_us": 10.0}
    rows = {row.stage: row for row in _stage_rows(one, {}, cpu_us=100.0)}
    assert rows[HTTP].us == -450.0
    assert (rows[HTTP].share, sum(row.share for row in rows.values())) == (0.0, 1.0)
