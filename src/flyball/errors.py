"""Every error that Flyball raises on purpose, sorted by who must act.

FlyballError
├── UserError                the person at the keyboard or the caller of an API mends it      exit 2 · HTTP 4xx
│   ├── SpecError            flyball.yaml is wrong; carries every fault with its path
│   ├── DataError            the data are empty, lack a column, have a single class, …
│   ├── RequestError         a prediction or label request that the signature refuses
│   ├── HttpRefused          an HTTP request refused for its form: method, size, host, token
│   ├── TrainingError        the user's own code failed or answered with the wrong thing
│   │   └── CodeChanged      it was edited while it ran
│   ├── NotFound             a name that does not exist
│   ├── Conflict             not in this state (no champion to roll back to, decided already)
│   └── Denied               not allowed: no token, no permission, own approval
├── OperatorError            whoever runs this machine mends it                                exit 3 · HTTP 503
│   ├── LedgerDamaged        the ledger, its head or a state does not verify
│   ├── ArtifactDamaged      bytes that do not match their manifest
│   ├── EngineBusy           another process holds the engine lock
│   ├── Fenced               a newer controller has taken over: this one must stop writing
│   ├── Outdated             flyball.yaml has changed since this process read it: it must start again
│   ├── NotInstalled         an optional library that this needs is not there                          HTTP 501
│   ├── Overloaded           more is asked than this machine answers in time               HTTP 429, 503
│   └── StoreUnavailable     disk full, database locked too long, file unreadable
└── UpstreamError            a system that Flyball calls failed; trying again may help         exit 4 · HTTP 502
    ├── SourceFailed         the data source
    ├── TrackingFailed       MLflow
    ├── GatewayUnreachable   a gateway that should answer does not
    ├── DeadlinePassed       the time that a request was given is over                      HTTP 504
    └── ModelFailed          a unit could not answer: crash, deadline, invalid output
        └── ExplanationFailed  it answered, and its answer could not be explained
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple


class Fault(NamedTuple):
    """One thing wrong in what a person wrote: where, what was found, what was expected, and a guess at what was meant."""

    path: str
    found: str
    expected: str
    hint: str = ""
    column: str = ""
    """Of the model's, where the path does not name it."""

    def __str__(self) -> str:
        tail = f". {self.hint}" if self.hint else ""
        return f"{self.path}: found {self.found}, expected {self.expected}{tail}"

    @property
    def told(self) -> dict[str, str]:
        """As documents tell it."""
        return {"path": self.path, "found": self.found, "expected": self.expected, "hint": self.hint}


class FlyballError(Exception):
    """What was found; `expected` and `next_step` complete the message for whoever must act."""

    exit_code = 1
    http_status = 500

    def __init__(self, found: str, *, expected: str = "", next_step: str = "", detail: str = "") -> None:
        self.found = found
        self.expected = expected
        self.next_step = next_step
        self.detail = detail
        """Words of foreign code, which may hold what nobody should keep: for terminals and logs, never for the ledger or an HTTP answer."""
        super().__init__(self.message)

    @property
    def message(self) -> str:
        parts = [self.found]
        if self.expected:
            parts.append(f"Expected: {self.expected}")
        if self.next_step:
            parts.append(f"Next: {self.next_step}")
        text = ". ".join(part.rstrip(".") for part in parts)
        return text if text.endswith(("?", "!")) else text + "."


class InternalError(FlyballError):
    """What nobody foresaw: a fault of Flyball's own. Not `1`, by which a command says that it did its work and the answer is no."""

    exit_code = 70  # EX_SOFTWARE

    def __init__(self, error: BaseException) -> None:
        words = f"{type(error).__name__}: {error}".encode(errors="replace").decode()
        super().__init__(
            f"Flyball itself failed: {words.rstrip('.')}. This is a fault of ours, not yours",
            next_step="run the same with `flyball --debug …` and report what it prints",
        )


class UserError(FlyballError):
    """The person at the keyboard, or the caller, mends this."""

    exit_code = 2
    http_status = 422


