"""Candidates that crash, hang, hoard or answer nonsense, as shadow and as canary, as code and as ONNX: what their clients get instead."""

import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.table import Table

from bench.model import NAMES, SIGNATURE, package
from bench.release.candidates import BEHAVIOURS, HARMLESS, ONNX_WAYS, SOUND, TRIGGER, Candidate, code, onnx
from bench.serving.bars import Bar
from bench.serving.survival import segments
from bench.serving.survival.models import linear_unit
from bench.serving.survival.stand import ONE_ROW, Gateway, Stand
from flyball.records.routing import Route, ServedUnit
from flyball.records.unit import Format

DEADLINE_SECONDS = 1.5
"""Of each request; a call of a code model may take CALL_SECONDS."""
CALL_SECONDS = 1.0
MEMORY_MB = 2_000
GOOD_SCORE = 0.25
"""What a candidate says while it is good; the champion says something else of every row."""
ROLES = ("canary", "shadow")
GROWN_MB = 128.0
"""Of the gateway's own process, over all cases: what one of them leaves there would be more."""


@dataclass(frozen=True)
class Scale:
    asked: int
    """Rows that make it misbehave, one after the other."""
    code: tuple[str, ...]
    onnx: tuple[str, ...]
    roles: tuple[str, ...] = ROLES


FULL = Scale(12, tuple(name for name in BEHAVIOURS if name not in SOUND), tuple(ONNX_WAYS))
SHORT = Scale(
    8,
    ("exits", "hangs", "leaks memory", "NaN", "sums beyond one", "numbers as text", "a huge answer"),
    tuple(ONNX_WAYS),
    ("canary",),
)


@dataclass
class Case:
    """One candidate in one role."""

    kind: str
    behaviour: str
    role: str
    refused: str = ""
    """Why it was not even loaded; empty: it was, and answered ordinary rows."""
    answered: int = 0
    """Misbehaving rows that the champion answered."""
    by_candidate: int = 0
    """… that the candidate answered, rightly: it was slow, or not yet at its limit."""
    shown: int = 0
    """… that were answered with what the candidate should not have said."""
    failed: list[str] = field(default_factory=list)
    """… that got anything else than a 200."""
    slowest_seconds: float = 0.0
    kept: int = 0
    """Wrong answers among the captured ones, whatever their role."""
    reason: str = ""
    """Of the first captured failure."""


@dataclass
class Seen:
    cases: list[Case] = field(default_factory=list)
    grown_mb: float = 0.0
    died: int = 0
    """Gateway processes."""
    left_over: int = 0
    """Processes of candidates that outlived their route."""


def measure(scale: Scale) -> Seen:
    seen = Seen()
    for kind, behaviours in (("code", scale.code), ("onnx", scale.onnx)):
        with tempfile.TemporaryDirectory(prefix="bench-misbehaving-") as name:
            arguments = ("--deadline-seconds", str(CALL_SECONDS), "--memory-mb", str(MEMORY_MB))
            with Stand(Path(name), *arguments) as stand:
                _all(stand, kind, behaviours, scale, seen)
    return seen


def _all(stand: Stand, kind: str, behaviours: tuple[str, ...], scale: Scale, seen: Seen) -> None:
    champion = linear_unit(stand.directory, 40)
    stand.publish(Route(model="shop", champion=champion))
    gateway = stand.start()
    before = gateway.memory_mb()
    for behaviour in behaviours:
        for role in scale.roles:
            case = Case(kind, behaviour, role)
            _play(stand, gateway, _candidate(stand, kind, behaviour, role), champion, case, scale.asked)
            seen.cases.append(case)
            seen.died += gateway.process.poll() is not None
            if gateway.process.poll() is not None or not gateway_answers(stand):
                gateway.close()
                gateway = stand.start()
                seen.died += 1
    stand.publish(Route(model="shop", champion=champion))
    gateway.reload()
    until = time.monotonic() + 15
    while gateway.children() and time.monotonic() < until:
        time.sleep(0.1)
    seen.left_over += len(gateway.children())
    seen.grown_mb = max(seen.grown_mb, gateway.memory_mb() - before)


def _candidate(stand: Stand, kind: str, behaviour: str, role: str) -> ServedUnit:
    number = len(list(stand.directory.glob("candidate-*")))
    content = code(Candidate(behaviour)) if kind == "code" else onnx(behaviour, NAMES[0])
    form = Format.CODE if kind == "code" else Format.ONNX
    return package(stand.directory / f"candidate-{number}-{role}", content, SIGNATURE, f"uc{number:011d}", form)


