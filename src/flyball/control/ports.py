"""What control needs from the outside, as small Protocols. Their docstrings are the contracts that `tests/contracts/` holds every adapter to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from flyball.records.captured import Captured, CaptureDamage, RemovedSegments
from flyball.records.events import Draft, Event, Head, Stored
from flyball.records.evidence import Evidence
from flyball.records.jobs import Job, Progress, StepResult
from flyball.records.routing import GatewayReport, RoutingTable, ServedUnit
from flyball.records.signature import Signature
from flyball.records.tournaments import Tournament
from flyball.records.unit import Lineage, Manifest, Version

if TYPE_CHECKING:
    # For those who implement these ports, a supervisor that only waits among them: neither is needed to say what a port is.
    import numpy as np
    from numpy.typing import NDArray

    from flyball.monitoring.realised import Weighting
    from flyball.spec import ProjectSpec


class Clock(Protocol):
    """The time of the world that the project lives in."""

    simulated: bool
    """Time stands while something is done: what is answered at a moment is captured at that moment."""

    def now(self) -> datetime:
        """UTC. Never goes back within a process."""
        ...

    def sleep(self, duration: timedelta) -> None:
        """Real clock: waits. Simulated clock: moves on by `duration` at once."""
        ...

    def catch_up(self) -> timedelta:
        """Move on at once to where the machine's own clock has been set, if that is far ahead, and say by how much; 0: it is not. Not while anything is timed."""
        ...


class Ledger(Protocol):
    """Append-only, hash-chained events; states are their projection. Safe to use from several threads and processes."""

    def transact(self, drafts: Sequence[Draft], *, epoch: int | None = None) -> tuple[Event, ...]:
        """Append the drafts and apply their puts in ONE transaction; all or nothing.

        A draft whose `key` is already there is skipped with its puts, and answers with the event that is there.
        Raises Fenced when `epoch` is given and a newer one has been claimed; StoreUnavailable when it cannot be written (nothing was).
        """
        ...

    def events(
        self,
        *,
        after: int = 0,
        kinds: Sequence[str] = (),
        subject: str | None = None,
        limit: int | None = None,
        newest: bool = False,
    ) -> tuple[Event, ...]:
        """In order of seq; `kinds` empty means all. `limit`: no more than so many of the first, or of the last (`newest`); the others are not read."""
        ...

    def state(self, kind: str, key: str) -> Stored | None: ...

    def states(self, kind: str, known: Callable[[str, int], bool] | None = None) -> tuple[Stored, ...]:
        """In order of key. `known(key, seq)`: the caller has the value of that event; it need not be read again, and may be empty."""
        ...

    def head(self) -> Head: ...

    def claim(self, owner: str, at: datetime) -> int:
        """Take over as the one controller: appends `control.claimed` and returns an epoch larger than all before."""
        ...


class LedgerFault(NamedTuple):
    """What `verify` found: `flipped` (an entry's bytes changed), `removed` (a gap), `truncated` (the file's head is beyond the table's),
    `restored` (an older database beside a newer head, chain differs), `state` (a state is not the projection of its events),
    `head` (the head file is missing or unreadable); at a look that cannot even begin, `unopened`."""

    kind: str
    seq: int | None
    words: str


class LedgerAudit(Protocol):
    """Reads the whole ledger anew, past all caches."""

    def verify(self) -> tuple[LedgerFault, ...]:
        """Empty: every entry, the head file and every state hold."""
        ...


SCHEMA = "schema.yaml"
"""What is known of the features, in the project's directory."""


class StepRequest(NamedTuple):
    """A pipeline run for a child: everything it may use is in here."""

    job: Job
    spec: "ProjectSpec"
    project_dir: Path
    state_dir: Path
    """`.flyball/` (or what replays share): where cache and snapshots lie."""
    champion: ServedUnit | None
    """To compare with on the same recent rows: the champion or, while there is none, who waits to be the first. None: there is nobody."""
    earlier: tuple[ServedUnit, ...] = ()
    """Verified units that compete in the job's tournament."""
    tried: tuple[Tournament, ...] = ()
    """Tournaments before it, oldest first, as they were known when the job was asked for: what helped is tried first."""
    schema_file: Path | None = None
    """In place of the project's own; None: that one."""
    waits: bool = False
    """Whether the `champion` is who waits to be the first: one that cannot be compared with keeps nobody from its place."""


