"""Which metrics a replay tells of its project, and what is to be said of how they were made. Pure."""

from collections.abc import Iterable

from flyball.control.replay_report import ReplayReport, Span
from flyball.records.signature import Task

BY_TASK: dict[Task, tuple[str, ...]] = {
    "binary": ("roc_auc", "log_loss", "accuracy"),
    "multiclass": ("log_loss", "roc_auc"),
    "regression": ("mae",),
}
"""Measured always; the first leads where no primary metric is declared."""
RANKINGS = frozenset({"roc_auc", "pr_auc"})
"""Metrics of the order of rows, in which an answer of one unit stands beside those of another."""
BY_UNIT = "by_unit"
POOLED = (
    "of all answers of a month in one order, as whoever reads them has them: where a map or a model changed within it, the order of rows that two units answered counts, "
    "and the figure may fall though that of each unit rises. By unit: of each unit's answers alone, averaged by rows, and of the first version on the same rows."
)  # fmt: skip
"""Of a ranking, where several units answered in one month."""


def metric_of(task: Task, primary: str | None) -> str:
    """That leads the report: the declared one, since it is what the project is held to."""
    return primary or BY_TASK[task][0]


def measured(task: Task, metric: str) -> tuple[str, ...]:
    """The report's own first."""
    return tuple(dict.fromkeys((metric, *BY_TASK[task])))


def columns(report: ReplayReport) -> tuple[str, ...]:
    """Fields of Performance that tables by month hold: the report's metric, of a ranking each unit's own where several answered in one month, the task's loss, and
    the accuracy, which tells of a threshold what no metric of the scores does, where another than the declared one answered."""
    loss = "mae" if report.task == "regression" else "log_loss"
    by_unit = (BY_UNIT,) if pooled(report.metric, report.months) else ()
    decided = ("accuracy",) if report.rethresholded else ()
    return tuple(dict.fromkeys((report.metric, *by_unit, loss, *decided)))


def pooled(metric: str, months: Iterable[Span]) -> bool:
    """Whether the metric's months are of the answers of several units in one order."""
    return metric in RANKINGS and any(len(month.answered_by) > 1 for month in months)
