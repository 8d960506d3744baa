"""Who answers a request's rows: champion or canary by key, the champion again where a canary fails, shadows for comparison."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from flyball.errors import ModelFailed
from flyball.gateway.capture_writer import CaptureWriter
from flyball.gateway.ids import FreshIds
from flyball.gateway.lease import Lease
from flyball.gateway.metrics import Metrics
from flyball.gateway.runtimes.contract import Columns
from flyball.gateway.tables import LiveRoute, LiveUnit
from flyball.gateway.validation import Rows
from flyball.records.captured import Captured, FailureBatch, PredictionBatch
from flyball.records.routing import canary_answers

MAX_WAITING = 64
"""Calls that may wait for one model beside the event loop; more would only grow old in the queue, so they are refused at once."""


class Part(NamedTuple):
    """Rows of one request that one unit is to score."""

    unit: LiveUnit
    role: str
    rows: np.ndarray[Any, Any] | None
    """Which rows; None: all."""


class Answer(NamedTuple):
    """A request's answer, in the order of its rows."""

    ids: list[str]
    keys: list[str]
    scores: list[list[float]]
    units: list[LiveUnit]
    """Who answered each row."""
    tried: frozenset[tuple[str, int]]
    """(unit, row) that failed in this request: not tried again as a shadow."""
    at_us: int
    revision: int


class Scored(NamedTuple):
    scores: list[list[float]]
    latency_us: int


class Answering:
    def __init__(self, capture: CaptureWriter, lease: Lease, ids: FreshIds, metrics: Metrics) -> None:
        self._capture = capture
        self._lease = lease
        self._ids = ids
        self._metrics = metrics
        # Two: while one thread waits for a worker process another can run a large batch; more would only fight for the interpreter.
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="model")

    async def answer(self, live: LiveRoute, rows: Rows, at_us: int, revision: int) -> tuple[Answer, list[Captured]]:
        """The answer and the records that must be handed over before it leaves. Raises ModelFailed when the champion cannot answer."""
        ids = rows.ids if rows.ids is not None else self._ids.take(rows.n)
        keys = rows.keys if rows.keys is not None else ids
        records: list[Captured] = []
        tried: set[tuple[str, int]] = set()
        champion, canary = self._split(live, keys)
        parts: list[tuple[Part, Scored]] = []
        if canary is not None:
            try:
                parts.append((canary, await self._score(live, canary, rows)))
            except ModelFailed as failed:
                records.append(self._failure(live, canary, rows.n, failed, at_us, live.champion.id))
                tried = {(canary.unit.id, at) for at in _rows_of(canary, rows.n)}
                champion = Part(live.champion, "champion", None)
        if champion is not None:
            try:
                parts.append((champion, await self._score(live, champion, rows)))
            except ModelFailed as failed:
                self._capture.hand_over([*records, self._failure(live, champion, rows.n, failed, at_us, None)])
                raise
        scores, units = _assemble(parts, rows.n)
        answer = Answer(ids, keys, scores, units, frozenset(tried), at_us, revision)
        records.extend(_prediction(live, part, scored, answer, rows) for part, scored in parts)
        return answer, records

    async def shadow(self, live: LiveRoute, rows: Rows, answer: Answer) -> list[Captured]:
        """The records of the route's shadows for the rows that they did not answer. Raises nothing: a shadow is nobody's problem."""
        records: list[Captured] = []
        for unit in live.shadows:
            due = [at for at, answered in enumerate(answer.units) if answered.id != unit.id and (unit.id, at) not in answer.tried]
            if not due:
                continue
            part = Part(unit, "shadow", None if len(due) == rows.n else np.array(due))
            try:
                scored = await self._score(live, part, rows, inline=False)
            except ModelFailed as failed:
                records.append(self._failure(live, part, rows.n, failed, answer.at_us, live.champion.id))
            else:
                records.append(_prediction(live, part, scored, answer, rows))
        return records

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _split(self, live: LiveRoute, keys: Sequence[str]) -> tuple[Part | None, Part | None]:
        """(champion's rows, canary's rows)"""
        whole = Part(live.champion, "champion", None)
        if live.canary is None or not self._lease.held:
            return whole, None
        salt, weight = live.route.salt, live.route.canary_weight
        chosen = np.fromiter((canary_answers(key, salt, weight) for key in keys), dtype=bool, count=len(keys))
        if not chosen.any():
            return whole, None
        if chosen.all():
            return None, Part(live.canary, "canary", None)
        return Part(live.champion, "champion", np.flatnonzero(~chosen)), Part(live.canary, "canary", np.flatnonzero(chosen))

    async def _score(self, live: LiveRoute, part: Part, rows: Rows, *, inline: bool = True) -> Scored:
        unit, model = part.unit, part.unit.model
        n = rows.n if part.rows is None else len(part.rows)
        columns = _taken(unit, rows.columns, part.rows)
        _check_needs(unit, columns)
        begin = perf_counter()
        if inline and n <= model.inline_rows:
            scores = model.score(columns, n)
        else:
            if model.waiting >= MAX_WAITING:
                raise ModelFailed(f"{model.waiting} calls wait for this model already")
            model.waiting += 1
            try:
                scores = await asyncio.get_running_loop().run_in_executor(model.pool or self._pool, model.score, columns, n)
            finally:
                model.waiting -= 1
        seconds = perf_counter() - begin
        self._metrics.scored(live.model, unit.id, part.role, n, seconds)
        return Scored(scores.tolist(), int(seconds * 1e6))

    def _failure(
        self, live: LiveRoute, part: Part, n_rows: int, failed: ModelFailed, at_us: int, answered_by: str | None
    ) -> FailureBatch:
        n = n_rows if part.rows is None else len(part.rows)
        self._metrics.failed(live.model, part.unit.id, part.role, n)
        failure = FailureBatch(
            at_us=at_us, model=live.model, unit=part.unit.id, role=part.role, n=n, reason=failed.message, answered_by=answered_by
        )
        return failure if live.keeper is None else live.keeper.failure(failure)


