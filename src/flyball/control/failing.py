"""Rows that the champion should have answered and could not: counted, not tested, and told once while they are about as many."""

from datetime import datetime

from flyball.capture.join import LabelJoin, failed_rows
from flyball.control.world import World, micros, moment
from flyball.monitoring.drift import finding_id
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.records.findings import Acknowledgement, Finding, FindingKind

SUBJECT = "failures"
PAGES_FROM = 0.01
"""Of a window's rows. One in thousands is shown and wakes nobody; whether they are more than usual the operations of the model say."""
AGAIN = 2.0
"""Times the share that was told."""


QUIET_WINDOWS = 7
"""Without a failure: what fails after them is another fault."""


def rows(joined: LabelJoin, unit: str, start_us: int, end_us: int) -> tuple[int, int]:
    """Those that it could not answer, and all that it was asked."""
    failed = failed_rows(joined, unit, start_us, end_us)
    return failed, failed + joined.answered(start_us, end_us, unit)


def since(joined: LabelJoin, window: Window, champion_since: datetime) -> datetime:
    """When the fault began that the window's failures are of: no earlier than the champion's term."""
    start_us, width_us = micros(window.start), micros(window.end) - micros(window.start)
    began_us, at_us, quiet = start_us, start_us, 0
    while quiet < QUIET_WINDOWS and at_us > micros(champion_since):
        at_us -= width_us
        quiet += 1
        if failed_rows(joined, window.unit, at_us, at_us + width_us):
            began_us, quiet = at_us, 0
    return max(moment(began_us), champion_since)


def finding(world: World, window: Window, counted: tuple[int, int], began: datetime) -> Finding | None:
    """`counted`: rows that failed, at least one, and rows that were asked; `began`: `since`. None: it was told already, of this window or, since it began, of one
    that was about as bad and that nobody has acknowledged."""
    failed, asked = counted
    name = finding_id(FindingKind.SERVING, window, SUBJECT)
    share = failed / asked
    pages = share >= PAGES_FROM
    known = [each for each in world.all("finding", Finding) if (each.subject, each.unit) == (SUBJECT, window.unit)]
    if any(each.id == name for each in known):
        return None
    seen = {each.finding for each in world.all("acknowledgement", Acknowledgement)}
    same = [each for each in known if each.window_end > began and each.id not in seen]
    if any(share < AGAIN * each.effect and each.pages >= pages for each in same):
        return None
    evidence = Evidence(name="failure_rate", value=share, n=asked, since=window.start, until=window.end, method="counted")
    return Finding(
        id=name, kind=FindingKind.SERVING, model=window.model, unit=window.unit, subject=SUBJECT, window_start=window.start,
        window_end=window.end, effect=share, effect_unit="share of rows", evidence=evidence, share_of_budget=None, pages=pages,
        words=f"{window.unit} could not answer {failed:,} of {asked:,} rows",
    )  # fmt: skip
