"""When a replay sends what: predictions at their event time, labels when their outcome became known, some twice, some late. Pure."""

from datetime import timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from flyball.spec import ReplaySpec

Integers = npt.NDArray[np.int64]

MOST_ROWS, MOST_LABELS = 1_000, 5_000
"""Of one request: an hour may hold more than a gateway reads at once (`serve.max_body_mb`), and a thousand rows of four hundred features are some 8 MB."""


class Requests(NamedTuple):
    """Rows start[i] to stop[i] (excluded) of the history go out together at at_us[i]."""

    start: Integers  # (n_requests,)
    stop: Integers  # (n_requests,)
    at_us: Integers  # (n_requests,) microseconds UTC, never falling


class LabelSchedule(NamedTuple):
    """Labels in the order in which they are sent."""

    row: Integers  # (n_sent,) index into the history
    send_us: Integers  # (n_sent,) microseconds UTC, never falling
    observed_us: Integers  # (n_sent,) when the outcome became known, whenever it is sent
    again: npt.NDArray[np.bool_]  # (n_sent,) True: sent before


def schedule_requests(times: pl.Series, together: timedelta = timedelta(hours=1), most: int = MOST_ROWS) -> Requests:
    """Rows whose event times fall into the same hour go out together at the earliest of these times: no prediction comes after its outcome. `most` rows share a
    request.

    `times`: event times, UTC. Raises ValueError when they are not in order.
    """
    at = _microseconds(times)
    if at.size == 0:
        return Requests(at, at, at)
    if np.any(np.diff(at) < 0):
        raise ValueError("event times in rising order, found one before its predecessor")
    bucket = at // _whole_microseconds(together)
    first = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1)).astype(np.int64)
    of_row = np.repeat(first, np.diff(np.append(first, at.size)))  # (n_rows,) first row of its hour
    start = np.flatnonzero((np.arange(at.size) - of_row) % most == 0).astype(np.int64)
    stop = np.append(start[1:], at.size).astype(np.int64)
    return Requests(start, stop, at[of_row[start]])


def schedule_labels(label_times: pl.Series, replay: ReplaySpec, generator: np.random.Generator) -> LabelSchedule:
    """Every known outcome once when it became known; a share of them late, and a share a second time after the first.

    `label_times`: when the outcomes became known, UTC, row by row; null: never, and no label is sent. The same generator state gives the same schedule.
    """
    known = np.flatnonzero(label_times.is_not_null().to_numpy()).astype(np.int64)
    observed = _microseconds(label_times.drop_nulls())
    longest = _whole_microseconds(replay.late_by_at_most)
    first_send = observed.copy()
    late = _pick(known.size, replay.late_labels, generator)
    first_send[late] += _delays(late.size, longest, generator)
    twice = _pick(known.size, replay.duplicate_labels, generator)
    second_send = first_send[twice] + _delays(twice.size, longest, generator)

    row = np.concatenate([known, known[twice]])
    send = np.concatenate([first_send, second_send])
    again = np.concatenate([np.zeros(known.size, bool), np.ones(twice.size, bool)])
    order = np.argsort(send, kind="stable")  # stable: ties stay in order of rows on every machine
    return LabelSchedule(row[order], send[order], np.concatenate([observed, observed[twice]])[order], again[order])


def _pick(n: int, share: float, generator: np.random.Generator) -> Integers:
    """Exactly the share (rounded), each row at most once."""
    return np.sort(generator.choice(n, size=round(share * n), replace=False)).astype(np.int64)


def _delays(n: int, longest: int, generator: np.random.Generator) -> Integers:
    """Uniform in (0, longest]: never nothing."""
    return generator.integers(1, max(longest, 1), size=n, endpoint=True, dtype=np.int64)


def _microseconds(times: pl.Series) -> Integers:
    return times.dt.epoch("us").to_numpy().astype(np.int64)


def _whole_microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
