"""Rows that the champion should have answered and could not: counted, not tested, and told once while they are about as many."""

from flyball.control.world import World
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


def finding(world: World, window: Window, rows: tuple[int, int], *, lasts: bool) -> Finding | None:
    """`rows`: those that failed, at least one, and those that were asked; `lasts`: there were others a few windows before. None: it was told already, of this
    window or, while it lasts, of one that was about as bad and that nobody has acknowledged."""
    failed, asked = rows
    name = finding_id(FindingKind.SERVING, window, SUBJECT)
    share = failed / asked
    pages = share >= PAGES_FROM
    known = [each for each in world.all("finding", Finding) if (each.subject, each.unit) == (SUBJECT, window.unit)]
    if any(each.id == name for each in known):
        return None
    seen = {each.finding for each in world.all("acknowledgement", Acknowledgement)}
    if lasts and any(share < AGAIN * each.effect and each.pages >= pages for each in known if each.id not in seen):
        return None
    evidence = Evidence(name="failure_rate", value=share, n=asked, since=window.start, until=window.end, method="counted")
    return Finding(
        id=name, kind=FindingKind.SERVING, model=window.model, unit=window.unit, subject=SUBJECT, window_start=window.start,
        window_end=window.end, effect=share, effect_unit="share of rows", evidence=evidence, share_of_budget=None, pages=pages,
        words=f"{window.unit} could not answer {failed:,} of {asked:,} rows",
    )  # fmt: skip
