"""What a monitor says of a window."""

from datetime import datetime
from enum import StrEnum

import msgspec

from flyball.records.evidence import Evidence


class FindingKind(StrEnum):
    FEATURE_DRIFT = "feature_drift"
    PREDICTION_DRIFT = "prediction_drift"
    JOINT_DRIFT = "joint_drift"
    """Features depend on one another differently, whatever each of them does alone."""
    DATA_QUALITY = "data_quality"
    """More is missing, a unit changed, a column is frozen or swapped, categories nobody knew."""
    ESTIMATED_PERFORMANCE = "estimated_performance"
    """Without labels: the estimate says that the model became worse."""
    PERFORMANCE = "performance"
    """Realised loss on mature labels is worse than the champion's baseline."""
    CONCEPT_DRIFT = "concept_drift"
    """The same features mean something else: labels no longer follow the answers as they did."""
    OPERATIONS = "operations"
    """Traffic, latency, failures, missing values or label delay are not what they are at this time."""
    SERVING = "serving"
    """A gateway does not serve what it should, capture drops records, a unit fails."""


class IncidentKind(StrEnum):
    """What kind of thing went wrong: it decides what may help."""

    DATA_FAULT = "data_fault"
    """Upstream: mended there, never trained into a model."""
    COVARIATE_SHIFT = "covariate_shift"
    """Other rows came, and labels follow from them as before."""
    LABEL_SHIFT = "label_shift"
    """Classes became more or less frequent, and rows within each look as before."""
    CONCEPT_SHIFT = "concept_shift"
    """The same rows have other labels."""
    BAD_RELEASE = "bad_release"
    """It came with the champion, not with the world."""
    INFRASTRUCTURE = "infrastructure"
    """Gateways, traffic or labels' ways, not rows."""
    UNKNOWN = "unknown"
    """No kind is shown by what is known, or two are alike."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One part of what a finding is put down to."""

    subject: str
    """A feature, a slice in words or `concept`."""
    share: float | None
    """Of the effect, as far as it could be attributed; None: put beside it, not measured."""
    words: str
    interval: tuple[float, float] | None = None
    """Of the share, 95 % for all causes of the finding together: with 0 in it, this one may be nothing. None: it has none, or a release found it that kept none."""
    error: float | None = None
    """Standard error of the share, for who asks of one cause alone. None likewise."""


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """What happened upstream of a model: a fault of the pipe, a champion, another flyball.yaml, another schema."""

    at: datetime
    """When, or since when at the earliest."""
    until: datetime | None = None
    """When at the latest; None: it is known when."""
    subject: str
    """`finding 3`, `release r-0002`, `flyball.yaml`, `version 4`."""
    words: str
    near: str = ""
    """How near in time to what it is put beside; empty: beside nothing."""


class Norm(msgspec.Struct, frozen=True, kw_only=True):
    """What the figure of a finding was held against."""

    mean: float
    tolerated: float
    """Up to which the figure is no news: how unsure the mean is, and what is tolerated beyond."""
    where: str
    """`on the holdout`, `in what was accepted as normal`."""


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """A stream in the reference and in the window, for the eye."""

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    """Shares, in the order of `labels`."""
    window: tuple[float, ...]


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """A person has seen a finding: it is no longer open, and no policy is told of it."""

    finding: str
    by: str
    at: datetime
    reason: str = ""
    as_normal: bool = False
    """What was found is the new normal."""
    before: tuple[str, datetime] | None = None
    """Who had seen it before it was taken as normal, and when; None: nobody, or a Flyball wrote it that did not say."""

    @property
    def first(self) -> tuple[str, datetime]:
        """By whom and when it was seen first."""
        return self.before or (self.by, self.at)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """Derived from content: kind, unit, subject, window. The same window never raises it twice."""
    number: int = 0
    """What people call it by: 1, 2, 3, … in the order of the ledger; 0: not recorded yet."""
    kind: FindingKind
    model: str
    unit: str
    subject: str
    """Feature name, metric name or gateway worker."""
    window_start: datetime
    window_end: datetime
    effect: float
    """How far, in `effect_unit`."""
    effect_unit: str
    evidence: Evidence
    share_of_budget: float | None
    """Share of the false-alarm budget that this alarm spends; None: not a statistical alarm."""
    words: str
    effects: dict[str, float] = {}
    """The same shift in other units: `psi`, `js`, `wasserstein`, … (name → value)."""
    at_least: tuple[str, ...] = ()
    """Of `effects`, those that may be more than is told."""
    harm: float | None = None
    """Estimated increase of the mean bounded loss that this alone brings; of a fault of the pipe, how much losses change without the column's values. None: could not
    be estimated."""
    pages: bool = True
    """False: shown, and nobody is called: what moved does not matter to the model."""
    changed_since: datetime | None = None
    """When it began, as far as the data tell."""
    changed_between: tuple[datetime, datetime] | None = None
    """It began between these two, with the confidence that `words` state; None: no interval is known."""
    causes: tuple[Cause, ...] = ()
    """Largest share first."""
    fault: str = ""
    """Of the pipe: `gone`, `unit`, `frozen`, …; empty: none, or of a release that did not keep it."""
    histogram: Histogram | None = None
    """None: nothing to be shown as one."""
    norm: Norm | None = None
    """Of what is shown of it window by window; None: none is known."""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Findings that belong together: on the same champion, and when they began or were seen touches, or one says again what another said. With the champion it
    ends, but for an anomaly of the service that goes on."""

    number: int
    """Of its first finding."""
    model: str
    unit: str
    """The champion when it was told."""
    began: datetime
    """As far back as its findings' changes may lie."""
    ended: datetime | None
    """When the last of its findings was acknowledged, or the champion was replaced (where an anomaly of the service went on, told once that is over); None: it
    is open."""
    owner: str
    """Who acknowledged first; empty: nobody yet."""
    findings: tuple[int, ...]
    """Numbers, all of them."""
    standing: tuple[FindingKind, ...]
    """Kinds of those that stand; of an incident that ended none."""
    subjects: tuple[str, ...]
    harm: float | None
    """The largest that is known of one of them."""
    words: str
    """Of the most harmful one."""


