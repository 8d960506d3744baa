"""Are requests refused for what stands in them? Whoever sends them changed a column's name or its type: no row of theirs is captured, so no detector of rows
sees it.

A count, not a test, and no draw of the reference could show it: it spends no budget. It is told of a window in which one fault of one column cost a
twentieth of all rows and twenty requests (or five large ones), and surely more than it did in the windows before; once while it lasts, or stands
unacknowledged, and again where it costs twice as much. Of a window in which the champion changed nothing is told anew that was told of the one before: who
refused is not known, and the first window that is all of the new one decides.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
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
"""Requests; also rows of all, below which a window says nothing."""
FEWEST_LARGE, MANY_ROWS = 5, 1_000
"""Requests that are enough where they have so many rows together: a nightly job sends few. One is whoever sent it, once."""
TWICE = 2.0
"""The share of rows at which what was told is told again; and that which is more than any window had, however few requests sent them."""
SURELY = 0.001
"""p-value of Fisher's exact test against the windows before, where they had the same fault, too."""
REMEMBERED = 28
"""Windows before: four weeks of days."""
WORTH_REQUESTS, WORTH_SHARE, MOST_NAMES = 5, 0.01, 64
"""Faults of a window that are remembered by name have so many requests or that share of its rows; at most so many have, the rest is one."""
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
        return _OF_FORM.get(self.found) or _OF_REQUEST.get(self.fault, _OF_REQUEST["form"])


_OF_FIELD = {
    "missing": "does not come any more", "value": "has values that the model does not take",
    "": "is not what the model takes, and a rule of capture hides what came",
}  # fmt: skip
_OF_REQUEST = {
    "unknown": "they have a field that is no column of the model", "form": "they are not of the form that a gateway reads",
    "others": "of ever so many faults",
}  # fmt: skip
_OF_FORM = {
    "408": "their body does not arrive in time", "413": "they are larger than a gateway reads",
    "415": "their content type or encoding is none that a gateway reads",
}  # fmt: skip
"""By status."""


OTHERS = Why("", "others")


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Of one fault in one window."""

    requests: int
    rows: int
    since: datetime
    """When the first of them came."""


class Past(msgspec.Struct, frozen=True, array_like=True):
    """A window before."""

    rows: int
    """Asked for."""
    refused: dict[str, int]
    """Fault → requests, of those that are not told."""
    refused_rows: dict[str, int] = {}
    """Fault → rows, where they are more than requests."""
    told: tuple[str, ...] = ()
    """Faults of which this window says nothing of what is usual: it is told of them that they are not."""

    def share(self, name: str) -> float:
        """Of its rows, that a fault cost."""
        return self.refused_rows.get(name, self.refused.get(name, 0)) / self.rows


EARLIER, CHANGED = "?", ""
"""In place of a unit: seen last in a window of champions before; in one in which it changed."""


class Told(msgspec.Struct, frozen=True, array_like=True):
    """When a fault was told, or would have been."""

    unit: str
    """The champion of which; or `EARLIER`, `CHANGED`: the present one is still to show whether it takes what is sent."""
    requests: int
    rows: int
    """All of the window."""
    share: float
    """Of rows."""
    whole: float = 0.0
    """Share that it would have had, had it begun with the window; 0: the next window has shown which."""


class RefusedState(msgspec.Struct, frozen=True, kw_only=True):
    """Of one model: what is sent outlives a champion."""

    past: tuple[Past, ...] = ()
    """Newest last."""
    told: dict[str, Told] = {}
    """Faults that have been frequent ever since they were told."""


class RefusedReading(msgspec.Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]
    state: RefusedState


def judge(
    state: RefusedState,
    rows: int,
    refused: Mapping[Why, Count],
    window: Window,
    standing: Mapping[tuple[str, str], float],
    since: datetime | None = None,
) -> RefusedReading:
    """Judge a window that is over. `rows`: all that were asked for, refused ones included; `standing`: what was `said` in findings that nobody has
    acknowledged, with the share of rows; of a window that began before `since`, when the champion took over, those of earlier ones, too."""
    if rows < FEWEST:
        return RefusedReading(findings=(), state=state)
    mixed = since is not None and window.start < since
    over = since is not None and window.end <= since
    of = EARLIER if over else CHANGED if mixed else window.unit
    findings: list[Finding] = []
    told: dict[str, Told] = {}
    for why, count in sorted(refused.items()):
        name, now = _name(why), _now(count, rows, window)
        kept, stood = state.told.get(name), standing.get((why.subject, why.words), 0.0)
        if not _is_often(count, now.share):
            continue
        if kept is not None and (mixed or kept.unit == window.unit):
            # Where releases follow one another in every window none is ever whole: then the second is told, whoever refused.
            new = (kept.unit == CHANGED and not over) if mixed else _is_worse(count, now, kept)
            kept = kept if mixed else _settled(kept, now)
        elif _is_more(name, count, rows, state.past):
            new = not over and (not stood if mixed else now.share >= TWICE * stood)
            kept = _as_told(now, stood)
        else:
            continue
        told[name] = now if new else msgspec.structs.replace(kept, unit=of)
        findings += [_finding(why, count, rows, window)] if new else []
    usual = {why: each for why, each in refused.items() if _name(why) not in told}
    past = (*state.past, _past(rows, usual, tuple(told)))[-REMEMBERED:]
    return RefusedReading(findings=tuple(findings), state=RefusedState(past=past, told=told))


def _is_often(count: Count, share: float) -> bool:
    fewest = FEWEST_LARGE if count.rows >= MANY_ROWS else FEWEST
    return count.requests >= fewest and share >= LEAST_SHARE


def _now(count: Count, rows: int, window: Window) -> Told:
    share, lasted = count.rows / rows, (window.end - max(count.since, window.start)) / (window.end - window.start)
    return Told(window.unit, count.requests, rows, share, min(share / lasted, 1.0) if lasted > 0.0 else 1.0)


def _settled(kept: Told, now: Told) -> Told:
    """A fault that begins late in a window is as large as the next one shows."""
    if not kept.whole:
        return kept
    return msgspec.structs.replace(now if now.share > kept.share else kept, whole=0.0)


def _as_told(now: Told, stood: float) -> Told:
    """What came again while its finding stands; `stood`: the finding's share, 0: there is none."""
    if not stood:
        return now
    return msgspec.structs.replace(now, requests=round(now.requests * stood / now.share), share=stood, whole=0.0)


