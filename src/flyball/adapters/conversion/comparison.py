"""On which rows a served form must answer like the trained estimator."""

import time
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from flyball.adapters import estimators
from flyball.adapters.conversion.edges import MISSING, far, near, rows_at
from flyball.adapters.runtimes import Model
from flyball.records.scores import Scores
from flyball.records.signature import Signature

MOST_ROWS = 20_000
"""Of those trained on: a second for most models, and what a conversion does wrong beyond them it does in one row of thousands."""
_SECONDS = 5.0
"""That the estimator gets for the rows it was trained on; a form served as code is asked about them twice more."""
_FIRST_ROWS = 500
"""Asked at once, whatever time they take."""
_AT_ONCE = 500
"""Rows that a data format is asked about at a time."""
_LOOKED_THROUGH = 10 * MOST_ROWS
"""For their values: of a million rows of 500 columns it took half a minute."""


class Compared(NamedTuple):
    """Rows on which the served form must answer like the estimator, and the estimator's answers."""

    frame: pl.DataFrame
    scores: Scores
    refused: tuple[str, ...]
    """What the estimator itself cannot answer, in words; those rows are left out. And of how many of the rows trained on these are a part."""
    refuses_missing: tuple[str, ...] = ()
    """Columns of which the signature takes a missing value, and the estimator does not."""
    far_rows: int = 0
    """At the end of the frame, with a value thousands of times as far out as any that was seen."""

    def apart(self, answers: Scores, scale: float) -> float:
        """The largest difference, in scales. Far out a line's value is thousands of scales, and what its last digit is worth grows with it."""
        scales = np.full((self.frame.height, 1), scale)
        first = self.frame.height - self.far_rows
        scales[first:] = np.maximum(scale, np.abs(self.scores[first:]).max(axis=1, keepdims=True))
        return float((np.abs(answers - self.scores) / scales).max())


def difference(run: Model, compared: Compared, scale: float) -> float:
    """Of a data format, asked in parts: the graph of nearest neighbours holds the distances of all rows to all, which at 20,000 times 80,000 took the memory."""
    parts = [run(compared.frame.slice(first, _AT_ONCE)) for first in range(0, compared.frame.height, _AT_ONCE)]
    return compared.apart(np.concatenate(parts), scale)


def rows_to_compare(estimator: Any, features: pl.DataFrame, holdout: pl.DataFrame, signature: Signature) -> Compared:
    """The holdout; rows of `features`, where the values are at which trees divide; and edge rows: each column missing, unseen and at, beyond and far beyond its
    extremes, in three rows of the holdout."""
    refused: list[str] = []
    refuses_missing = []
    base = holdout.gather_every(max(1, holdout.height // 3)).head(3)
    parts, words = _trained_on(estimator, features, holdout, signature)
    edges = near(features, signature)
    rows = rows_at(edges, base)
    answered = np.ones(rows.height, dtype=bool)
    first = 0
    for edge in edges:
        after = first + len(edge.values) * base.height
        try:
            estimators.score(estimator, rows[first:after], signature)
        except Exception as error:  # noqa: BLE001 - the user's estimator: what it cannot answer is told, not compared
            answered[first:after] = False
            refused.append(_in_words(edge.name, error))
            refuses_missing += [edge.column.name] if edge.name == f"{MISSING} of {edge.column.name}" else []
        first = after
    distant = _answered(estimator, rows_at(far(features, signature), base), base.height, signature)
    frame = pl.concat([holdout, *parts, rows.filter(answered), distant])
    scores = estimators.score(estimator, frame, signature)
    return Compared(frame, scores, (*words, *refused), tuple(refuses_missing), distant.height)


def _in_words(what: str, error: Exception) -> str:
    return f"the trained model refuses {what}: {type(error).__name__}: {' '.join(str(error).split())[:120]}"


def _answered(estimator: Any, rows: pl.DataFrame, at_once: int, signature: Signature) -> pl.DataFrame:
    """Those that the estimator answers: all at once first, since hundreds of columns would be thousands of calls. The others nobody asks for, and are not told."""
    if not rows.height or _answers(estimator, rows, signature):
        return rows
    firsts = range(0, rows.height, at_once)
    return rows.filter(np.repeat([_answers(estimator, rows.slice(first, at_once), signature) for first in firsts], at_once))


def _answers(estimator: Any, rows: pl.DataFrame, signature: Signature) -> bool:
    try:
        estimators.score(estimator, rows, signature)
    except Exception:  # noqa: BLE001 - the user's estimator
        return False
    return True


def _trained_on(
    estimator: Any, features: pl.DataFrame, holdout: pl.DataFrame, signature: Signature
) -> tuple[list[pl.DataFrame], list[str]]:
    """What the estimator answers of them in time, and in words what was left out."""
    some = features if features.height <= MOST_ROWS else _sampled(features)
    some = some.unique(maintain_order=True).join(holdout, on=some.columns, how="anti", nulls_equal=True, maintain_order="left")
    # In any order: what is asked before time is up is a sample of all.
    some = some.sample(fraction=1.0, shuffle=True, seed=0)
    until = time.perf_counter() + _SECONDS
    asked, step = 0, _FIRST_ROWS
    try:
        while asked < some.height and (not asked or time.perf_counter() < until):
            estimators.score(estimator, some.slice(asked, step), signature)
            asked, step = min(some.height, asked + step), 2 * step
    except Exception as error:  # noqa: BLE001 - as of the edge rows
        return [], [_in_words("rows that it was trained on", error)]
    if asked == some.height and features.height <= MOST_ROWS:
        return [some], []
    why = (
        "those with the commonest values and an even sample"
        if asked == some.height
        else "of more the trained model takes too long"
    )
    return [some.head(asked)], [f"compared on {holdout.height + asked:,} of {features.height:,} rows ({why})"]


def _sampled(features: pl.DataFrame) -> pl.DataFrame:
    """MOST_ROWS. One half are those that first show the commonest values, since what goes wrong at a value goes wrong in all rows that have it; the others lie evenly."""
    thinned = _evenly(features, _LOOKED_THROUGH)
    shows = np.zeros(thinned.height, dtype=np.int64)
    for name in thinned.columns:
        rows = pl.when(pl.col(name).is_first_distinct()).then(pl.len().over(name)).otherwise(0)
        shows = np.maximum(shows, thinned.select(rows.cast(pl.Int64).alias(name))[name].to_numpy())
    order = np.argsort(-shows, kind="stable")
    first, rest = order[: MOST_ROWS // 2], np.sort(order[MOST_ROWS // 2 :])
    return pl.concat([thinned[first], _evenly(thinned[rest], MOST_ROWS - len(first))])


def _evenly(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    return rows if rows.height <= most else rows[np.linspace(0, rows.height - 1, most).astype(np.int64)]
