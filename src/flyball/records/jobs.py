"""Durable work: a pipeline run, from request to registered version or refusal."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class JobStatus(StrEnum):
    REQUESTED = "requested"
    RUNNING = "running"
    """A child works on the steps."""
    GATING = "gating"
    """All steps are done; the gate decides and the version is registered."""
    REGISTERED = "registered"
    REFUSED = "refused"
    """The gate said no; nothing was registered."""
    FAILED = "failed"
    """The user's code, the data or the time limit; `error` says what."""


FINISHED = frozenset({JobStatus.REGISTERED, JobStatus.REFUSED, JobStatus.FAILED})


class Job(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """`j-` + four digits."""
    model: str
    status: JobStatus
    requested_at: datetime
    as_of: datetime
    """Only what was known then may be used: rows whose label time is later are not in the snapshot."""
    cause: str
    """Decision id, or `user:NAME`."""
    overrides: dict[str, Any] = {}
    """What differs from flyball.yaml: `history`, `since`, `parameters`; `tournament`: the entrants, in records/tournaments.py's words."""
    spec_digest: str = ""
    """Of flyball.yaml as it was when the job was asked for."""
    attempt: int = 0
    """Children launched so far."""
    version: int | None = None
    unit: str | None = None
    """Unit id that it made, of the version and the policies of its own time: a version has several when policies change."""
    run_key: str | None = None
    error: str = ""
    inconclusive: bool = False
    """Refused, and by nothing but rules that more rows would settle."""
    anew: bool = False
    """A person's run came to a version that had answered and was replaced since: it is released once more."""


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a pipeline step left behind: small values here, bytes in its directory in the cache."""

    step: str
    key: str
    """Cache key: digest of (step code, inputs' keys, parameters, environment)."""
    values: dict[str, Any]
    seconds: float
    """Wall time it took when it was really done."""


WAITING = "waiting"
"""For another run that does the same step at this moment."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a running job's progress."""

    step: str
    status: str
    """`started`, `cached`, `done`, `failed`, `waiting` and then `waited`, or free text of the step."""
    fraction: float | None = None
    words: str = ""
    waited_seconds: float = 0.0
    """Of `waited`."""
    seconds: float = 0.0
    """Of `failed`: how long the run had worked by then, without what it waited."""
