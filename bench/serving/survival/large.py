"""A request of a hundred thousand rows beside single ones: memory, the others' latency, how long the event loop was away."""

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.model import NAMES
from bench.serving.bars import Bar, above
from bench.serving.survival.client import ask
from bench.serving.survival.models import linear_unit
from bench.serving.survival.stand import Stand
from flyball.records.routing import Route

FORMS = ("plain", "Open Inference")
PATHS = {"plain": "/models/shop/predict", "Open Inference": "/v2/models/shop/infer"}
BODY_MB = 64
OTHERS = {"connections": 16, "pause_seconds": 0.02}


@dataclass(frozen=True)
class Scale:
    rows: int
    seconds: float
    rounds: int
    forms: tuple[str, ...] = FORMS


FULL, SHORT = Scale(100_000, 6.0, 3), Scale(100_000, 3.0, 1)


@dataclass
class Told:
    """One form of request."""

    payload_mb: float = 0.0
    grown_mb: list[float] = field(default_factory=list)
    """Highest resident size during a request, above that before it."""
    seconds: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    wrong: int = 0
    """Answers that do not hold a score a row."""
    calm_p99_ms: list[float] = field(default_factory=list)
    busy_p99_ms: list[float] = field(default_factory=list)
    apart_p99_ms: list[float] = field(default_factory=list)
    """While the same large ones go to a gateway of its own: what the machine's cores alone make of it."""
    longest_ms: list[float] = field(default_factory=list)
    """Of a single row beside large requests: as long as the event loop was away, and what the machine adds."""
    failed_others: int = 0
    too_many: tuple[int, str] = (0, "")
    """Status and words for one row more than is allowed."""
    too_large: tuple[int, str] = (0, "")
    """… for a body above the limit."""


def measure(scale: Scale) -> dict[str, Told]:
    return {form: _measured(form, scale) for form in scale.forms}


def bars(seen: dict[str, Told]) -> list[Bar]:
    said: list[Bar] = []
    for form, told in seen.items():
        apart = above(told.apart_p99_ms, told.calm_p99_ms)
        bad = sum(status != 200 for status in told.statuses) + told.wrong + told.failed_others
        said += [
            Bar(
                f"100,000 rows, {form} ({told.payload_mb:.1f} MB): memory over payload",
                max(told.grown_mb) / told.payload_mb,
                3,
                least=False,
            ),
            Bar(
                f"… single rows beside it: p99 above that without (large ones at a gateway of its own: {apart:.2f})",
                above(told.busy_p99_ms, told.calm_p99_ms),
                0.2,
                least=False,
            ),
            Bar("… the longest of them (event loop away)", max(told.longest_ms), 50, least=False, unit=" ms"),
            Bar("… failed or wrong, large and small", bad, 0, least=False),
        ]
    return said


def _measured(form: str, scale: Scale) -> Told:
    told = Told()
    with tempfile.TemporaryDirectory(prefix="bench-large-") as name, ExitStack() as stack:
        stand, alone = (
            stack.enter_context(Stand(Path(name) / each, "--max-body-mb", str(BODY_MB))) for each in ("both", "apart")
        )
        for each in (stand, alone):
            each.publish(Route(model="shop", champion=linear_unit(each.directory, 0)))
            each.start()
        gateway = stand.newest
        body = _body(form, scale.rows)
        told.payload_mb = len(body) / 1024**2
        ask(stand.plan(**OTHERS, seconds=1.0))
        for _ in range(scale.rounds):
            before = gateway.mark_memory()
            _ask(stand, form, body, told, scale.rows)
            told.grown_mb.append(gateway.highest_mb() - before)
            calm = ask(stand.plan(**OTHERS, seconds=scale.seconds))
            with _large_ones(stand, form, body, told, scale):
                busy = ask(stand.plan(**OTHERS, seconds=scale.seconds))
            with _large_ones(alone, form, body, told, scale):
                apart = ask(stand.plan(**OTHERS, seconds=scale.seconds))
            told.longest_ms.append(float(busy.seconds.max()) * 1e3)
            told.calm_p99_ms.append(calm.quantile_ms(0.99))
            told.busy_p99_ms.append(busy.quantile_ms(0.99))
            told.apart_p99_ms.append(apart.quantile_ms(0.99))
            told.failed_others += calm.failures + busy.failures + apart.failures
        _ask_too_much(stand, form, told)
    return told


def _body(form: str, rows: int) -> bytes:
    draw = np.random.default_rng(9)
    values = np.round(draw.uniform(0, 1000, (len(NAMES), rows)), 2)
    if form == "plain":
        listed: list[dict[str, Any]] = [dict(zip(NAMES, row, strict=True)) for row in values.T.tolist()]
        return json.dumps({"rows": listed}, separators=(",", ":")).encode()
    inputs = [
        {"name": name, "datatype": "FP32", "shape": [rows], "data": line}
        for name, line in zip(NAMES, values.tolist(), strict=True)
    ]
    return json.dumps({"inputs": inputs}, separators=(",", ":")).encode()


def _ask(stand: Stand, form: str, body: bytes, told: Told, rows: int) -> None:
    begun = time.monotonic()
    with stand.client() as client:
        answer = client.post(PATHS[form], content=body, headers={"content-type": "application/json"})
    told.seconds.append(time.monotonic() - begun)
    told.statuses.append(answer.status_code)
    if answer.status_code == 200:
        # Not decoded: on a machine of two cores that work would be noticed as if it were the gateway's.
        whole = answer.content.count(b'"score":') == rows if form == "plain" else b'"shape":[%d,1]' % rows in answer.content
        told.wrong += not whole


@contextmanager
def _large_ones(stand: Stand, form: str, body: bytes, told: Told, scale: Scale) -> Iterator[None]:
    ended = threading.Event()

    def client() -> None:
        while not ended.is_set():
            _ask(stand, form, body, told, scale.rows)
            ended.wait(0.2)

    thread = threading.Thread(target=client)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _ask_too_much(stand: Stand, form: str, told: Told) -> None:
    with stand.client() as client:
        headers = {"content-type": "application/json"}
        answer = client.post(PATHS[form], content=_body(form, 100_001), headers=headers)
        told.too_many = answer.status_code, answer.text[:400]
        answer = client.post(PATHS[form], content=b" " * (BODY_MB * 1024**2 + 1), headers=headers)
        told.too_large = answer.status_code, answer.text[:400]
