"""How long the forms of one model take, side by side, and which is the fastest."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from flyball.adapters.runtimes import Model
from flyball.stats.one_thread import one_thread

MANY_ROWS = 256
"""A batch as a busy gateway makes them, and a size at which some ensembles that win at one row lose."""

MANY_ROWS_WORSE = 2.0
"""One row decides, unless a form takes more than so many times as long as the quickest at MANY_ROWS."""

FASTER = 0.8
"""A form must take at most this share of an earlier one's time to displace it: less is noise, and the same run should choose the same form."""

ELSEWHERE_US = 500.0
"""What a call costs more in a process of its own, where code runs: pipe and wake-up of a process that has slept."""

_SECONDS = 0.5
"""For all forms together, in rounds; one round is always made."""
_ROUNDS = 40
_CALLS = 8
"""Of one row in each form's turn; of the trained one, which takes milliseconds, one."""


class Timing(NamedTuple):
    """Medians of one call."""

    one_row_us: float
    many_rows_us: float


def timed(forms: Mapping[str, Model], trained: Model, frame: pl.DataFrame) -> tuple[dict[str, Timing], Timing]:
    """Of each form, and of the trained estimator. Interleaved: what else the machine does falls on all alike. On one thread, as gateways serve code and data."""
    many = (
        pl.concat([frame] * (1 + MANY_ROWS // frame.height)).head(MANY_ROWS)
        if frame.height < MANY_ROWS
        else frame.head(MANY_ROWS)
    )
    single = many.head(_CALLS)
    entries = {**{name: (model, _CALLS) for name, model in forms.items()}, "": (trained, 1)}
    fed = {
        name: ([model.feed(single.slice(row % single.height, 1)) for row in range(calls)], model.feed(many))
        for name, (model, calls) in entries.items()
    }
    with one_thread(anew=True):
        taken = _rounds(entries, fed)
    medians = {name: Timing(float(np.median(one)) * 1e6, float(np.median(whole)) * 1e6) for name, (one, whole) in taken.items()}
    return {name: medians[name] for name in forms}, medians[""]


def _rounds(
    entries: Mapping[str, tuple[Model, int]], fed: Mapping[str, tuple[list[object], object]]
) -> dict[str, tuple[list[float], list[float]]]:
    """Seconds of all calls of one row, and of many."""
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in entries}
    until = time.perf_counter() + _SECONDS
    for round_ in range(_ROUNDS):
        for name, (model, _) in entries.items():
            ones, whole = fed[name]
            _call(model, [ones[0]])  # the form before it has just filled the caches
            taken[name][0].extend(_call(model, ones))
            taken[name][1].extend(_call(model, [whole]))
        if round_ and time.perf_counter() > until:
            break
    return taken


def fastest(timings: Sequence[Timing]) -> int:
    """Which one: by one row, among those that are not far behind at MANY_ROWS; an earlier one stays unless a later one is clearly faster."""
    quickest = min(timing.many_rows_us for timing in timings)
    chosen: int | None = None
    for number, timing in enumerate(timings):
        if timing.many_rows_us > MANY_ROWS_WORSE * quickest:
            continue
        if chosen is None or timing.one_row_us < FASTER * timings[chosen].one_row_us:
            chosen = number
    if chosen is None:
        raise ValueError("no form was timed")
    return chosen


def faster_as_trained(form: Timing, trained: Timing) -> bool:
    """The trained model wins over the proven form clearly at one row and at MANY_ROWS, in the process of its own that it would be called in.

    Both, since code is worse to have in all but speed: a form that is quick for one of them stays.
    """
    pairs = ((trained.one_row_us, form.one_row_us), (trained.many_rows_us, form.many_rows_us))
    return all(code + ELSEWHERE_US < FASTER * data for code, data in pairs)


def _call(model: Model, fed: Sequence[object]) -> list[float]:
    """Seconds of each."""
    taken = []
    for each in fed:
        started = time.perf_counter()
        model.score(each)
        taken.append(time.perf_counter() - started)
    return taken