class JobReport(NamedTuple):
    """What is seen of a job from outside."""

    state: str
    """`new` (never launched), `absent` (killed without a result), `running`, `done`, `failed`."""
    results: tuple[StepResult, ...]
    """Of the steps done so far; complete when `done`."""
    progress: tuple[Progress, ...]
    """All lines so far."""
    error: str
    """What the user reads when `failed`; by what it was killed when `absent`, where that is known."""
    detail: str = ""
    """What foreign code said of it: for the terminal of who asks, never recorded."""
    job: Job | None = None
    """As it was launched last. Another one of the same id, where the ledger is older than what lies here."""
    recalled: bool = False
    """`absent`, since a person ended everything: no death of its own."""


class Executor(Protocol):
    """Runs a pipeline's steps outside this process."""

    def launch(self, request: StepRequest) -> None:
        """Start detached. Idempotent: does nothing while the job's lock is held by a live child. A step whose result is in the cache is not done again."""
        ...

    def observe(self, job_id: str) -> JobReport: ...

    def cancel(self, job_id: str) -> None:
        """End the child and its descendants; idempotent."""
        ...

    def forget(self, job_id: str) -> None:
        """Its result counts no more, and it is `absent`: what it tells of is gone. Idempotent; a job without a result stays as it is."""
        ...

    def set_aside(self, job_id: str) -> None:
        """What lies under this id is another job's: its child is ended, what it left is kept elsewhere, and the id is `new`. Idempotent."""
        ...

    def tidy(self) -> None:
        """No job is under way: remove of what they left what is large and old. What a later one misses it makes again. What cannot be removed now stays."""
        ...


class Registry(Protocol):
    """Runs, metrics, models and versions (MLflow)."""

    def register(
        self, model: str, package: Path, lineage: Lineage, manifest: Manifest, metrics: Mapping[str, float], at: datetime
    ) -> Version:
        """Log the run, upload the package, make the version. Idempotent by `lineage.run_key` and the manifest: a second call answers with the
        first one's version. Other bytes of the same run are a version of their own: another ledger may have registered them.
        Raises DataError where the store takes no such version, however often it is asked."""
        ...

    def versions(self, model: str) -> tuple[Version, ...]:
        """By number."""
        ...

    def fetch(self, model: str, number: int, manifest_digest: str | None = None) -> Path:
        """The package on this machine, every byte checked against its manifest. `manifest_digest`, where the ledger has it: only a package that is whole by it
        is answered, without asking the store where it is here. Raises ArtifactDamaged, NotFound."""
        ...

    def mark(self, model: str, number: int, alias: str) -> None:
        """Let `alias` (`champion`, `challenger`) point at a version, for people who look into MLflow. Idempotent."""
        ...


class Gateways(Protocol):
    """The data plane, seen from control."""

    def publish(self, table: RoutingTable) -> None:
        """Write the table durably where gateways read it and tell them. Idempotent; does not wait for them."""
        ...

    def published(self) -> RoutingTable | None:
        """What lies where gateways read it; None: nothing. Raises StoreUnavailable."""
        ...

    def observe(self) -> tuple[GatewayReport, ...]:
        """What every worker that should be there serves. An unreachable one is a report with `error`. Empty: no gateway is running."""
        ...

    def renew_lease(self) -> None:
        """The controller looks after traffic (real time, not the world's clock): said once what there was to decide is decided."""
        ...

    def lease_age(self) -> timedelta:
        """How long ago some controller said so last, in real time or by the world's clock, whichever is longer; the longest that there is when none ever did."""
        ...


class Portion(NamedTuple):
    """What one look at the segments found."""

    records: tuple[Captured, ...]
    cursor: dict[str, int]
    """Where the next look goes on."""
    more: bool
    """It stopped because it had read enough: there may be others. False: what was handed over before this look is read."""
    unread: tuple[tuple[str, str], ...] = ()
    """(segment, why) of those that could not be read: they are tried again by each look."""
    damaged: tuple[CaptureDamage, ...] = ()
    """What was passed over: no further look comes to it."""


