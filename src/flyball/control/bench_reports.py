"""What the bench of a gateway tells a person."""

import msgspec


class LoadRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one gateway worker did under one kind of load."""

    rows: int
    """In each request."""
    connections: int
    requests_per_second: float
    rows_per_second: float
    p50_ms: float
    p99_ms: float


class StageRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where the processor time of a one-row request goes that is answered alone."""

    stage: str
    us: float
    share: float
    batch_us: float | None
    """The same stage of a request with 100 rows; None: not measured."""


class BenchReport(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine can do with a model."""

    model: str
    package: str
    format: str
    cores: int
    memory_bytes: int
    """Resident, of the worker and its model processes, after the load."""
    loads: tuple[LoadRow, ...]
    stages: tuple[StageRow, ...]
    """Empty: the model is too slow to be timed often."""
    advice: str