def _play(stand: Stand, gateway: Gateway, candidate: ServedUnit, champion: ServedUnit, case: Case, asked: int) -> None:
    more: dict[str, Any] = {"shadows": (candidate,)}
    if case.role == "canary":
        more = {"canary": candidate, "canary_weight": 1.0, "salt": candidate.unit.id}
    stand.publish(Route(model="shop", champion=champion, **more))
    try:
        gateway.reload()
    except httpx.HTTPStatusError as refused:
        case.refused = refused.response.json()["detail"]
        return
    with stand.client() as client:
        for _ in range(3):
            _ask(client, case, candidate.unit.id, trigger=False)
        case.answered = case.by_candidate = 0
        for _ in range(asked):
            _ask(client, case, candidate.unit.id, trigger=True)
    if case.role == "shadow":
        _await_shadow(gateway)
    _look_at_what_was_kept(stand, candidate.unit.id, case)


def _ask(client: httpx.Client, case: Case, unit: str, *, trigger: bool) -> None:
    row = json.loads(ONE_ROW) | ({NAMES[0]: TRIGGER} if trigger else {})
    begun = time.monotonic()
    try:
        answer = client.post(
            "/models/shop/predict",
            json={"rows": [row]},
            headers={"X-Flyball-Timeout-Ms": str(int(DEADLINE_SECONDS * 1000))},
            timeout=3 * DEADLINE_SECONDS,
        )
    except httpx.HTTPError as broken:
        case.failed.append(type(broken).__name__)
        return
    finally:
        case.slowest_seconds = max(case.slowest_seconds, time.monotonic() - begun)
    if answer.status_code != 200:
        case.failed.append(f"{answer.status_code} {answer.text[:200]}")
        return
    told = answer.json()["predictions"][0]
    if told["unit"] != unit:
        case.answered += 1
    elif told["score"] == GOOD_SCORE and (not trigger or case.behaviour in HARMLESS):
        case.by_candidate += 1
    else:
        case.shown += 1


def gateway_answers(stand: Stand) -> bool:
    """Within a second, at most."""
    try:
        with stand.client() as client:
            return client.get("/v2/health/live", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def _await_shadow(gateway: Gateway) -> None:
    until = time.monotonic() + 30
    while gateway.metric("flyball_shadow_waiting_rows") and time.monotonic() < until:
        time.sleep(0.05)


def _look_at_what_was_kept(stand: Stand, unit: str, case: Case) -> None:
    read = segments.read(stand.capture)
    for record in read.records:
        if record.get("unit") == unit and record["k"] == "p":
            case.kept += sum(scores != [GOOD_SCORE] for scores in record["scores"])
        if record.get("unit") == unit and record["k"] == "f":
            case.reason = case.reason or record["reason"]


def tables(seen: Seen) -> list[Table]:
    table = Table(
        "candidate", "as", "by the champion", "by itself", "wrong", "not 200", "slowest", "why not", box=None, pad_edge=False
    )
    for case in seen.cases:
        table.add_row(
            f"{case.kind}: {case.behaviour}", case.role, str(case.answered), str(case.by_candidate), str(case.shown + case.kept),
            str(len(case.failed)), f"{case.slowest_seconds:.2f} s", (case.refused or case.reason or "-")[:110],
        )  # fmt: skip
    return [table]


def bars(seen: Seen) -> list[Bar]:
    rows = sum(each.answered + each.by_candidate for each in seen.cases)
    wrong = [f"{each.kind} {each.behaviour} ({each.role})" for each in seen.cases if each.shown or each.kept]
    failed = [f"{each.kind} {each.behaviour} ({each.role}): {each.failed[0][:60]}" for each in seen.cases if each.failed]
    slowest = max(each.slowest_seconds for each in seen.cases)
    return [
        Bar(
            f"{len(seen.cases)} candidates that misbehave: whose wrong answers were shown or kept {wrong or ''}",
            len(wrong),
            0,
            least=False,
        ),
        Bar(f"… that cost a client its answer, of {rows:,} {failed or ''}", len(failed), 0, least=False),
        Bar("… slowest answer", slowest, DEADLINE_SECONDS * 1.1, least=False, unit=" s"),
        Bar("… gateways that died or hung", seen.died, 0, least=False),
        Bar("… processes of candidates left over", seen.left_over, 0, least=False),
        Bar("… memory of the gateway grown", seen.grown_mb, GROWN_MB, least=False, unit=" MB"),
    ]