class SpecError(UserError):
    """Every fault in flyball.yaml at once."""

    def __init__(self, faults: Sequence[Fault], *, file: str = "flyball.yaml") -> None:
        self.faults = tuple(faults)
        self.file = file
        count = f"{len(self.faults)} fault" + ("s" if len(self.faults) != 1 else "")
        super().__init__(f"{file} has {count}:\n" + "\n".join(f"  {fault}" for fault in self.faults))


class DataError(UserError):
    """The data cannot be used as they are."""


class RequestError(UserError):
    """A request that the model's signature refuses; names row, field, found and expected."""

    def __init__(self, faults: Sequence[Fault], *, rows: int = 1) -> None:
        """`rows`: of the request, as far as they were counted."""
        self.faults = tuple(faults)
        self.rows = rows
        super().__init__("; ".join(str(fault) for fault in self.faults))


class HttpRefused(UserError):
    """An HTTP request refused for its form before its content counts; `status` and `headers` are those of the answer."""

    def __init__(
        self, status: int, found: str, *, expected: str = "", next_step: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(found, expected=expected, next_step=next_step)
        self.http_status = status
        self.headers = tuple(headers)


class TrainingError(UserError):
    """The user's own code failed, or answered with something that is not a model."""


class CodeChanged(TrainingError):
    """The user's own code was edited while it ran: what was made may be of either, and is kept under no key."""


class NotFound(UserError):
    """A name that does not exist."""

    http_status = 404


class Conflict(UserError):
    """Not possible in the present state."""

    http_status = 409


class Denied(UserError):
    """Not allowed."""

    http_status = 403


class OperatorError(FlyballError):
    """Whoever runs this machine mends this."""

    exit_code = 3
    http_status = 503


class LedgerDamaged(OperatorError):
    """The ledger, its head or a projected state does not verify."""


class ArtifactDamaged(OperatorError):
    """Bytes that do not match their manifest: never loaded."""


class EngineBusy(OperatorError):
    """Another process runs the ticks of this project."""


class Fenced(OperatorError):
    """A newer controller has taken over; this one must stop."""


class Outdated(OperatorError):
    """This process works by a flyball.yaml that is no more; its supervisor starts it again."""


class NotInstalled(OperatorError):
    """An optional library that this needs is not installed."""

    http_status = 501


class Overloaded(OperatorError):
    """More is asked than is answered in time: refused at once. `status` 429: this model has too many requests; 503: the whole gateway has."""

    def __init__(self, status: int, found: str, *, retry_after: int = 1) -> None:
        super().__init__(found, next_step=f"Send it again in {retry_after} s, or start more workers")
        self.http_status = status
        self.retry_after = retry_after


class StoreUnavailable(OperatorError):
    """A file or a database that cannot be written or read now."""


class UpstreamError(FlyballError):
    """A system that Flyball calls failed."""

    exit_code = 4
    http_status = 502


class SourceFailed(UpstreamError):
    """The data source failed."""


class TrackingFailed(UpstreamError):
    """The experiment store failed."""


class GatewayUnreachable(UpstreamError):
    """A gateway that should answer does not."""


class DeadlinePassed(UpstreamError):
    """The time that the caller gave a request is over; nothing more is done for it."""

    http_status = 504

    def __init__(self, found: str, *, asked: bool = False) -> None:
        """`asked`: a unit was, and did not answer, which is captured as its failure."""
        super().__init__(found)
        self.asked = asked


class ModelFailed(UpstreamError):
    """A unit could not answer: crash, deadline, invalid output. `retry_after` seconds is when it may be able to again; 0: the same would
    fail the same way."""

    http_status = 503
    late = False
    """It did not answer in the time there was: smaller parts would not, either."""
    beyond: Collection[int] = frozenset()
    """Rows that it does not take, for which it was not asked: the others may be answered."""

    def __init__(self, found: str, *, expected: str = "", next_step: str = "", retry_after: int = 1, died: bool = False) -> None:
        super().__init__(found, expected=expected, next_step=next_step)
        self.retry_after = retry_after
        self.died = died
        """Its process ended, or was ended: whoever shared the call may be innocent."""


class ExplanationFailed(ModelFailed):
    """A unit answered, and its answer could not be explained as was asked: neither an answer of its nor a failure is captured."""
