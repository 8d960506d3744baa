"""Rollbacks from every phase for every cause: how long after the decision the challenger answers nobody, as the gateways show it."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from rich.table import Table

from bench.release.candidates import Candidate, code
from bench.release.clients import Client, Crowd, rows_of
from bench.release.offers import Shop, shop
from bench.release.stack import wait_for
from bench.serving.bars import Bar
from flyball.control import commands
from flyball.errors import StoreUnavailable
from flyball.records.unit import Format

CLIENTS = 3
LOOK_SECONDS = 0.02
"""Between two looks at what the gateways serve: the resolution of the figures."""
PASSING = "at_least: 0.4s, min_requests: 5"
LASTING = "at_least: 1s, at_most: 14s, min_requests: 1000000"
"""The phase that a case is about: time for labels to show harm."""
SHADOWS = {
    "passing": "{at_least: 0.4s, min_labels: 10}",
    "lasting": "{at_least: 5s, min_labels: 300}",
    "given up": "{at_least: 1s, at_most: 5s, min_labels: 1000000}",
    "none": "null",
}
"""In a shadow harm to quality is not judged on fewer labels than were asked for."""
POLICY = """
policies:
  - {name: back, when: window.predictions > 0, do: roll_back}
"""


class Group(NamedTuple):
    """Cases that one project can play one after the other."""

    settings: str
    phase: str
    step: int | None
    causes: tuple[str, ...]


def settings(phase: str = "", *, shadow: str = "passing", steps: bool = True, watch: str = "1h", window: str = "1h") -> str:
    """All phases pass quickly but `phase`."""
    first, second = (LASTING if phase == each else PASSING for each in ("canary 1", "canary 2"))
    canaries = f"[{{traffic: 20%, {first}}}, {{traffic: 60%, {second}}}]"
    return f"""
release:
  shadow: {SHADOWS[shadow]}
  steps: {canaries if steps else "[]"}
  watch: {watch}
  labels: {"before_full" if steps else "while_watching"}
  margin: 0.1
