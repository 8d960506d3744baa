"""Are requests refused for what stands in them? Whoever sends them changed a column's name or its type: no row of theirs is captured, so no detector of rows
sees it.

A count, not a test, and no draw of the reference could show it: it spends no budget. It is told of a window in which one fault of one column cost a
twentieth of all rows and twenty requests, and surely more than it did in the windows before; once while it lasts, or stands unacknowledged.
"""

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from flyball.monitoring.drift import finding_id
from flyball.monitoring.drift_words import percent
from flyball.monitoring.quality import Fault
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.stats import hypergeometric

LEAST_SHARE = 0.05
"""Of a window's rows: strangers and tests send a bad request now and then."""
FEWEST = 20
"""Requests; also of all, below which a window says nothing."""
SURELY = 0.001
"""p-value of Fisher's exact test against the windows before, where they had the same fault, too."""
REMEMBERED = 28
"""Windows before: four weeks of days."""
FORM, UNKNOWN = "form of requests", "unknown fields"
"""Subjects of faults that are no column's."""


class Why(NamedTuple):
    """What is wrong with a request, as `records.captured.Refused` has it."""

    field: str
    fault: str
    found: str = ""
    expected: str = ""

    @property
    def subject(self) -> str:
        return self.field or (UNKNOWN if self.fault == "unknown" else FORM)

    @property
    def words(self) -> str:
        """Such as `age is text, a number is expected`."""
        if self.fault == "type":
            return f"{self.field} is {self.found}, {self.expected} is expected"
        if self.field:
            return f"{self.field} {_OF_FIELD.get(self.fault, _OF_FIELD[''])}"
        return _OF_REQUEST.get(self.fault, _OF_REQUEST["form"])


_OF_FIELD = {
    "missing": "does not come any more", "value": "has values that the model does not take",
    "": "is not what the model takes, and a rule of capture hides what came",
}  # fmt: skip
_OF_REQUEST = {
    "unknown": "they have a field that is no column of the model", "form": "they are not of the form that a gateway reads",
    "others": "of ever so many faults",
}  # fmt: skip


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Of one fault in one window."""

    requests: int
    rows: int
    since: datetime
    """When the first of them came."""


class Past(msgspec.Struct, frozen=True, array_like=True):
    """A window in which nothing was told."""

    rows: int
    """Asked for."""
    refused: dict[str, int]
    """Fault → requests."""


class RefusedState(msgspec.Struct, frozen=True, kw_only=True):
    """Of one model: what is sent outlives a champion."""

    past: tuple[Past, ...] = ()
    """Newest last."""
    lasting: tuple[str, ...] = ()
    """Faults that are as frequent as when they were told."""
    unit: str = ""
    """The champion of which they were told: of another one they are told again, if it does not take what is sent, either."""


class RefusedReading(msgspec.Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]
    state: RefusedState


def judge(
    state: RefusedState, rows: int, refused: Mapping[Why, Count], window: Window, standing: Collection[tuple[str, str]]
) -> RefusedReading:
    """Judge a window that is over. `rows`: all that were asked for, refused ones included; `standing`: subject and what was found wrong of the findings of
    this kind that nobody has acknowledged."""
    if rows < FEWEST:
        return RefusedReading(findings=(), state=state)
    often = {why: each for why, each in sorted(refused.items()) if each.requests >= FEWEST and each.rows >= LEAST_SHARE * rows}
    lasting = [why for why in often if _name(why) in state.lasting and window.unit == state.unit]
    risen = [why for why in often if why not in lasting and _is_more(_name(why), often[why].requests, rows, state.past)]
    told = [why for why in risen if (why.subject, why.words) not in standing]
    usual = {_name(why): each.requests for why, each in sorted(refused.items()) if why not in lasting and why not in risen}
    past = (*state.past, Past(rows, usual))[-REMEMBERED:]
    return RefusedReading(
        findings=tuple(_finding(why, often[why], rows, window) for why in told),
        state=RefusedState(past=past, lasting=tuple(map(_name, (*lasting, *risen))), unit=window.unit),
    )


def _is_more(name: str, requests: int, rows: int, past: Collection[Past]) -> bool:
    before, all_before = sum(each.refused.get(name, 0) for each in past), sum(each.rows for each in past)
    if not before:
        return True
    if requests * all_before <= before * rows:
        return False
    return hypergeometric.exact_p(requests, rows, requests + before, rows + all_before) <= SURELY


def _name(why: Why) -> str:
    return "/".join(why)


def said(finding: Finding) -> tuple[str, str]:
    """Its subject, and what it found wrong: by these a fault is known again."""
    return finding.subject, finding.evidence.note


def _finding(why: Why, count: Count, rows: int, window: Window) -> Finding:
    share = count.rows / rows
    requests = "" if count.requests == count.rows else f" in {count.requests:,} requests"
    evidence = Evidence(
        name="share_refused", value=round(share, 5), n=rows, unit="rows", since=window.start, until=window.end, method="counted",
        inputs=hashlib.sha256(msgspec.json.encode((why, count, rows))).hexdigest(), note=why.words,
    )  # fmt: skip
    words = f"{count.rows:,} of {rows:,} rows ({percent(share)}){requests} were refused, since {count.since:%H:%M}: {why.words}"
    return Finding(
        id=finding_id(FindingKind.DATA_QUALITY, window, f"{Fault.SCHEMA}/{_name(why)}"), kind=FindingKind.DATA_QUALITY, model=window.model,
        unit=window.unit, subject=why.subject, window_start=window.start, window_end=window.end, effect=round(share, 5),
        effect_unit="share of rows", evidence=evidence, share_of_budget=None, words=words, changed_since=count.since, fault=Fault.SCHEMA.value,
    )  # fmt: skip