def label_of(live: LiveRoute, unit: LiveUnit, scores: Sequence[float]) -> str | None:
    """The class that the scores mean; None for regression."""
    classes = live.signature.classes
    if live.signature.task == "regression":
        return None
    if live.signature.task == "binary":
        return classes[1] if scores[0] >= unit.threshold else classes[0]
    return classes[max(range(len(scores)), key=scores.__getitem__)]


def _rows_of(part: Part, n: int) -> Sequence[int]:
    return range(n) if part.rows is None else part.rows.tolist()


def _taken(unit: LiveUnit, columns: Columns, index: np.ndarray[Any, Any] | None) -> dict[str, np.ndarray[Any, Any]]:
    if index is None:
        return {name: columns[name] for name in unit.names}
    return {name: columns[name][index] for name in unit.names}


def _check_needs(unit: LiveUnit, columns: Columns) -> None:
    for name in unit.needs:
        values = columns[name]
        missing = (values == "").any() if values.dtype == object else np.isnan(values).any()
        if missing:
            raise ModelFailed(f"{unit.id} needs the column {name!r}, which the request left out (its champion does not need it)")


def _assemble(parts: list[tuple[Part, Scored]], n: int) -> tuple[list[list[float]], list[LiveUnit]]:
    """(scores, who answered) in the order of the rows."""
    if len(parts) == 1:
        part, scored = parts[0]
        return scored.scores, [part.unit] * n
    scores: list[list[float]] = [[]] * n
    units: list[LiveUnit] = [parts[0][0].unit] * n
    for part, scored in parts:
        for at, each in zip(_rows_of(part, n), scored.scores, strict=True):
            scores[at] = each
            units[at] = part.unit
    return scores, units


def _prediction(live: LiveRoute, part: Part, scored: Scored, answer: Answer, rows: Rows) -> PredictionBatch:
    index = part.rows
    batch = PredictionBatch(
        at_us=answer.at_us,
        model=live.model,
        unit=part.unit.id,
        role=part.role,
        revision=answer.revision,
        ids=answer.ids if index is None else [answer.ids[at] for at in index],
        keys=answer.keys if index is None else [answer.keys[at] for at in index],
        columns={}
        if part.role == "shadow"
        else {name: _as_used(values) for name, values in _taken(part.unit, rows.columns, index).items()},
        scores=scored.scores,
        latency_us=scored.latency_us,
    )
    return batch if live.keeper is None else live.keeper.prediction(batch)


def _as_used(values: np.ndarray[Any, Any]) -> list[Any]:
    """Features as the model saw them (float32), a missing number as None: stored numbers are finite."""
    listed: list[Any] = values[:, 0].tolist()
    if values.dtype == object:
        return listed
    return [None if value != value else value for value in listed]  # noqa: PLR0124 - only NaN differs from itself
