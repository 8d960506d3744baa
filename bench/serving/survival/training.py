"""A model that is trained on the machine that serves: what requests notice, where the training gives way as a job does and where it does not."""

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from rich.table import Table

from bench.serving.bars import Bar
from bench.serving.survival.client import Crowd
from bench.serving.survival.models import linear_unit
from bench.serving.survival.stand import Stand
from flyball.adapters.giving_way import give_way
from flyball.records.routing import Route

FITS = """
import time
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
draw = np.random.default_rng(0)
rows = draw.normal(size=(60_000, 15))
label = rows[:, 0] + draw.normal(size=60_000) > 0
print("ready", flush=True)
while True:
    started = time.perf_counter()
    HistGradientBoostingClassifier(max_iter=100, early_stopping=False).fit(rows, label)
    print(time.perf_counter() - started, flush=True)
"""
ALONE, AS_IT_COMES, GIVING_WAY = "no training", "a training as it comes", "a training that gives way, as jobs do"
ABOVE = 0.5
"""Of the p99 without a training."""


@dataclass(frozen=True)
class Scale:
    seconds: float
    rounds: int
    rate: float = 500.0
    connections: int = 16


FULL, SHORT = Scale(15.0, 3), Scale(5.0, 1)


@dataclass
class Seen:
    answered: int = 0
    failed: int = 0
    p50_ms: dict[str, list[float]] = field(default_factory=dict)
    """By what was trained beside; a figure a round."""
    p99_ms: dict[str, list[float]] = field(default_factory=dict)
    p999_ms: dict[str, list[float]] = field(default_factory=dict)
    fit_seconds: dict[str, list[float]] = field(default_factory=dict)
    """The median fit of a round."""


def measure(scale: Scale) -> Seen:
    seen = Seen()
    for _ in range(scale.rounds):
        for beside in (ALONE, AS_IT_COMES, GIVING_WAY):
            with tempfile.TemporaryDirectory(prefix="bench-training-") as name, ExitStack() as stack:
                _round(Path(name), scale, beside, seen, stack)
    return seen


def _round(directory: Path, scale: Scale, beside: str, seen: Seen, stack: ExitStack) -> None:
    stand = stack.enter_context(Stand(directory))
    stand.publish(Route(model="shop", champion=linear_unit(directory, 0)))
    stand.start()
    training = None if beside == ALONE else _train(stack, gives_way=beside == GIVING_WAY)
    with Crowd(stand.plan(connections=scale.connections, rate=scale.rate)) as crowd:
        time.sleep(scale.seconds)
    outcome = crowd.outcome
    seen.answered += len(outcome.answered_ids())
    seen.failed += outcome.failures
    for quantile, into in ((0.5, seen.p50_ms), (0.99, seen.p99_ms), (0.999, seen.p999_ms)):
        into.setdefault(beside, []).append(round(outcome.quantile_ms(quantile), 3))
    if training is not None:
        training.kill()
        took = sorted(float(line) for line in training.communicate()[0].splitlines() if line)
        seen.fit_seconds.setdefault(beside, []).append(round(took[len(took) // 2], 3))


def _train(stack: ExitStack, *, gives_way: bool) -> "subprocess.Popen[str]":
    process = stack.enter_context(subprocess.Popen([sys.executable, "-c", FITS], stdout=subprocess.PIPE, text=True))
    stack.callback(process.kill)
    if gives_way:
        give_way(psutil.Process(process.pid), 1)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def tables(seen: Seen) -> tuple[Table, ...]:
    table = Table("beside", "p50, ms", "p99, ms", "p99.9, ms", "a fit, s", box=None)
    for beside in (ALONE, AS_IT_COMES, GIVING_WAY):
        fits = seen.fit_seconds.get(beside)
        figures = (_median(each[beside]) for each in (seen.p50_ms, seen.p99_ms, seen.p999_ms))
        table.add_row(beside, *(f"{each:.2f}" for each in figures), f"{_median(fits):.2f}" if fits else "")
    return (table,)


def bars(seen: Seen) -> list[Bar]:
    alone, gives, takes = (_median(seen.p99_ms[each]) for each in (ALONE, GIVING_WAY, AS_IT_COMES))
    return [
        Bar(f"beside a training: failed of {seen.answered:,}", seen.failed, 0, least=False),
        Bar(f"… p99 above that without (it is {takes / alone - 1:+.0%} where the training takes what it gets)", gives / alone - 1, ABOVE, least=False),
    ]  # fmt: skip


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
