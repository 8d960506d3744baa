"""Rows of a batch that one unit is to score, what became of them, and what is captured of that."""

from collections.abc import Sequence
from typing import NamedTuple

from flyball.errors import ModelFailed
from flyball.gateway.batches import Batch
from flyball.gateway.columns import Table
from flyball.gateway.tables import LiveRoute, LiveUnit
from flyball.records.captured import FailureBatch, PredictionBatch


class Part(NamedTuple):
    """Rows of a batch that one unit is to score."""

    unit: LiveUnit
    role: str
    rows: list[int] | None
    """Which rows; None: all."""
    turn: int = 0
    """As it is captured (`PredictionBatch`)."""


class Scored(NamedTuple):
    scores: list[list[float]]
    seconds: float
    table: Table | None
    """What the unit took; None: make it again from the batch."""


Outcome = Scored | ModelFailed


def in_turn(chosen: Sequence[tuple[LiveUnit, str, list[int]]], lot: int) -> list[Part]:
    """What the units of one batch are asked for, from whose turn `lot` says it is on: whoever comes first meets cold caches, and were it always the same
    unit, it would look slower than its like."""
    at = lot % len(chosen)
    return [Part(unit, role, rows, 2 if place else 1) for place, (unit, role, rows) in enumerate([*chosen[at:], *chosen[:at]])]


def rows_of(part: Part, batch: Batch) -> Sequence[int]:
    return range(batch.n) if part.rows is None else part.rows


def size_of(part: Part, batch: Batch) -> int:
    return batch.n if part.rows is None else len(part.rows)


def failure_of(live: LiveRoute, part: Part, batch: Batch, failed: ModelFailed, answered_by: str | None) -> FailureBatch:
    failure = FailureBatch(
        at_us=batch.at_us,
        model=live.model,
        unit=part.unit.id,
        role=part.role,
        n=size_of(part, batch),
        reason=failed.message,
        answered_by=answered_by,
    )
    return failure if live.keeper is None else live.keeper.failure(failure)


def prediction_of(live: LiveRoute, part: Part, scored: Scored, batch: Batch, revision: int) -> PredictionBatch:
    rows, keys = part.rows, batch.keys
    prediction = PredictionBatch(
        at_us=batch.at_us,
        model=live.model,
        unit=part.unit.id,
        role=part.role,
        revision=revision,
        ids=batch.ids if rows is None else [batch.ids[at] for at in rows],
        keys=keys if rows is None else [keys[at] for at in rows],
        columns={} if part.role == "shadow" else (scored.table or batch.taken(rows)).used(part.unit.names),
        scores=scored.scores,
        latency_us=int(scored.seconds * 1e6),
        turn=part.turn,
    )
    return prediction if live.keeper is None else live.keeper.prediction(prediction)
