"""What a replay found: the contents of report.json, and all that report.html shows."""

import msgspec


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """One model's realised performance over a span. None: not defined there (a single class, another task)."""

    roc_auc: float | None = None
    lower: float | None = None
    """Of the interval of the area (DeLong), at this one look; binary only."""
    upper: float | None = None
    log_loss: float | None = None
    mae: float | None = None
    pr_auc: float | None = None
    """This and those that follow: where it is the report's metric, else None; the accuracy also of every binary model."""
    brier: float | None = None
    accuracy: float | None = None
    """As the rows were answered: at the threshold of the unit that did."""
    f1: float | None = None
    rmse: float | None = None
    mape: float | None = None
    by_unit: float | None = None
    """The report's metric where it is of the order of rows (`roc_auc`, `pr_auc`): among the rows that one unit answered, averaged over units by rows. The metric
    itself is of all rows in one order, whoever answered them."""
    errors: float | None = None
    """Sum of the bounded losses (`stats.losses`): 1 is an answer as wrong as can be."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A month, week or day: both models on the same rows."""

    start: str
    """`2013-03` for a month, `2013-03-04` for a day or the Monday of a week, by the replay's calendar."""
    n: int
    """Rows with an outcome."""
    alone: Performance
    governed: Performance
    answered_by: dict[str, int] = {}
    """Name of the unit → rows that it answered."""


class AloneFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The first version, never touched again."""

    mean_monthly_roc_auc: float | None
    mean_monthly_log_loss: float | None = None
    mean_monthly_mae: float | None = None
    mean_monthly_pr_auc: float | None = None
    mean_monthly_brier: float | None = None
    mean_monthly_accuracy: float | None = None
    mean_monthly_f1: float | None = None
    mean_monthly_rmse: float | None = None
    mean_monthly_mape: float | None = None
    mean_monthly_by_unit: float | None = None


class GovernedFigures(AloneFigures, frozen=True, kw_only=True):
    """What the gateway really answered."""

    retrainings: int
    """Jobs that the loop asked for in which a model may be trained."""
    retrained_at: tuple[str, ...] = ()
    """When each of them was asked for."""
    promotions: int = 0
    rollbacks: int = 0
    training_minutes: float = 0.0
    """That the steps of its retrainings took, wherever they were done first."""
    alarms: int = 0
    """Findings that page somebody."""


class ReleaseLine(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    version: int
    unit: str = ""
    """What its challenger is called: `v1 (map of 2024-02-05)`; empty: of a Flyball that did not say."""
    opened_at: str
    """ISO 8601, UTC; so are all times here."""
    promoted_at: str | None = None
    """When it answered all traffic."""
    ended_at: str | None = None
    outcome: str
    """`settled`, `rolled_back`, `watching`, …: the phase it was last seen in."""
    words: str = ""


class DecisionLine(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    at: str
    room: str
    rule: str
    words: str
    """The rationale, for a person."""
    action: str = ""
    """What was done: `retrain`, `enter`, `refuse`, …"""


class FindingLine(msgspec.Struct, frozen=True, kw_only=True):
    at: str
    kind: str
    subject: str
    words: str
    effect: float | None = None


class DriftMap(msgspec.Struct, frozen=True, kw_only=True):
    """Mean Jensen–Shannon distance to the champion's reference, by feature and week."""

    features: tuple[str, ...] = ()
    weeks: tuple[str, ...] = ()
    """Mondays, by the replay's calendar."""
    distances: tuple[tuple[float | None, ...], ...] = ()
    """(n_features, n_weeks), in [0, 1]; None: no window closed."""


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """Written with records.codec, so that no number in it is NaN."""

    project: str
    model: str
    task: str
    metric: str
    """What leads and what the timeline shows: `evaluate.primary`, and where none is declared `roc_auc`, `log_loss` (several classes) or `mae`."""
    rethresholded: bool = False
    """Another threshold than the declared one answered some rows."""
    since: str
    until: str
    timezone: str = "UTC"
    seed: int = 0
    alpha: float = 0.05
    """Error rate of each interval shown, at that one span."""
    alone: AloneFigures
    governed: GovernedFigures
    requests: int
    predictions: int
    rows_refused: int = 0
    """That the model which was to answer does not take (a null where it knows none, a value out of bounds); the others of their request were answered."""
    failed_requests: int
    stopped_at: str = ""
    """Since when the model was stopped at its end and refused what it was asked, with which requests fail; empty: it answered."""
    labels_sent: int
    """With those sent twice."""
    labels_joined: int
    """Predictions that have their outcome."""
    labels_refused: int = 0
    """That can be no label of the model, such as a class that it was not trained on; the others of their request were taken."""
    decisions: int
    decisions_replayed_equal: int
    """Made again from the ledger alone, with the same bytes."""
    questions: tuple[str, ...] = ()
    """That nobody had answered at its end: none ever with `replay.approve: false`, else those of the last hour."""
    breaker: str = ""
    """Why policies were not allowed to act any more at its end; empty: they were."""
    breaker_since: str = ""
    """And since when."""
    failed_ticks: tuple[str, ...] = ()
    """Looks of the loop in which something went wrong, in words with the time; what was wrong for several is told once."""
    wall_seconds: float = 0.0
    """Of a replay that was interrupted, with what it took before; 0: not over yet."""
    training_seconds: float = 0.0
    """Of them, those of jobs: snapshot, training, evaluation, packaging, gates, registration."""
    months: tuple[Span, ...] = ()
    weeks: tuple[Span, ...] = ()
    days: tuple[Span, ...] = ()
    releases: tuple[ReleaseLine, ...] = ()
    decision_log: tuple[DecisionLine, ...] = ()
    findings: tuple[FindingLine, ...] = ()
    drift: DriftMap = DriftMap()
