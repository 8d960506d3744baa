"""What `verify` and `doctor` print."""

from typing import TYPE_CHECKING

from flyball.cli import draw
from flyball.control.reports import Check, VerifyReport

if TYPE_CHECKING:
    from rich.console import RenderableType

MOST_NAMED = 5
"""Of thousands after an upgrade."""


def verify_report(report: VerifyReport, plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    rows: list[tuple[draw.Cell, ...]] = [
        ("ledger", f"{report.events} entries", _faults(report.ledger_faults)),
        ("artifacts", f"{report.artifacts} versions", _faults(report.artifact_faults)),
        (
            "decisions",
            f"{report.decisions_equal} of {report.decisions_replayed} replayed equal",
            _faults(report.decisions_unequal),
        ),
    ]
    if report.decisions_of_others:
        told, more = report.decisions_of_others[:MOST_NAMED], len(report.decisions_of_others) - MOST_NAMED
        names = ", ".join((*told, f"and {more} more") if more > 0 else told)
        rows.append(
            ("made by other rules", f"{len(report.decisions_of_others)} come out otherwise", (f"no fault: {names}", "yellow"))
        )
    if report.ledger_faults:  # it says which versions and decisions there are: nothing is concluded from one that does not hold
        rows[1:] = [(name, "not looked at", ("the ledger does not hold", "dim")) for name in ("artifacts", "decisions")]
    bad = "Something does not hold. Next: keep the files as they are, and restore a backup beside them."
    if report.ledger_faults and all(words.startswith("head:") for words in report.ledger_faults):
        bad = "The entries hold, and their head file does not. Next: restore only .flyball/HEAD, from any backup of this ledger; then flyball verify."
    if not report.ledger_faults and not report.artifact_faults:
        bad = "The ledger and the versions hold; decisions that its own rules made do not come out again. Next: keep the files as they are, and report it with their ids."
    verdict: draw.Cell = ("All of it holds.", "green") if report.ok else (bad, "bold red")
    return draw.page([draw.table(("what", "checked", "faults"), rows, plain=plain), draw.text(verdict)])


def _faults(faults: tuple[str, ...]) -> draw.Cell:
    return ("\n".join(faults), "bold red") if faults else ("none", "green")


def checks(rows: tuple[Check, ...], plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    return draw.table(
        ("check", "state", "found", "next"), [(row.name, _state(row), row.words, row.next_step) for row in rows], plain=plain
    )


def _state(check: Check) -> draw.Cell:
    if check.ok == "skipped":
        return ("skipped", "dim")
    return ("well", "green") if check.ok else ("mend", "bold red")
