"""The pages, rendered on the server: no script, everything escaped."""

import re
from datetime import UTC, datetime
from functools import cache
from importlib import resources

import jinja2

from flyball.control.reports import DecisionRow, StatusReport, VersionRow
from flyball.records.evidence import Evidence

_SHOWN_DECISIONS = 20
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


def overview(status: StatusReport, versions: tuple[VersionRow, ...], decisions: tuple[DecisionRow, ...]) -> str:
    """Champion, release, windows, findings, decisions."""
    metrics = sorted({name for window in status.windows for name in window.metrics})[:4]
    latest = tuple(reversed(decisions))[:_SHOWN_DECISIONS]
    return _template("overview.html").render(status=status, versions=versions, decisions=latest, metrics=metrics)


def login(words: str = "") -> str:
    return _template("login.html").render(words=words)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (resources.files("flyball.web") / "templates" / name).read_text(encoding="utf-8")),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(when=_when, measured=_measured, number=_number, brief=_brief)
    return environment


def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)


def _when(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _brief(words: str) -> str:
    """A SHA-256 is known by its beginning."""
    return _DIGEST.sub(r"\1", words)


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"


def _measured(evidence: Evidence) -> str:
    if evidence.lower is None or evidence.upper is None:
        return _number(evidence.value)
    return f"{_number(evidence.value)} [{_number(evidence.lower)}, {_number(evidence.upper)}]"
