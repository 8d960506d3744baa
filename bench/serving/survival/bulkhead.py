"""Twenty models in one worker; one is asked for far more than it can do: what the nineteen others notice."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.model import NAMES, SIGNATURE, package
from bench.serving.bars import Bar, above
from bench.serving.survival.client import Crowd, Outcome, Plan, ask
from bench.serving.survival.models import CodeModel, code_unit, linear_unit
from bench.serving.survival.stand import Stand
from flyball.records.routing import Route, ServedUnit
from flyball.records.unit import Format

MODELS = 20
PATHS = tuple(f"/models/m{number:02d}/predict" for number in range(1, MODELS))
"""Of the nineteen."""
LIGHTGBM, CODE = 3, 2
"""Of the nineteen; the others are ONNX."""
OTHERS_CONNECTIONS, OTHERS_PAUSE = 16, 0.02
SLOW_SECONDS = {"7 ms a row": 0.007, "0.7 ms a row": 0.0007}
PAIRED = "7 ms a row"
"""Where latencies are compared: thousands of refusals a second of the other one are as much work for the loop as answers."""
SATURATING = {"7 ms a row": (700, 1.0), "0.7 ms a row": (1000, 0.1)}
"""Connections that ask the slow model again and again, and their mean pause: five times what it can, and more than would fit if all waited."""


@dataclass(frozen=True)
class Scale:
    seconds: float
    rounds: int
    kinds: tuple[str, ...] = tuple(SLOW_SECONDS)


FULL, SHORT = Scale(6.0, 3), Scale(3.0, 1)


@dataclass
class Told:
    """Beside one slow model."""

    calm_p99_ms: list[float] = field(default_factory=list)
    busy_p99_ms: list[float] = field(default_factory=list)
    apart_p99_ms: list[float] = field(default_factory=list)
    """While the same crowd asks the same slow model in a gateway of its own: what the machine's cores alone make of it."""
    others: int = 0
    failed_others: int = 0
    first_failure: str = ""
    saturated: dict[int, int] = field(default_factory=dict)
    """Statuses of the slow model."""


def measure(scale: Scale) -> dict[str, Told]:
    return {name: _measured(name, scale) for name in scale.kinds}


def bars(seen: dict[str, Told]) -> list[Bar]:
    said: list[Bar] = []
    for name, told in seen.items():
        shed = told.saturated.get(429, 0) + told.saturated.get(503, 0)
        words = f"one of {MODELS} saturated ({name}, {shed:,} refused)"
        said.append(Bar(f"{words}: failed requests of the others, of {told.others:,}", told.failed_others, 0, least=False))
        if name == PAIRED:
            # Two gateways and two clients on few cores wait for each other: no data plane can be better than having nothing in common.
            apart = above(told.apart_p99_ms, told.calm_p99_ms)
            words = f"… their p99 above that without (the slow one in a gateway of its own: {apart:.2f})"
            said.append(Bar(words, above(told.busy_p99_ms, told.calm_p99_ms), 0.1, least=False))
    return said


def _measured(kind: str, scale: Scale) -> Told:
    told = Told()
    with (
        tempfile.TemporaryDirectory(prefix="bench-bulkhead-") as name,
        Stand(Path(name) / "all") as stand,
        Stand(Path(name) / "apart") as alone,
    ):
        slow = code_unit(stand.directory, "slow", CodeModel(seconds_a_row=SLOW_SECONDS[kind]))
        units = [slow, *_others(stand.directory)]
        stand.publish(*(Route(model=f"m{number:02d}", champion=unit) for number, unit in enumerate(units)))
        alone.publish(Route(model="m00", champion=slow))
        for each in (stand, alone):
            each.start()
        others = stand.plan(
            paths=PATHS, connections=OTHERS_CONNECTIONS, pause_seconds=OTHERS_PAUSE, seconds=scale.seconds, prefix="o"
        )
        ask(others)
        for _ in range(scale.rounds):
            _note(told, ask(others), told.calm_p99_ms)
            for status, count in _beside(stand, stand, others, kind, told, told.busy_p99_ms).items():
                told.saturated[status] = told.saturated.get(status, 0) + count
            if kind == PAIRED:
                _beside(alone, stand, others, kind, told, told.apart_p99_ms)
    return told


def _beside(asked: Stand, stand: Stand, others: Plan, kind: str, told: Told, p99_ms: list[float]) -> dict[int, int]:
    """The others, while a crowd asks the slow model at `asked`. Statuses that the crowd got."""
    connections, pause = SATURATING[kind]
    slow_ones = asked.plan(paths=("/models/m00/predict",), connections=connections, prefix="s", pause_seconds=pause)
    with Crowd(slow_ones) as crowd:
        ask(stand.plan(paths=PATHS, connections=1, seconds=1.5, prefix="w"))  # until its queue is full
        _note(told, ask(others), p99_ms)
    return crowd.outcome.counts()


def _note(told: Told, outcome: Outcome, p99_ms: list[float]) -> None:
    p99_ms.append(outcome.quantile_ms(0.99))
    told.others += len(outcome.status)
    told.failed_others += outcome.failures
    told.first_failure = told.first_failure or outcome.first_failure


def _others(directory: Path) -> list[ServedUnit]:
    code = [code_unit(directory, f"code-{number}", CodeModel()) for number in range(CODE)]
    trees = [
        package(directory / f"trees-{number}", _lightgbm(), SIGNATURE, f"u{100 + number:012d}", Format.LIGHTGBM)
        for number in range(LIGHTGBM)
    ]
    return [*code, *trees, *(linear_unit(directory, number) for number in range(MODELS - 1 - CODE - LIGHTGBM))]


def _lightgbm() -> bytes:
    import lightgbm

    draw = np.random.default_rng(5)
    values = draw.normal(size=(500, len(NAMES)))
    data = lightgbm.Dataset(values, label=(values[:, 0] > 0).astype(int), feature_name=list(NAMES))
    booster = lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1}, data, num_boost_round=20)
    return str(booster.model_to_string()).encode()
