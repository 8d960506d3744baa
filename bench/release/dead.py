"""The controller dies for good, or hangs, in the middle of a canary: when the last answer of the canary was given, and what the champion's clients noticed."""

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from bench.release.clients import Client, Crowd, rows_of
from bench.release.offers import Shop, shop
from bench.release.stack import wait_for
from bench.serving.bars import Bar
from flyball.records.unit import Format

SETTINGS = """
release:
  shadow: {at_least: 0s, min_labels: 10}
  steps: [{traffic: 50%, at_least: 1h}]
  watch: 1h
  margin: 0.9
monitor: {window: 1h}
"""
CLIENTS = 3
ALLOWED_SECONDS = 60.0
AFTERWARDS_SECONDS = 5.0
"""Of load after the canary was taken to 0: nothing of it may come back."""


@dataclass(frozen=True)
class Scale:
    deaths: tuple[str, ...]


FULL, SHORT = Scale(("killed", "hung")), Scale(("killed",))


@dataclass
class Seen:
    last_canary_seconds: dict[str, float] = field(default_factory=dict)
    """Kind of death → from it to the last request that the canary answered."""
    suspended_seconds: dict[str, float] = field(default_factory=dict)
    """… until every worker said that its canary is suspended."""
    requests: int = 0
    failed: int = 0
    first_failure: str = ""
    canary_before: int = 0
    """Answers of the canary before the death: without some there would be nothing to see."""
    champion_after: int = 0


def measure(scale: Scale) -> Seen:
    seen = Seen()
    for death in scale.deaths:
        with shop(SETTINGS) as here:
            _one(here, death, seen)
    return seen


def _one(here: Shop, death: str, seen: Seen) -> None:
    rows = rows_of(here.stack.directory / "data" / "orders.csv")
    with Crowd([Client(number, here.stack.url, here.stack.headers(), rows) for number in range(CLIENTS)]) as crowd:
        unit = here.offer(here.champion_model(), Format.ONNX)
        here.await_phase(unit, "canary", verified=True)
        time.sleep(1.0)
        at, at_us = time.monotonic(), time.time_ns() // 1000
        _end(here, death)
        wait_for(lambda: _all_suspended(here), "the canary is not suspended", 2 * ALLOWED_SECONDS)
        seen.suspended_seconds[death] = time.monotonic() - at
        time.sleep(AFTERWARDS_SECONDS)
    last = crowd.last_answer_us(unit)
    seen.last_canary_seconds[death] = (last - at_us) / 1e6 if last is not None else float("nan")
    seen.canary_before += sum(1 for begun, _, by in crowd.answers if by == unit and begun < at_us)
    seen.champion_after += sum(1 for begun, _, by in crowd.answers if by != unit and begun > at_us)
    seen.requests += len(crowd.attempts)
    seen.failed += len(crowd.failures)
    seen.first_failure = seen.first_failure or next((each.words for each in crowd.failures), "")


def _end(here: Shop, death: str) -> None:
    """`killed`: with its supervisor, so that nobody starts it again. `hung`: it is there and does nothing."""
    run: dict[str, Any] = json.loads((here.stack.state / "run" / "supervisor.json").read_bytes())
    control = run["children"]["control"]["pid"]
    here.stack.note_processes()
    if death == "hung":
        os.kill(control, signal.SIGSTOP)
        return
    for pid in (run["pid"], control):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _all_suspended(here: Shop) -> bool:
    told = here.served()
    return len(told) == 2 and all(each["canary_suspended"] for each in told)


def bars(seen: Seen) -> list[Bar]:
    said = []
    for death, seconds in seen.last_canary_seconds.items():
        said.append(
            Bar(
                f"controller {death} in mid-canary: last answer of the canary after",
                seconds,
                ALLOWED_SECONDS,
                least=False,
                unit=" s",
            )
        )
        said.append(
            Bar(
                "… every worker says that it is suspended after",
                seen.suspended_seconds[death],
                ALLOWED_SECONDS,
                least=False,
                unit=" s",
            )
        )
    return [
        *said,
        Bar(f"… failed requests of {seen.requests:,} {seen.first_failure}", seen.failed, 0, least=False),
        Bar("… answers of the canary before", seen.canary_before, 20, least=True),
        Bar("… answers of the champion since", seen.champion_after, 100, least=True),
    ]