class CaptureReader(Protocol):
    """The segments that gateways wrote."""

    def read(self, cursor: Mapping[str, int], since_us: int = 0) -> Portion:
        """Complete records after `cursor` (segment name → byte offset) in order per segment, and the new cursor. A torn tail is left for later.
        An empty cursor reads from the beginning. Records that were made before `since_us` may be left out. A segment that is gone is passed over;
        one that cannot be read keeps nobody from the others, and is tried again by the next call. Raises StoreUnavailable."""
        ...

    def segments(self) -> tuple[str, ...]:
        """Names of those that are there."""
        ...

    def remove(self, before_us: int) -> RemovedSegments:
        """Take away segments of which every record was made before: none that a living worker writes to, though it be silent for long. Nobody may want to
        read them any more. Idempotent; a kill leaves some of them. Raises StoreUnavailable."""
        ...

    def lost(self) -> int:
        """Records that gateways say they could not hand over (exact)."""
        ...


class Scorer(Protocol):
    """Scores rows with a registered package, outside the gateway: in a process of its own where the package may be code."""

    def score(self, package: Path, rows: Sequence[Mapping[str, Any]]) -> "NDArray[np.float64]":
        """(n_asked, n_scores): of all rows, or of as many of the first as there was time for where time is limited; a row of NaN could not be answered.
        Raises ModelFailed with the reason when none was: `late` or `died` where that may be no fault of the package."""
        ...


class Traffic(Protocol):
    """A client of the gateway's own doors: what a replay sends its history through."""

    last_error: str
    """Of the last call that failed, or of what was refused in it, in words."""

    def predict(
        self, model: str, rows: Sequence[Mapping[str, Any]], *, ids: Sequence[str], keys: Sequence[str], at: datetime
    ) -> int | None:
        """How many of them this model does not take; the others are answered. None: it failed. `at` is the event time, honoured only by a gateway on a
        simulated clock. Raises GatewayUnreachable when nobody answers."""
        ...

    def label(
        self, model: str, ids: Sequence[str], values: Sequence[Any], observed: Sequence[datetime], *, at: datetime
    ) -> int | None:
        """How many of them can be no label of this model; the others are taken. None: it failed, and none is. Raises StoreUnavailable when they could not
        be kept, GatewayUnreachable when nobody answers."""
        ...


class History(Protocol):
    """The user's source, for a replay."""

    def rows(self, since: datetime, until: datetime) -> Any:
        """polars.DataFrame with key, time, label, label time (`label_time` or time + delay) and features, sorted by time, since ≤ time < until."""
        ...


class Packages(Protocol):
    """Packages on this machine, checked."""

    def signature(self, package: Path) -> Signature: ...

    def is_whole(self, package: Path, manifest_digest: str) -> bool:
        """Every byte is there, as the manifest of that digest says."""
        ...

    def monitored(self, package: Path, file: str) -> bytes | None:
        """A file of monitoring's own format (`reference.json`, …); None: this package was made without it."""
        ...

    def lineage(self, package: Path) -> Lineage: ...

    def manifest(self, package: Path) -> Manifest: ...

    def evaluation(self, package: Path) -> tuple[Evidence, ...]:
        """What was measured on the holdout, parity and latency included: what the gate judges."""
        ...

    def metrics(self, package: Path) -> dict[str, float]:
        """The holdout's metrics by name."""
        ...


class UserFigure(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric of the user's own came to."""

    value: float | None = None
    """None: could not be measured; `note` says why."""
    lower: float | None = None
    upper: float | None = None
    """Of a 95 % interval; None: there is none."""
    note: str = ""


class UserMetrics(Protocol):
    def measure(
        self,
        entrypoints: Mapping[str, str],
        scores: "NDArray[np.float64]",
        labels: "NDArray[np.float64]",
        weighting: "Weighting | None" = None,
    ) -> dict[str, UserFigure]:
        """Name → `module:function` of the project, called with (labels, scores). Takes up to a minute; raises nothing.

        `weighting`: what each row stands for. A function takes no weights: it is called with rows repeated, and drawn, in proportion to them."""
        ...


class Notifier(Protocol):
    def notify(self, subject: str, words: str) -> None:
        """Tell a person. May fail silently; the ledger has it anyway."""
        ...


Say = Callable[[str, str], None]
"""(style, sentence): how a use case tells a terminal what happens. Styles: `step`, `decision`, `finding`, `good`, `bad`, `plain`."""

Rows = Iterable[Mapping[str, Any]]