class RowLosses(msgspec.Struct, frozen=True, kw_only=True):
    """Bounded losses of some labelled rows."""

    mean: float
    spread: float
    """Standard deviation of the rows' losses."""
    n: int


class WindowSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A closed window of one unit's traffic, as shown and as policies see it."""

    model: str
    unit: str
    start: datetime
    end: datetime
    predictions: int
    labels: int
    mature: bool
    """Enough of the labels that will come have come (see monitoring)."""
    given_up: bool = False
    """They did not, and are waited for no longer."""
    metrics: dict[str, Evidence] = {}
    """Realised, on labels: roc_auc, log_loss, brier, …; empty while immature."""
    drift: dict[str, float] = {}
    """Feature (and `prediction`) → Jensen–Shannon distance to the reference, in [0, 1]."""
    estimates: dict[str, Evidence] = {}
    """Metrics as estimated without labels when the window closed; a value of None: void."""
    loss_within: tuple[float, float] | None = None
    """Ends between which the mean bounded loss of its labels lies but for a chance of 1 %, as estimated; None: void, or of a release that did not keep them."""
    void: str = ""
    """Why the estimates are not to be believed, or the window could not be judged; empty: they are, or none was made."""
    live: dict[str, Evidence] = {}
    """While immature: metrics of the labels that are here, completed by the learned delay."""
    live_first: dict[str, Evidence] = {}
    """The first of them, to be held against the mature ones."""
    outlook: str = ""
    """Worse than tolerated and no alarm yet: how many more windows like it raise one."""
    slices: dict[str, Evidence] = {}
    """Declared slice → mean bounded loss of its labelled rows, as it was judged."""
    loss: RowLosses | None = None
    """Of the champion's labelled rows, as it was judged; None: immature, another unit's, or labels that say nothing of all rows."""
    labels_note: str = ""
    """How many labels are expected and what was corrected; or why they say nothing of all rows."""
    labels_hang_on: tuple[str, ...] = ()
    """What decided which rows have a label, as these show: `the score`, `feature NAME`."""
    judged_by: str = ""
    """Digest of the rows and labels that its metrics are of; empty: immature."""
    shadow: int = 0
    """Of the labelled rows that `metrics` are of, those that it scored in shadow and did not answer. `predictions` counts all rows that were answered while it was
    champion, whoever answered them: beside a canary some of these are among them, those from before it took over are not."""
    judged_rows: int | None = None
    """Of it, answered and held when it was judged; None: immature, or of a release that did not keep it."""
    held_in_part: str = ""
    """What of that is held no longer, in words, as segments are damaged or gone, or an id was asked before elsewhere: the metrics stay. Empty: all is."""
    held_by: str = ""
    """Digest of the rows and labels that were held when that was told; empty: all are, or of a release that did not keep it."""
    held_labels: int = 0
    """Of them, as `labels` counts."""
    held_rows: int = 0
    """Of them, as `judged_rows` counts."""