def _is_worse(count: Count, now: Told, kept: Told) -> bool:
    """Than when it was told."""
    return now.share >= TWICE * max(kept.share, kept.whole) and (
        count.rows >= MANY_ROWS or _surely_more((now.requests, now.rows), (kept.requests, kept.rows))
    )


def _is_more(name: str, count: Count, rows: int, past: Collection[Past]) -> bool:
    """Than in the windows in which it was not told: by requests, since the rows of one stand and fall together; or by rows where they are so many more that
    no draw of requests explains them."""
    known = [each for each in past if name not in each.told]
    before = sum(each.refused.get(name, 0) for each in known)
    if not before or _surely_more((count.requests, rows), (before, sum(each.rows for each in known))):
        return True
    return count.rows >= MANY_ROWS and count.rows / rows >= TWICE * max(each.share(name) for each in known)


def _surely_more(now: tuple[int, int], before: tuple[int, int]) -> bool:
    """Each requests, and rows in all."""
    (requests, rows), (requests_before, rows_before) = now, before
    if requests * rows_before <= requests_before * rows:
        return False
    return hypergeometric.exact_p(requests, rows, requests + requests_before, rows + rows_before) <= SURELY


def _past(rows: int, refused: Mapping[Why, Count], told: tuple[str, ...]) -> Past:
    """What is worth remembering: a flood of faults that cost nearly nothing is one."""
    worth = [why for why, each in refused.items() if each.requests >= WORTH_REQUESTS or each.rows >= WORTH_SHARE * rows]
    named = frozenset(sorted(worth, key=lambda why: (-refused[why].rows, why))[:MOST_NAMES])
    requests, of_rows = Counter[str](), Counter[str]()
    for why, each in sorted(refused.items()):
        name = _name(why if why in named else OTHERS)
        requests[name] += each.requests
        of_rows[name] += each.rows
    return Past(rows, dict(requests), {name: n for name, n in of_rows.items() if n != requests[name]}, told)


def _name(why: Why) -> str:
    return "/".join(why)


def said(finding: Finding) -> tuple[str, str]:
    """Its subject, and what it found wrong: by these a fault is known again."""
    return finding.subject, finding.evidence.note


def _moment(since: datetime, window: Window) -> str:
    """The finding says which window it is of; where that is longer than a day the hour alone names no moment."""
    return f"{since:%H:%M}" if window.end - window.start <= timedelta(days=1) else f"{since:%Y-%m-%d %H:%M} UTC"


def _finding(why: Why, count: Count, rows: int, window: Window) -> Finding:
    share = count.rows / rows
    requests = "" if count.requests == count.rows else f" in {count.requests:,} requests"
    evidence = Evidence(
        name="share_refused", value=round(share, 5), n=rows, unit="rows", since=window.start, until=window.end, method="counted",
        inputs=hashlib.sha256(msgspec.json.encode((why, count, rows))).hexdigest(), note=why.words,
    )  # fmt: skip
    words = f"{count.rows:,} of {rows:,} rows ({percent(share)}){requests} were refused, since {_moment(count.since, window)}: {why.words}"
    return Finding(
        id=finding_id(FindingKind.DATA_QUALITY, window, f"{Fault.SCHEMA}/{_name(why)}"), kind=FindingKind.DATA_QUALITY, model=window.model,
        unit=window.unit, subject=why.subject, window_start=window.start, window_end=window.end, effect=round(share, 5),
        effect_unit="share of rows", evidence=evidence, share_of_budget=None, words=words, changed_since=count.since, fault=Fault.SCHEMA.value,
    )  # fmt: skip
