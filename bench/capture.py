"""One request's record, framed and handed to the kernel: beside one bare `write` of the same bytes."""

import os
import tempfile
import time
from pathlib import Path

import msgspec

from bench.measure import Row, interleaved
from flyball.capture.keeping import KEY_BYTES, Keeper
from flyball.gateway.capture_writer import CaptureWriter
from flyball.records.captured import PredictionBatch
from flyball.records.keeping import Keeping

REQUESTS = 3_000
COLUMNS = 15


def record(number: int) -> PredictionBatch:
    return PredictionBatch(
        at_us=1_795_000_000_000_000 + number, model="shop", unit="u0123456789ab", role="champion", revision=1, ids=[f"{number:024x}"],
        keys=[f"key-{number}"], columns={f"feature_{k}": [k * 1.5] for k in range(COLUMNS)}, scores=[[0.25]], latency_us=120,
    )  # fmt: skip


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        writer = CaptureWriter(Path(name), "w0", lambda: time.time_ns() // 1000)
        descriptor = os.open(Path(name) / "bare", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        records = [record(number) for number in range(REQUESTS)]
        payload = msgspec.msgpack.encode(records[0])

        def ours() -> float:
            begun = time.perf_counter()
            for each in records:
                writer.hand_over([each])
            return (time.perf_counter() - begun) / REQUESTS * 1e6

        def floor() -> float:
            begun = time.perf_counter()
            for _ in range(REQUESTS):
                os.write(descriptor, payload)
            return (time.perf_counter() - begun) / REQUESTS * 1e6

        keeper = Keeper(Keeping(hash=("feature_3",)), b"k" * KEY_BYTES)

        def hidden() -> float:
            begun = time.perf_counter()
            for each in records:
                writer.hand_over([keeper.prediction(each)])
            return (time.perf_counter() - begun) / REQUESTS * 1e6

        try:
            subject = f"capture: one row of {COLUMNS} columns ({len(payload)} bytes)"
            return [
                interleaved(subject, "µs", ours, ("one write of the same bytes", floor), rounds=9),
                interleaved(
                    "capture: the same row with one column hashed", "µs", hidden, ("the row without a rule", ours), rounds=9
                ),
            ]
        finally:
            writer.close()
            os.close(descriptor)
