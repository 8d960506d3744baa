"""How long the served form takes for one row."""

import time
from collections.abc import Sequence

import numpy as np
import polars as pl

from flyball.adapters.conversion import Served
from flyball.adapters.conversion.timing import ELSEWHERE_US
from flyball.gates.decide import LATENCY
from flyball.records.evidence import Evidence
from flyball.records.unit import Format
from flyball.stats.one_thread import one_thread

_CALLS = 300
"""The 99th percentile then rests on three calls; more cost seconds with code formats."""
_WARM_UP = 20


def latency(served: Served, features: pl.DataFrame) -> tuple[Evidence, ...]:
    """One row at a time, handed over as a gateway does and on one thread, as it serves, after a warm-up. To code is added what a process of its own costs a call, as
    where it was chosen."""
    fed = [served.run.feed(features.slice(i % features.height, 1)) for i in range(_CALLS + _WARM_UP)]
    taken = []
    with one_thread(anew=True):
        for row in fed:
            started = time.perf_counter()
            served.run.score(row)
            taken.append((time.perf_counter() - started) * 1000.0)
    code = served.format is Format.CODE
    warm = np.asarray(taken[_WARM_UP:]) + (ELSEWHERE_US / 1000.0 if code else 0.0)
    elsewhere = f", and {ELSEWHERE_US / 1000.0:g} ms for a call of its process" if code else ""
    return tuple(
        Evidence(
            name=f"latency_p{q}_ms",
            value=round(float(np.percentile(warm, q)), 4),
            n=_CALLS,
            unit="calls",
            method=f"one row, {served.format}{elsewhere}",
        )
        for q in (50, 99)
    )


def p99_ms(taken: Sequence[Evidence]) -> float:
    return next(float(item.value or 0.0) for item in taken if item.name == LATENCY)
