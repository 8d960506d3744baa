"""Flyball's gateway as a server to be measured: packages, routing table, tokens, and the workers that run on them."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.model import package
from bench.serving.pipeline import SIGNATURE, Row
from bench.serving.servers import Scored, Server, Stage, own_variables
from flyball.adapters.standalone.routing_file import RoutingFile
from flyball.capture.framing import unframe
from flyball.records import codec
from flyball.records.captured import Captured, PredictionBatch
from flyball.records.routing import Route, RoutingTable, ServedUnit

MODEL = "shop"
TOKEN = "a-client-of-the-benchmark"
UNITS = {"champion": "u00000000cafe", "canary": "u00000000beef"}
CANARY_WEIGHT = 0.05
CANARY_SLACK = 0.02
"""Of its share: a segment holds a hundred thousand rows and more, so this is far beyond chance."""
_KINDS = {"number": "FP64", "integer": "INT64", "category": "BYTES"}
_BY = {unit: name for name, unit in UNITS.items()}


def flyball(
    name: str, *, workers: int = 1, canary: bool = True, shadow: bool = False, capture: bool = True, plain: bool = True
) -> Server:
    """Token, validation, ids, metrics, and what is asked for of the rest; `plain` or Open Inference."""
    return Server(
        name=name,
        kind="flyball",
        commands=lambda stage: [_command(stage, number, capture) for number in range(workers)],
        path=f"/models/{MODEL}/predict" if plain else f"/v2/models/{MODEL}/infer",
        body=(lambda rows: {"rows": list(rows)}) if plain else tensors,
        read=read_plain if plain else read_tensors,
        headers={"Authorization": f"Bearer {TOKEN}"},
        prepare=lambda stage: _lay_out(stage, canary=canary, shadow=shadow),
        prove=lambda stage: prove(stage, canary=canary, capture=capture),
        ready=lambda stage: all((state(stage) / "gateways" / f"w{number}.json").exists() for number in range(workers)),
        variables=own_variables(),
        shares_socket=True,
    )


def standalone(name: str, workers: int = 1) -> Server:
    """As a person starts it: `flyball gateway` with its supervisor, and everything on."""
    prepared = flyball(name)
    return replace(
        prepared,
        commands=lambda stage: [
            [sys.executable, "-m", "flyball", "gateway", "--routing", str(_routing(stage)), "--state-dir", str(state(stage)),
             "--workers", str(workers), "--port", str(stage.ports[0])]
        ],
        prepare=_lay_out_standalone,
        ready=lambda stage: all((state(stage) / "gateways" / f"{number}.json").exists() for number in range(workers)),
        shares_socket=False,
    )  # fmt: skip


def prove(stage: Stage, *, canary: bool, capture: bool) -> None:
    """That everything which is said to be on was on: by what was captured. Raises RuntimeError."""
    segments = sorted((state(stage) / "capture").glob("*.seg"))
    if not capture and not segments:
        return
    rows: Counter[str] = Counter()
    for payload in unframe(segments[0].read_bytes()).payloads if segments else ():
        record = msgspec.msgpack.decode(payload, type=Captured)
        if isinstance(record, PredictionBatch):
            rows[record.role] += len(record.ids)
    share = rows["canary"] / max(1, rows["canary"] + rows["champion"])
    off = abs(share - CANARY_WEIGHT) > CANARY_SLACK if canary else share > 0
    if off or not rows["champion"] or not capture:
        raise RuntimeError(f"found {dict(rows)} captured, expected {'a share of 5 % for the canary' if canary else 'no canary'}")


def state(stage: Stage) -> Path:
    return stage.directory / "state"


def tensors(rows: Sequence[Row]) -> dict[str, Any]:
    """One Open Inference tensor a column."""
    return {
        "inputs": [
            {
                "name": column.name,
                "datatype": _KINDS[column.type],
                "shape": [len(rows)],
                "data": [row[column.name] for row in rows],
            }
            for column in SIGNATURE.columns
        ]
    }


def read_plain(answer: Any) -> list[Scored]:
    return [Scored(each["score"], _BY[each["unit"]]) for each in answer["predictions"]]


def read_tensors(answer: Any) -> list[Scored]:
    scores, said = answer["outputs"][0]["data"], answer["parameters"]
    units = said.get("units") or [said["unit"]] * len(scores)
    return [Scored(score, _BY[unit]) for score, unit in zip(scores, units, strict=True)]


def _command(stage: Stage, number: int, capture: bool) -> list[str]:  # noqa: FBT001
    # A lease that never ends: no controller runs here to renew it, and looking at it costs the same.
    command = [sys.executable, "-m", "flyball.gateway", "--state-dir", str(state(stage)), "--worker", f"w{number}"]
    return [*command, "--lease-seconds", "1e6", "--fd", "{socket}", *([] if capture else ["--no-capture"])]


def _lay_out(stage: Stage, *, canary: bool, shadow: bool) -> None:
    units = {name: _unit(stage, name) for name in UNITS}
    route = Route(
        model=MODEL,
        champion=units["champion"],
        canary=units["canary"] if canary else None,
        canary_weight=CANARY_WEIGHT if canary else 0.0,
        shadows=(units["canary"],) if shadow else (),
        salt="bench",
    )
    publish(stage, [route])


def _lay_out_standalone(stage: Stage) -> None:
    for name in UNITS:
        _unit(stage, name)
    canary = f"{{package: canary, weight: {CANARY_WEIGHT}}}"
    _routing(stage).write_text(f"models: {{{MODEL}: {{champion: champion, canary: {canary}}}}}")
    route = RoutingFile(_routing(stage)).compiled().routes[0]
    for served, name in zip(route.units, UNITS, strict=True):
        _BY[served.unit.id] = name  # a unit that no registry knows is named by its content
    state(stage).mkdir(mode=0o700)
    (state(stage) / "token").write_text(TOKEN)
    (state(stage) / "token").chmod(0o600)


def _routing(stage: Stage) -> Path:
    return stage.directory / "routing.yaml"


def publish(stage: Stage, routes: Sequence[Route]) -> None:
    """A state directory that a worker can start from."""
    directory = state(stage)
    directory.mkdir()
    table = RoutingTable(revision=1, written_at=datetime(2026, 1, 1, tzinfo=UTC), routes=tuple(routes))
    (directory / "routing.json").write_bytes(codec.encode(table))
    for name, token in (("token", "the-owner-of-the-benchmark"), ("token.client", TOKEN)):
        (directory / name).write_text(token)
        (directory / name).chmod(0o600)
    (directory / "lease").touch()


def _unit(stage: Stage, name: str) -> ServedUnit:
    content = (stage.workspace.directory / f"{name}.onnx").read_bytes()
    return package(stage.directory / name, content, SIGNATURE, UNITS[name])