monitor: {{window: {window}, min_rows: 20}}
"""


ALL_CAUSES = ("order", "order twice", "harm: labels", "harm: failures")
GROUPS = (
    Group(settings(shadow="lasting"), "shadow", None, (*ALL_CAUSES, "cannot be loaded")),
    Group(settings(shadow="given up"), "shadow", None, ("deadline",)),
    Group(settings("canary 1"), "canary", 0, (*ALL_CAUSES, "deadline")),
    Group(settings("canary 2"), "canary", 1, (*ALL_CAUSES, "deadline")),
    Group(settings(), "watching", None, ALL_CAUSES),
    Group(settings(watch="1s", window="8s") + POLICY, "settled", None, ("alarm policy",)),
    Group(settings("canary 1", shadow="none"), "canary", 0, ("cannot be loaded",)),
    Group(settings(shadow="none", steps=False), "full", None, ("cannot be loaded", "order at a killed control")),
    Group(settings(shadow="lasting"), "proposed", None, ("order at a killed control",)),
)


@dataclass(frozen=True)
class Scale:
    groups: tuple[Group, ...]


FULL, SHORT = Scale(GROUPS), Scale((Group(settings("canary 1"), "canary", 0, ("order", "harm: failures", "deadline")),))


@dataclass
class Case:
    """One rollback. Seconds from the decision, by the clock of its ledger entry."""

    phase: str
    cause: str
    decided_in: str = ""
    """Phase in which the release was when it was decided."""
    routed_seconds: float = float("nan")
    """Until no worker said any more that it serves a table with the challenger."""
    last_answer_seconds: float | None = None
    """Until the last request came that the challenger answered; None: it answered none."""
    told_seconds: float = float("nan")
    """Until the release was recorded as rolled back: the gateways had been asked."""
    waited_seconds: float = float("nan")
    """From the cause to the decision."""
    reason: str = ""
    failed: int = 0
    back: bool = False
    """The unit before answers alone again."""

    @property
    def zero_seconds(self) -> float:
        return max(self.routed_seconds, self.last_answer_seconds or 0.0)


@dataclass
class Seen:
    cases: list[Case] = field(default_factory=list)
    requests: int = 0


class Watcher(threading.Thread):
    """Notes which units the workers hold for their tables."""

    def __init__(self, here: Shop) -> None:
        super().__init__(name="watcher", daemon=True)
        self.seen: list[tuple[int, frozenset[str]]] = []
        """(µs, units of any worker)"""
        self._here = here
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            told = self._here.served()
            if told:
                self.seen.append((time.time_ns() // 1000, frozenset(unit for each in told for unit in each["fingerprints"])))

    def gone_us(self, unit: str) -> int | None:
        """The first look after the last at which a worker held it; 0: none ever did; None: one does."""
        looks = [*self.seen]
        held = [number for number, (_, units) in enumerate(looks) if unit in units]
        if not held:
            return 0
        return looks[held[-1] + 1][0] if held[-1] + 1 < len(looks) else None

    def stop(self) -> None:
        self._end.set()
        self.join()


def measure(scale: Scale) -> Seen:
    seen = Seen()
    for group in scale.groups:
        with shop(group.settings) as here, _watched(here) as watcher:
            rows = rows_of(here.stack.directory / "data" / "orders.csv")
            good = here.estimator()
            for cause in group.causes:
                with Crowd([Client(number, here.stack.url, here.stack.headers(), rows) for number in range(CLIENTS)]) as crowd:
                    case = Case(group.phase if group.step is None else f"{group.phase} {group.step + 1}", cause)
                    unit, at_us = _play(here, group, cause, good)
                    here.await_phase(unit, "rolled_back", seconds=90)
                    time.sleep(0.3)
                    here.switch.unlink(missing_ok=True)
                _judge(here, watcher, crowd, case, (unit, at_us))
                seen.cases.append(case)
                seen.requests += len(crowd.attempts)
    return seen


@contextmanager
def _watched(here: Shop) -> Iterator[Watcher]:
    watcher = Watcher(here)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()


def _play(here: Shop, group: Group, cause: str, good: Any) -> tuple[str, int]:
    """Let the cause come about; (challenger, when it did)."""
    if cause == "cannot be loaded":
        at_us = _now_us()
        here.switch.touch()
        return here.offer(code(Candidate("exits on load", good, str(here.switch))), Format.CODE), at_us
    if cause == "order at a killed control":
        return _order_while_it_lasts(here, group.phase, good)
    if cause == "alarm policy":  # which acts by itself, once the release has settled
        return here.offer(here.champion_model(), Format.ONNX), _now_us()
    behaviour = "turned around" if cause == "harm: labels" else "raises"
    unit = here.offer(code(Candidate(behaviour, good, str(here.switch))), Format.CODE)
    here.await_phase(unit, group.phase, step=group.step, verified=True)
    at_us = _now_us()
    if cause.startswith("harm"):
        here.switch.touch()
    elif cause.startswith("order"):
        for number in range(2 if cause == "order twice" else 1):
            commands.order(here.world, "roll_back", f"user:bench-{number}", "ordered by the bench")
    return unit, at_us


def _order_while_it_lasts(here: Shop, phase: str, good: Any) -> tuple[str, int]:
    """`proposed` and `full` last for milliseconds: control is stopped in them, ordered to roll back, and killed, so that the next one finds both."""
    control = json.loads((here.stack.state / "run" / "supervisor.json").read_bytes())["children"]["control"]["pid"]
    for _ in range(8):
        unit = here.offer(code(Candidate("raises", good, str(here.switch))), Format.CODE)
        here.await_phase(unit, phase, *PASSED[phase])
        os.kill(control, signal.SIGSTOP)
        release = here.release(unit)
        if release is not None and release["phase"] == phase:
            at_us = _now_us()
            with suppress(StoreUnavailable):  # it was stopped with the ledger's lock in its hands: once more
                commands.order(here.world, "roll_back", "user:bench", "ordered by the bench")
                os.kill(control, signal.SIGKILL)
                return unit, at_us
        os.kill(control, signal.SIGCONT)  # it was faster: once more
        commands.order(here.world, "roll_back", "user:bench", "ordered by the bench")
        here.await_phase(unit, "rolled_back")
    raise RuntimeError(f"no release was caught in {phase}")


PASSED = {"proposed": ("shadow", "canary", "watching"), "full": ("watching",)}


def _judge(here: Shop, watcher: Watcher, crowd: Crowd, case: Case, of: tuple[str, int]) -> None:
    unit, at_us = of
    release = here.release(unit)
    assert release is not None
    events = [
        each
        for each in here.entries("decision.made", "release.moved", "release.opened")
        if _put_of(each, "release", release["id"])
    ]
    phases = [_put_of(each, "release", release["id"])["phase"] for each in events]
    at = phases.index("rolling_back")
    before = _put_of(events[at - 1], "release", release["id"]) if at else {"phase": "settled", "step": 0}
    case.decided_in = before["phase"] + (f" {before['step'] + 1}" if before["phase"] == "canary" else "")
    decided_us = _micros(events[at]["at"])
    case.waited_seconds = (decided_us - at_us) / 1e6
    case.told_seconds = (_micros(events[phases.index("rolled_back")]["at"]) - decided_us) / 1e6
    case.reason = release["reason"]
    wait_for(lambda: watcher.gone_us(unit) is not None, "a worker goes on to serve the challenger", 20)
    case.routed_seconds = max((watcher.gone_us(unit) or 0) - decided_us, 0) / 1e6
    last_us = crowd.last_answer_us(unit)
    case.last_answer_seconds = None if last_us is None else (last_us - decided_us) / 1e6
    case.failed = len(crowd.failures)
    route = here.routed()
    case.back = route["champion"]["unit"]["id"] == release["champion"] and route["canary"] is None


def _put_of(event: dict[str, Any], kind: str, key: str) -> Any:
    return next((each["value"] for each in event["puts"] if each["kind"] == kind and each["key"] == key), None)


def _micros(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


def _now_us() -> int:
    return time.time_ns() // 1000


def tables(seen: Seen) -> list[Table]:
    table = Table(
        "from", "cause", "decided in", "cause to decision", "to 0 %", "last answer", "proved", "reason", box=None, pad_edge=False
    )
    for case in seen.cases:
        last = "none" if case.last_answer_seconds is None else f"{case.last_answer_seconds:+.2f} s"
        table.add_row(
            case.phase, case.cause, case.decided_in, f"{case.waited_seconds:.1f} s", f"{case.zero_seconds:.2f} s", last,
            f"{case.told_seconds:.2f} s", case.reason[:90],
        )  # fmt: skip
    return [table]


def bars(seen: Seen) -> list[Bar]:
    def those(cases: Sequence[Case]) -> str:
        return ", ".join(f"{case.phase} × {case.cause}" for case in cases)

    slowest = max(seen.cases, key=lambda case: case.zero_seconds)
    strange = [case for case in seen.cases if not case.back]
    failed = [case for case in seen.cases if case.failed]
    elsewhere = [case for case in seen.cases if case.decided_in != case.phase]
    return [
        Bar(
            f"{len(seen.cases)} rollbacks: from the decision to 0 %, at most ({those([slowest])})",
            slowest.zero_seconds,
            1,
            least=False,
            unit=" s",
        ),
        Bar(f"… that did not end at the unit before {those(strange)}", len(strange), 0, least=False),
        Bar(f"… decided in another phase than meant {those(elsewhere)}", len(elsewhere), 0, least=False),
        Bar(f"… failed requests of {seen.requests:,} {those(failed)}", sum(case.failed for case in seen.cases), 0, least=False),
    ]
