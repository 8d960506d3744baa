"""Rows as the bench passes them about: columns of numbers and words, the model's score, the label, the time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SCORE = "prediction"
"""How every subject sees the model's score: as one more column."""
START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday: where the time of every stream begins."""
WEEK = timedelta(weeks=1)


@dataclass(frozen=True)
class Frame:
    """Rows of one table."""

    columns: Mapping[str, NDArray[Any]]
    """Numbers as float64 with NaN, categories as object with ''."""
    score: Floats
    """Probability of the positive class, or the value."""
    label: Floats
    event_us: Ints | None = None
    task: str = "binary"

    def __len__(self) -> int:
        return self.score.size

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @property
    def seen(self) -> dict[str, NDArray[Any]]:
        """What a monitor of drift may look at."""
        return {**self.columns, SCORE: self.score}

    def is_category(self, name: str) -> bool:
        return name != SCORE and self.columns[name].dtype == object

    def take(self, rows: Ints) -> "Frame":
        return replace(
            self,
            columns={name: values[rows] for name, values in self.columns.items()},
            score=self.score[rows],
            label=self.label[rows],
            event_us=None if self.event_us is None else self.event_us[rows],
        )

    def with_columns(self, changed: Mapping[str, NDArray[Any]]) -> "Frame":
        return replace(self, columns={**self.columns, **changed})

    def at(self, event_us: Ints) -> "Frame":
        return replace(self, event_us=event_us)

    def narrowed(self, features: int, shuffled: "Callable[[np.random.Generator], Ints] | None" = None) -> "Frame":
        """The first `features` columns; more than there are: copies, each with the rows in an order of its own (`shuffled` makes one), so that copies are
        independent."""
        columns, draw, copy = dict(self.columns), np.random.default_rng(features), 1
        while len(columns) < features:
            copy += 1
            order = draw.permutation(len(self)) if shuffled is None else shuffled(draw)
            columns |= {f"{name}#{copy}": values[order] for name, values in self.columns.items()}
        return replace(self, columns=dict(list(columns.items())[:features]))


def joined(frames: list[Frame]) -> Frame:
    """One below the other."""
    first = frames[0]
    times = [frame.event_us for frame in frames if frame.event_us is not None]
    return replace(
        first,
        columns={name: np.concatenate([frame.columns[name] for frame in frames]) for name in first.columns},
        score=np.concatenate([frame.score for frame in frames]),
        label=np.concatenate([frame.label for frame in frames]),
        event_us=np.concatenate(times) if len(times) == len(frames) else None,
    )


@dataclass(frozen=True)
class Past:
    """What is known before the first window."""

    reference: Frame
    window: timedelta
    window_rows: int
    """At most."""


@dataclass(frozen=True)
class Stream:
    """A past and what comes after it. Windows are made when they are asked for: ten thousand of them do not fit into memory."""

    past: Past
    count: int
    make: Callable[[int], Frame] = field(repr=False)
    """Number of a window → its rows, with times. The same number gives the same rows."""

    def start(self, number: int) -> datetime:
        return START + number * self.past.window


def evenly(frame: Frame, start: datetime, span: timedelta) -> Frame:
    """The rows at equal distances over `span`."""
    first = round(start.timestamp() * 1_000_000)
    step = (span / timedelta(microseconds=1)) / max(len(frame), 1)
    return frame.at(first + (np.arange(len(frame)) * step).astype(np.int64))
