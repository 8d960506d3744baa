"""Candidates that begin to fail in a canary of a tenth, under the real control process: how many answers they cost before they are rolled back."""

import time
from dataclasses import dataclass, field
from datetime import datetime

from rich.table import Table

from bench.release.candidates import Candidate, code
from bench.release.clients import Client, Crowd, rows_of
from bench.release.offers import Shop, shop
from bench.release.reader import captured
from bench.serving.bars import Bar
from flyball.records.unit import Format

SETTINGS = """
release:
  shadow: {at_least: 0.4s, min_labels: 10}
  steps: [{traffic: 10%, at_least: 1s, at_most: 10m, min_requests: 1000000}]
  watch: 1h
  margin: 0.9
monitor: {window: 1h}
"""
TICK = "2s"
"""The usual one."""
CLIENTS = 4
ALLOWED_SECONDS, ALLOWED_FAILURES = 10.0, 20
PATIENCE_SECONDS = 60.0
NOT_ASKED = "failed too often"
"""What a gateway notes of rows for which it did not even ask: they cost nobody anything."""


@dataclass(frozen=True)
class Scale:
    behaviours: tuple[str, ...]
    good_seconds: float
    """Of faultless traffic before: what stands against the failures in every average."""


FULL = Scale(("raises", "NaN", "exits", "segfaults", "hangs", "leaks memory", "exits every third time"), 10.0)
SHORT = Scale(("raises", "hangs"), 3.0)


@dataclass
class Case:
    behaviour: str
    decided_seconds: float = float("inf")
    """From its first failure to the decision; infinite: there was none."""
    unharmed_seconds: float = 0.0
    """From the switch to its first failure: who leaks answers well until the memory is gone."""
    failures: int = 0
    """Rows of clients that it was asked for as canary, and failed."""
    left_alone: int = 0
    """Rows that went to the champion at once, since its circuit was open."""
    requests: int = 0
    failed: int = 0
    first_failure: str = ""
    slowest_seconds: float = 0.0
    reason: str = ""


@dataclass
class Seen:
    cases: list[Case] = field(default_factory=list)


def measure(scale: Scale) -> Seen:
    seen = Seen()
    with shop(SETTINGS, tick=TICK) as here:
        good, rows = here.estimator(), rows_of(here.stack.directory / "data" / "orders.csv")
        for behaviour in scale.behaviours:
            with Crowd([Client(number, here.stack.url, here.stack.headers(), rows) for number in range(CLIENTS)]) as crowd:
                unit = here.offer(code(Candidate(behaviour, good, str(here.switch))), Format.CODE)
                here.await_phase(unit, "canary", verified=True)
                time.sleep(scale.good_seconds)
                at, at_us = time.monotonic(), time.time_ns() // 1000
                here.switch.touch()
                case = Case(behaviour)
                _await_decision(here, unit)
                time.sleep(1.0)
            case.requests, case.failed = len(crowd.attempts), len(crowd.failures)
            case.first_failure = next((each.words for each in crowd.failures), "")
            case.slowest_seconds = max(each.ended - each.begun for each in crowd.attempts if each.ended > at)
            _count(here, unit, at_us, case)
            seen.cases.append(case)
            here.stack.flyball("rollback", "--reason", "the next case")
            here.await_phase(unit, "rolled_back")
            here.switch.unlink()
    return seen


def _await_decision(here: Shop, unit: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        release = here.release(unit)
        if release is not None and release["phase"] in ("rolling_back", "rolled_back"):
            return
        time.sleep(0.05)


def _count(here: Shop, unit: str, at_us: int, case: Case) -> None:
    first_us = _count_failures(here, unit, at_us, case)
    case.unharmed_seconds = (first_us - at_us) / 1e6
    release = here.release(unit)
    assert release is not None
    for event in here.entries("decision.made", "release.moved"):
        put = next((each["value"] for each in event["puts"] if each["kind"] == "release" and each["key"] == release["id"]), None)
        if put is not None and put["phase"] == "rolling_back":
            case.decided_seconds = datetime.fromisoformat(event["at"]).timestamp() - first_us / 1e6
            case.reason = put["reason"]
            break


def _count_failures(here: Shop, unit: str, at_us: int, case: Case) -> int:
    """When the first was, in µs, of a client's row or of one that it answered beside the champion; none: when it was switched."""
    mine = [each for each in captured(here.stack.state) if each["k"] == "f" and each["unit"] == unit and each["at_us"] >= at_us]
    for record in mine:
        if record["role"] == "canary" and NOT_ASKED in record["reason"]:
            case.left_alone += record["n"]
        elif record["role"] == "canary":
            case.failures += record["n"]
    return min((each["at_us"] for each in mine), default=at_us)


def tables(seen: Seen) -> list[Table]:
    columns = ("candidate", "first failure", "decided after it", "failures", "left alone", "failed requests", "slowest", "why")
    table = Table(*columns, box=None, pad_edge=False)
    for case in seen.cases:
        table.add_row(
            case.behaviour, f"{case.unharmed_seconds:.1f} s", f"{case.decided_seconds:.1f} s", str(case.failures), str(case.left_alone),
            f"{case.failed} of {case.requests:,}", f"{case.slowest_seconds:.2f} s", (case.first_failure or case.reason)[:120],
        )  # fmt: skip
    return [table]


def bars(seen: Seen) -> list[Bar]:
    late = [f"{each.behaviour}: {each.decided_seconds:.0f} s, {each.failures}" for each in seen.cases
            if each.decided_seconds > ALLOWED_SECONDS and each.failures > ALLOWED_FAILURES]  # fmt: skip
    failed = sum(each.failed for each in seen.cases)
    words = f"{len(seen.cases)} candidates: rolled back neither within {ALLOWED_SECONDS:.0f} s nor {ALLOWED_FAILURES} failures {late or ''}"
    return [
        Bar(words, len(late), 0, least=False),
        Bar("… latest decision", max(each.decided_seconds for each in seen.cases), ALLOWED_SECONDS, least=False, unit=" s"),
        Bar("… most failures", max(each.failures for each in seen.cases), ALLOWED_FAILURES, least=False),
        Bar(f"… failed requests of {sum(each.requests for each in seen.cases):,}", failed, 0, least=False),
    ]
