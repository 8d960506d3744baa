"""What the served model makes of each feature: how its answers and losses change when one column is shuffled, missing or outside the reference."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.errors import DataError
from flyball.monitoring import blocks
from flyball.monitoring.streams import Stream

Floats = NDArray[np.float64]
Answer = Callable[[dict[str, Any]], tuple[Floats, Floats] | None]
"""Columns → scores (n_rows, n_scores) and bounded losses (n_rows,) of the same rows, with their labels; None: the model refuses such values."""

MOST_ROWS = 2_000
"""Of the holdout, evenly spaced: a change of the mean loss of 0.01 is seen."""
FAR = 10.0
"""Ranges of the reference: where a wrong unit puts a number. One range is where a moved world puts it."""
NEW = "⁇"
"""A category that no reference has."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """The holdout's rows with one column set to what the reference never had."""

    gain: float
    """Mean change of the loss."""
    reach: float
    """Mean absolute change of the loss: what cannot be exceeded by choosing which rows it happens to."""


class Sensitivity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One feature."""

    shuffled: float
    """Mean absolute change of the scores when the column is shuffled."""
    shuffled_reach: float
    """Mean absolute change of the loss then."""
    probes: dict[str, Probe] = {}
    """`missing`, `below`, `above` (numbers), `unseen` (categories)."""
    refused: tuple[str, ...] = ()
    """Probes that the model would not answer: what it makes of such values is not known."""

    @property
    def used(self) -> bool:
        """The model's answers depend on the column at all."""
        return self.shuffled > 0.0 or bool(self.refused) or any(probe.reach > 0.0 for probe in self.probes.values())


def sensitivities(
    answer: Answer, columns: Mapping[str, Any], streams: Sequence[Stream], nullable: Collection[str], seed: int
) -> dict[str, Sensitivity]:
    """Of each feature stream. `columns` of the holdout, whose rows `answer` knows by their number alone: it is called with all of them, in order.

    `nullable`: columns that may be missing; the others are not probed for it. Rounded to 6 digits: what the last bits of a library make of the same
    model is no use of a column. A probe that the model refuses is left out and named; a column whose very values it refuses in another order is left out whole.
    Raises DataError when `answer` gives another number of rows, or refuses the rows as they are.
    """
    n = len(next(iter(columns.values()), ()))
    if n == 0:
        raise DataError("sensitivities of no rows", expected="rows of the holdout")
    plain = {name: np.asarray(values) for name, values in columns.items()}
    base = _answered(answer, plain, n)
    if base is None:
        raise DataError("the model refuses the rows of its holdout", expected="scores of rows as it was trained on")
    found = {}
    for place, stream in enumerate(stream for stream in streams if stream.role == "feature" and stream.name in plain):
        shuffled = np.random.default_rng([seed, place]).permutation(plain[stream.name])
        moved = _answered(answer, plain | {stream.name: shuffled}, n)
        if moved is None:
            continue
        asked = {
            what: _probe(answer, plain, stream.name, values, base[1])
            for what, values in _values(stream, stream.name in nullable).items()
        }
        found[stream.name] = Sensitivity(
            shuffled=_short(np.abs(moved[0] - base[0]).sum(axis=1).mean()),
            shuffled_reach=_short(np.abs(moved[1] - base[1]).mean()),
            probes={what: probe for what, probe in asked.items() if probe is not None},
            refused=tuple(what for what, probe in asked.items() if probe is None),
        )
    return found


def some_rows(n: int) -> NDArray[np.int64]:
    """Which rows of a holdout of n are enough."""
    return blocks.sampled(n, -(-max(n, 1) // MOST_ROWS))


def _answered(answer: Answer, columns: dict[str, Any], n: int) -> tuple[Floats, Floats] | None:
    given = answer(columns)
    if given is None:
        return None
    scores, losses = (np.asarray(part, dtype=np.float64) for part in given)
    table = scores if scores.ndim == 2 else scores.reshape(-1, 1)
    if len(table) != n or losses.shape != (n,):
        raise DataError(
            f"{len(table)} scores and losses of shape {losses.shape} for {n} rows", expected="one of each for each row"
        )
    return table, losses


def _values(stream: Stream, missing: bool) -> dict[str, tuple[Any, ...]]:  # noqa: FBT001 - a fact of the column
    """What to set a column to, by the name of the probe; of several the first gives the gain, all the reach."""
    if stream.kind == "category":
        return {"unseen": (NEW,)} | ({"missing": ("",)} if missing else {})
    low, high = (stream.edges[0], stream.edges[-1]) if stream.edges else (0.0, 0.0)
    width = max(high - low, abs(high), 1.0)
    found: dict[str, tuple[Any, ...]] = {"below": (low - width, low - FAR * width), "above": (high + width, high + FAR * width)}
    return found | ({"missing": (float("nan"),)} if missing else {})


def _probe(answer: Answer, columns: dict[str, Any], name: str, values: tuple[Any, ...], base: Floats) -> Probe | None:
    """None: the model refuses one of the values."""
    n = base.size
    changes = []
    for value in values:
        given = _answered(answer, columns | {name: np.full(n, value, dtype=columns[name].dtype)}, n)
        if given is None:
            return None
        changes.append(given[1] - base)
    return Probe(gain=_short(changes[0].mean()), reach=_short(max(np.abs(change).mean() for change in changes)))


def _short(value: Any) -> float:
    return round(float(value), 6) + 0.0
