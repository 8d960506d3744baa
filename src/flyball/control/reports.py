"""What a use case tells a person: everything that a door needs to print, and nothing that it would have to work out itself."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from flyball.control.decision_reports import Waiting
from flyball.records.bounds import Breaker, Stop
from flyball.records.decisions import Approval
from flyball.records.diagnosis import Diagnosis
from flyball.records.evidence import Evidence, Outcome, Verdict
from flyball.records.findings import Finding, WindowSummary
from flyball.records.jobs import Job, StepResult
from flyball.records.release import Drill, ReleaseState


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline run from snapshot to registered version or refusal."""

    job: Job
    steps: tuple[StepResult, ...]
    """In order of the pipeline; those taken from the cache included."""
    verdicts: tuple[Verdict, ...]
    """Of the gates; empty when the run ended before them."""
    outcome: Outcome
    version: int | None
    """None: refused or failed."""
    new: bool
    """False: the same run was registered before; nothing was done twice."""
    words: str
    """What came out, in a sentence."""
    detail: str = ""
    """What the user's own code said when it failed: on no record but the job's log."""
    up: bool = False
    """Whether `flyball up` runs: then what was registered is on its way already."""


class UpReport(msgspec.Struct, frozen=True, kw_only=True):
    """Where a started project answers."""

    gateway_url: str
    control_url: str
    grpc_target: str = ""
    """HOST:PORT; empty: no gRPC."""
    pid: int
    """Of the supervisor."""
    token_file: str
    """Path as a person at the project's directory would type it."""
    model: str
    example_row: dict[str, Any]
    """A row of the reference that the model takes as it is. Empty: there is no champion yet."""
    example_label: Any = 1
    """A label that the model takes."""
    already: bool = False
    """True: it was running before; nothing was started."""
    trouble: str = ""
    """Why nothing that was released is answered, or nothing can be written; empty: all is well, or nothing is released yet."""


class RoutedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model of a routing file: who answers."""

    model: str
    champion: str
    """Package directory."""
    canary: str = ""
    canary_weight: float = 0.0
    others: str = ""
    """Arms, shadows and fallback, in words."""
    left_out: str = ""
    """Of what is captured, in words; empty: nothing is."""
    example_row: dict[str, Any] = {}
    """A row that the model takes as it is."""


class StandaloneReport(msgspec.Struct, frozen=True, kw_only=True):
    """Where a gateway without a control plane answers."""

    gateway_url: str
    """Empty: the file was only checked."""
    grpc_target: str = ""
    """HOST:PORT; empty: no gRPC."""
    pid: int
    """Of the supervisor."""
    workers: int
    token_file: str
    routing_file: str
    models: tuple[RoutedModel, ...]
    notes: tuple[str, ...] = ()
    """What whoever wrote the file should know of what is captured."""


class GatewayRow(msgspec.Struct, frozen=True, kw_only=True):
    """One worker: what it says that it serves."""

    worker: str
    pid: int
    revision: int | None
    units: tuple[str, ...]
    verified: bool
    """It serves the table that control wants, from the bytes of the manifests."""
    canary_suspended: bool = False
    error: str = ""


class SliceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A declared slice of the champion's traffic."""

    name: str
    where: str
    rows: int
    """Labelled ones that it was judged by since the champion took over."""
    loss: float | None
    """Their mean bounded loss; None: none was judged yet."""
    holdout: float | None
    note: str = ""
    """Why it is not judged; empty: it is."""


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """The project now."""

    project: str
    model: str
    at: datetime
    controller_alive: bool
    """Whether it looks after traffic, and can record what follows."""
    ticks_failed_since: datetime | None = None
    """Of a process that lives; None: its ticks are whole, or there is none."""
    champion_unit: str | None
    """None: nothing is released yet."""
    champion_version: int | None
    champion_since: datetime | None
    release: ReleaseState | None
    """The open one; None: none is under way."""
    next_version: str = ""
    """For what a newer version waits that is registered and not released; empty: there is none."""
    gateways: tuple[GatewayRow, ...]
    windows: tuple[WindowSummary, ...]
    """The last ones of the champion, oldest first."""
    judged: WindowSummary | None = None
    """Of the champion the newest window whose labels have come, however many came after it; None: no window's have."""
    findings: tuple[Finding, ...]
    """Open: raised since the champion took over, and not acknowledged."""
    diagnoses: tuple[Diagnosis, ...] = ()
    """Of the open incidents."""
    approvals: tuple[Approval, ...]
    """Open: waiting for a person."""
    questions: tuple[Waiting, ...] = ()
    """What those are asked about, and how they are answered."""
    jobs: tuple[Job, ...]
    """Unfinished, and the last finished one."""
    ledger_seq: int
    ledger_hash: str
    capture_lost: int
    """Records that gateways could not hand over (exact)."""
    capture_damage: str = ""
    """What cannot be read of the segments that are there; empty: all can."""
    labels_astray: str = ""
    """How many labels came, and how many of them join nothing; empty: hardly any."""
    not_monitored: tuple[str, ...] = ()
    """Features whose drift is not looked for, because capture keeps no value of them: `email (dropped)`."""
    unjudged: str = ""
    """What is not watched of the champion by its labels, and why: `the loss, window until …`. Empty: everything is."""
    label_notes: tuple[str, ...] = ()
    """What the newest windows say of their labels: how many are here and when they are mature; what was completed or corrected."""
    slices: tuple[SliceRow, ...] = ()
    """Those that flyball.yaml declares."""
    outlook: str = ""
    """Of the newest mature window: how many more like it raise an alarm; empty: it is no worse than tolerated, or was told."""
    learning: str = ""
    """What monitors of the service still learn before they say anything; empty: nothing."""
    breaker: Breaker | None = None
    """Open: no policy changes who answers; None: it is closed."""
    stop: Stop | None = None
    """None: the model answers."""
    autonomy: dict[str, str] = {}
    """`retrain`, `roll_back`, … → how far policies may go by themselves: `observe`, `propose`, `act`."""
    effects: str = ""
    """How often what acts brought lay where it was foretold; empty: none was measured."""
    given_up: str = ""
    """Why nobody answers though something was released: the first release was taken back; empty: that is not so."""
    trouble: str = ""
    """What a person should be told at once: ticks that fail, a ledger that does not hold, nothing served; empty: nothing."""


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    role: str
    """`champion`, `challenger`, `previous` (verified before, a rollback may go there), or empty."""
    unit: str | None
    """None: never released."""
    format: str
    created_at: datetime
    metrics: dict[str, float]
    """On the holdout."""
    snapshot_rows: int
    snapshot_until: datetime | None
    git_commit: str | None
    git_dirty: bool
    manifest_digest: str
    note: str = ""
    """What is left out of the metrics, and why; empty: nothing is."""
    parameters: dict[str, Any] = {}
    """That it was trained with, those found by `train.tuning` among them."""
    job: str | None = None
    """That trained it: `flyball explain JOB` shows its trials. None: the ledger does not say."""


class ReleaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """A release in a line."""

    release: ReleaseState
    version: int | None
    """Of the challenger."""
    champion_version: int | None
    name: str = ""
    """What the challenger is called where versions have several units: `v1 (map of 2024-02-05)`; empty: by its version."""
    champion_name: str = ""
    goes_back: bool = False
    """It was never proposed: `version` was champion, and is taken back to `champion_version`."""


class GuardPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a guard had seen at one look."""

    at: datetime
    n: int
    value: float | None
    lower: float | None
    upper: float | None


class GuardRow(msgspec.Struct, frozen=True, kw_only=True):
    """One guard of a release: what it asks, what it has seen, and its verdict."""

    name: str
    means: str
    margin: float
    alpha: float
    """Of the release's error rate."""
    must: str
    """What the release waits for: `pass`, or `not_fail`."""
    outcome: str
    """Of the last look: a verdict, `passed` (at an earlier one), or empty: not looked at yet."""
    evidence: Evidence | None
    words: str
    """The verdict in a sentence."""
    points: tuple[GuardPoint, ...]
    """Look by look, oldest first."""


class ReleaseReport(msgspec.Struct, frozen=True, kw_only=True):
    """A release: where it is and why, what each guard has seen, and what it waits for."""

    release: ReleaseState
    version: int | None
    champion_version: int | None
    name: str = ""
    """As in a line."""
    champion_name: str = ""
    place: str
    """Its phase, with step and share of the keys."""
    words: str
    """What it waits for, or why it ended."""
    alpha: float
    guards: tuple[GuardRow, ...]
    history: tuple[str, ...]
    """How it moved, a sentence each."""
    drill: Drill | None = None
    """The last rehearsal of a rollback."""
    goes_back: bool = False
    """It was never proposed: it takes a champion away, back to the one before, and no guard was asked."""


class CommandReport(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was accepted."""

    accepted: bool
    """False: there was nothing to do, `words` says why."""
    subject: str
    """`release:r-0007`, `decision:d-000012`."""
    words: str
    next_step: str = ""


class TokenReport(msgspec.Struct, frozen=True, kw_only=True):
    """A person's token."""

    name: str
    role: str
    file: str
    """Where it lies; empty: it was taken away."""


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the records and the bytes hold."""

    events: int
    """Entries read."""
    ledger_faults: tuple[str, ...]
    artifacts: int
    """Versions whose every byte was checked."""
    artifact_faults: tuple[str, ...]
    decisions_replayed: int
    decisions_equal: int
    decisions_unequal: tuple[str, ...]
    """Ids of those that the rules of this Flyball made themselves."""
    decisions_of_others: tuple[str, ...] = ()
    """Ids with their makers (`d-000003 (flyball 0.1.0, rules 2)`): other rules made them, and by those of this Flyball they come out otherwise, or cannot be made
    again. No fault: an upgrade may change rules and words."""
    ok: bool


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One question of `flyball doctor` and its answer."""

    name: str
    ok: bool | Literal["skipped"]
    words: str
    next_step: str = ""
    """What to do; empty when all is well."""


class ExportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an export added to its tables."""

    directory: str
    format: str
    rows: dict[str, int]
    """Table → rows that were added."""
    bytes_read: int
    """Of segments."""
    damaged_bytes: int
    """Of segments that cannot be read: counted, and left out."""
    torn: int
    """Records that a killed worker left unfinished, at most one a segment: their answers had not left."""
    renamed: dict[str, str]
    """Feature → its column, where it could not have its own name."""


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows of a file or a query of labels."""

    rows: int
    accepted: int
    """Stored by the gateway; repeated ones count, too: they change nothing."""
    refused: int
    """Not sent, or refused by the gateway."""
    faults: tuple[str, ...]
    """Of the first refused rows, each with its number, what was found and what was expected."""
    unsent: int
    """Rows that were not looked at, because the gateway could not store any more."""
    trouble: str = ""
    """Why some were not sent; empty: all were."""
    not_known_yet: int = 0
    """Rows without a label: what became of these predictions will be known later."""
