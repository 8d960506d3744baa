"""report.json → report.html: one file that asks nothing of any network, and runs only the scripts that it was written with."""

import base64
import hashlib
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flyball.control.replay_metrics import BY_UNIT, POOLED, columns
from flyball.control.replay_report import DecisionLine, Performance, ReplayReport
from flyball.records import codec
from flyball.stats.metrics import HIGHER_IS_BETTER

HERE = Path(__file__).parent
METRIC_NAMES = {
    "roc_auc": "ROC AUC", "pr_auc": "average precision", "log_loss": "log loss", "brier": "Brier score", "accuracy": "accuracy", "f1": "F1",
    "mae": "mean absolute error", "rmse": "root mean squared error", "mape": "mean absolute percentage error", BY_UNIT: "by unit",
}  # fmt: skip
_DASH = "–"


class Inlined(NamedTuple):
    """A script of the page and the hash by which the page's policy allows it."""

    text: str
    hash: str


class Card(NamedTuple):
    figure: str
    words: str
    note: str
    good: bool | None
    """None: neither good nor bad."""


class Page(NamedTuple):
    """What the template shows beside the report itself."""

    metric_name: str
    others: tuple[tuple[str, str], ...]
    """(field, name) of what is told by month beside the report's metric."""
    pooled: str
    """How that was made of answers of several units; empty: that makes no difference."""
    better: str
    intervals: bool
    """Whether the pictures have any: of an area of two classes."""
    alone: float | None
    governed: float | None
    gain: float | None
    """Positive: the governed model is better, whichever way the metric runs."""
    cards: tuple[Card, ...]
    decisions_by_month: tuple[tuple[str, tuple[DecisionLine, ...]], ...]


def environment_of(timezone: str) -> Any:
    """Templates with the filters that both pages use."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    zone = ZoneInfo(timezone)
    environment.filters["moment"] = lambda text: _moment(text, zone).strftime("%-d %b %Y, %H:%M") if text else _DASH
    environment.filters["day"] = lambda text: _moment(text, zone).strftime("%-d %b %Y") if text else _DASH
    environment.filters["month"] = _month
    environment.filters["number"] = lambda value, digits=3: _DASH if value is None else f"{value:,.{digits}f}"
    environment.filters["signed"] = lambda value, digits=3: _DASH if value is None else f"{value:+.{digits}f}".replace("-", "−")
    environment.filters["bracketed"] = lambda text, plain: text if plain else f"({text})"
    environment.filters["count"] = lambda value: f"{value:,}"
    return environment


def render(report: ReplayReport, policy: str = "") -> str:
    """The whole page as text, UTF-8 when written. `policy`: of several that were compared, whose it is."""
    zone = ZoneInfo(report.timezone)
    environment = environment_of(report.timezone)
    environment.globals["gain"] = lambda span: gain(report.metric, span.alone, span.governed)
    page: str = environment.get_template("report.html.j2").render(
        report=report,
        page=_page(report, zone),
        explain="flyball explain --replayed" + (f" --policy {policy}" if policy else ""),
        data=_inside_a_script(codec.encode(report).decode()),
        library=_inlined("vendor/echarts.min.js"),
        charts=_inlined("report.js"),
        style=(HERE / "report.css").read_text(encoding="utf-8"),
    )
    return page


def gain(metric: str, alone: Performance, governed: Performance) -> float | None:
    """How much better the governed model is; None where either is not defined."""
    return _better(metric, getattr(alone, metric), getattr(governed, metric))


def _better(metric: str, alone: float | None, governed: float | None) -> float | None:
    if alone is None or governed is None:
        return None
    return governed - alone if metric in HIGHER_IS_BETTER else alone - governed


def _page(report: ReplayReport, zone: ZoneInfo) -> Page:
    alone: float | None = getattr(report.alone, f"mean_monthly_{report.metric}")
    governed: float | None = getattr(report.governed, f"mean_monthly_{report.metric}")
    others = [name for name in columns(report) if name != report.metric]
    months = groupby(report.decision_log, key=lambda line: _moment(line.at, zone).strftime("%B %Y"))
    return Page(
        metric_name=METRIC_NAMES[report.metric],
        others=tuple((name, METRIC_NAMES[name]) for name in others),
        pooled=POOLED if BY_UNIT in others else "",
        better="higher" if report.metric in HIGHER_IS_BETTER else "lower",
        intervals=report.metric == "roc_auc" and any(month.governed.lower is not None for month in report.months),
        alone=alone,
        governed=governed,
        gain=_better(report.metric, alone, governed),
        cards=_cards(report),
        decisions_by_month=tuple((month, tuple(lines)) for month, lines in months),
    )


def _cards(report: ReplayReport) -> tuple[Card, ...]:
    unjoined = report.predictions - report.labels_joined
    changed = report.decisions - report.decisions_replayed_equal
    governed = report.governed
    return (
        Card(
            f"{report.requests:,}",
            _plural(report.requests, "request"),
            f"{report.failed_requests:,} failed · {report.predictions:,} predictions"
            + (f" · {report.rows_refused:,} rows refused" if report.rows_refused else ""),
            report.failed_requests == 0 and report.rows_refused == 0,
        ),
        Card(
            f"{report.labels_joined:,}",
            "outcomes joined",
            f"from {report.labels_sent:,} labels sent · {unjoined:,} predictions without"
            + (f" · {report.labels_refused:,} refused" if report.labels_refused else ""),
            unjoined == 0 and report.labels_refused == 0,
        ),
        Card(
            f"{governed.retrainings}",
            _plural(governed.retrainings, "retraining"),
            f"{governed.promotions} promoted · {governed.rollbacks} rolled back",
            None,
        ),
        Card(
            f"{report.decisions:,}",
            _plural(report.decisions, "decision"),
            "all replayed to the same bytes" if changed == 0 else f"{changed:,} came out otherwise when replayed",
            changed == 0,
        ),
    )


def _plural(n: int, noun: str) -> str:
    return noun if n == 1 else f"{noun}s"


def _moment(text: str, zone: ZoneInfo) -> datetime:
    return datetime.fromisoformat(text).astimezone(zone)


def _month(text: str) -> str:
    year, number = text.split("-")[:2]
    return datetime(int(year), int(number), 1).strftime("%b %Y")  # noqa: DTZ001 - a calendar month has no zone


def _inlined(name: str) -> Inlined:
    # CRLF: a browser hashes what its parser hands over, which knows only LF.
    text = (HERE / name).read_text(encoding="utf-8").replace("\r\n", "\n")
    return Inlined(text, "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode())


def _inside_a_script(json: str) -> str:
    """The same JSON, with nothing in it that could end the element or open a comment: its strings come from data."""
    for character in "<>&\u2028\u2029":
        json = json.replace(character, f"\\u{ord(character):04x}")
    return json
