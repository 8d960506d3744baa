"""What windows say of their labels: what a figure is of, and in words what was completed, corrected, or is not watched, and why."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind, WindowSummary
from flyball.records.words import listed

LOSS = "loss"
"""Subject of findings of the loss of all rows."""
CORRECTED, COMPLETED, ESTIMATED = "corrected", "completed", "estimated"


class Figure(NamedTuple):
    """A window's metric as it is shown."""

    evidence: Evidence
    how: str = ""
    """`corrected` for selective labels; `completed` by the learned delay; `estimated` without labels; empty: as all its labels say."""


def figure(window: WindowSummary, name: str) -> Figure | None:
    """As its labels say; while they are waited for, as those that are here do, and else as estimated without them. None: there is none."""
    if name in window.metrics:
        told = window.metrics[name]
        return Figure(told, CORRECTED if told.value is not None and window.labels_note else "")
    live = window.live.get(name)
    if live is not None and live.value is not None:
        return Figure(live, COMPLETED)
    if name in window.estimates and not window.void:
        return Figure(window.estimates[name], ESTIMATED)
    return Figure(live) if live is not None and not window.void else None


def named(window: WindowSummary) -> tuple[str, ...]:
    """Metrics that a figure of may be shown."""
    return (*window.metrics, *window.live, *window.estimates)


def answered(window: WindowSummary) -> int:
    """Of the labelled rows that its metrics are of, those that it answered itself. Where that is not known: of all that have a label in its time, whoever answered."""
    rows = _measured(window)
    return window.labels if rows is None else rows - window.shadow


def _measured(window: WindowSummary) -> int | None:
    """Labelled rows that its metrics are of; None: it is immature, or they are corrected or refused."""
    if not window.mature or window.labels_note or not window.metrics:
        return None
    return max(each.n for each in window.metrics.values())


def labelled(window: WindowSummary) -> str:
    """How many labelled rows its metrics are of, or how many are here while others are waited for: `284 rows, of them 220 in shadow`."""
    if not window.mature:
        return f"{window.labels} ({'given up' if window.given_up else 'waiting'})"
    rows = _measured(window)
    if rows is None:
        return str(window.labels)
    return f"{rows} rows, of them {window.shadow} in shadow" if window.shadow else str(rows)


def label_notes(windows: Sequence[WindowSummary], declared: timedelta | None) -> tuple[str, ...]:
    """Of the newest window that waits for labels and of the newest that has them, or is given up. `declared`: the label delay."""
    waits = [window for window in reversed(windows) if not window.mature and not window.given_up]
    # The newest may have closed this moment: one of which more is known says more.
    waiting = next((window for window in waits if window.labels_note), next(iter(waits), None))
    ended = next((window for window in reversed(windows) if window.mature or window.given_up), None)
    told = ((window, _of_labels(window, declared)) for window in (ended, waiting) if window is not None)
    return tuple(f"Labels of the window until {window.end:%Y-%m-%d %H:%M} UTC: {words}" for window, words in told if words)


def _of_labels(window: WindowSummary, declared: timedelta | None) -> str:
    parts = [window.labels_note] if window.labels_note else []
    if not parts and not window.mature and not window.given_up:
        parts = [f"{window.labels} of {window.predictions} are here"]
        parts += [] if declared is None else [f"mature at {window.end + declared:%Y-%m-%d %H:%M} UTC, after the declared delay"]
    notes: dict[str, list[str]] = {}
    for name, evidence in (window.metrics or window.live).items():
        more = evidence.note.removeprefix(window.labels_note).lstrip("; ")
        if evidence.value is not None and more and more not in window.labels_note:
            notes.setdefault(more, []).append(name)
    parts += [window.held_in_part] if window.held_in_part else []
    return "; ".join([*parts, *(f"{listed(names)}: {note}" for note, names in notes.items())])


def outlook(windows: Sequence[WindowSummary], findings: Sequence[Finding]) -> str:
    """Of the newest that has its labels: how many more like it raise an alarm, or another one beside that of `findings` (which stand). Empty: none would."""
    window = next((window for window in reversed(windows) if window.mature), None)
    if window is None or not window.outlook:
        return ""
    until, words = f"window until {window.end:%Y-%m-%d %H:%M} UTC", window.outlook
    told = [each.number for each in findings if each.kind is FindingKind.PERFORMANCE and each.subject == LOSS]
    if not told:
        return f"{until}: {words}"
    # As monitoring/performance.py ends it.
    another = words.replace(" an alarm", " another alarm").replace(" no alarm yet", " no other alarm yet")
    return f"finding {max(told)} stands; {until}: {another}"


def unjudged(windows: Sequence[WindowSummary], min_rows: int) -> str:
    """What is not watched of the champion by the labels of its newest window that has them, and why; empty: everything is."""
    window = next((window for window in reversed(windows) if window.mature or window.given_up), None)
    if window is None:
        return ""
    until = f"window until {window.end:%Y-%m-%d %H:%M} UTC"
    if window.loss is None:
        return f"the loss, {until}: {window.labels_note}" if window.labels_note else ""
    if window.loss.n < min_rows:
        return f"the loss, {until}: its {window.labels} labels are worth {window.loss.n}, fewer than min_rows {min_rows}"
    if window.labels_note:
        return f"whether labels follow the answers, and slices, {until}: {window.labels_note}"
    return ""
