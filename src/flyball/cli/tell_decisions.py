"""What `decisions`, `explain` and the orders print."""

from typing import TYPE_CHECKING

from flyball.cli import draw
from flyball.cli.tell_run import gate_table
from flyball.control.decision_reports import DecisionRow, Explanation, Waiting
from flyball.control.reports import CommandReport
from flyball.control.waiting import TOKEN_OF_THEIR_OWN
from flyball.records.decisions import VOID

if TYPE_CHECKING:
    from rich.console import RenderableType


def decision_rows(rows: tuple[DecisionRow, ...], plain: bool, of: str = "") -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    """`of`: options of a replay that they are of, which nobody answers."""
    if not rows:
        return draw.text("Nothing was decided, or nothing waits.")
    if not plain:
        return draw.page(part for row in rows for part in _told(row, of))
    cells = [
        ((row.id, "bold"), draw.when(row.at), row.room, row.rule, ", ".join(row.actions), ("; ".join(_waits(row, of)), "bold yellow") if row.open else "",
         row.rationale)
        for row in rows
    ]  # fmt: skip
    return draw.table(("decision", "at", "room", "rule", "actions", "open", "why"), cells, plain=plain)


def _told(row: DecisionRow, of: str) -> "tuple[RenderableType, ...]":
    """A head and its sentence: beside six other columns the sentence would be a word wide on a terminal of 80."""
    from rich.padding import Padding

    head = draw.text(f"{row.id}  {draw.when(row.at)}  {row.room}: {row.rule}  {', '.join(row.actions)}")
    head.stylize("bold", 0, len(row.id))
    waits = tuple(draw.text((line, "bold yellow")) for line in _waits(row, of))
    return (head, *(Padding(part, (0, 0, 0, 2)) for part in (*waits, draw.text(row.rationale))))


def _waits(row: DecisionRow, of: str) -> list[str]:
    found = [question(each, of) for each in row.waiting]
    return found or (["waits for you"] if row.open else [])


def question(each: Waiting, of: str = "") -> str:
    """What waits, since when, what happens if nobody answers, and how it is answered; a replay's is not: its numbers are the project's, too."""
    answer = (
        f"flyball approve {each.approval} --digest {each.digest[:12]}, or refuse" if each.approval else "flyball breaker close"
    )
    how = "" if of else f". Next: {answer}"
    if each.who and how:
        how += f" ({TOKEN_OF_THEIR_OWN} gives them a name)"
    return (
        f"waits for {each.who or 'you'} since {draw.when(each.since)}: {each.action}. If nobody answers, {each.unanswered}{how}"
    )


def explanation(report: Explanation, plain: bool, of: str = "") -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    """`of`: options of a replay that it is of, which nobody answers."""
    decision = report.decision
    actions = ", ".join(f"{action.kind} {action.subject}" for action in decision.plan.actions) or "nothing"
    parts: list[RenderableType] = [
        draw.facts((
            ("decision", f"{decision.id} by {decision.room}"), ("at", draw.when(decision.now)), ("rule", decision.plan.rule),
            ("actions", actions), ("replay", _replay(report)),
        )),
        draw.heading("Why"), draw.text(report.rationale),
    ]  # fmt: skip
    if report.seen:
        parts += [draw.heading("What was seen"), *(draw.text(f"· {line}") for line in report.seen)]
    if report.considered:
        options = [
            (("chosen", "bold") if each.chosen else "", each.policy, each.action, each.predicted.note if each.predicted else "", each.words)
            for each in report.considered
        ]  # fmt: skip
        columns = ("", "policy", "action", "effect expected then", "what it came to")
        parts += [draw.heading("What was considered"), draw.table(columns, options, plain=plain)]
    if report.verdicts:
        parts += [draw.heading("Evidence"), gate_table(report.verdicts, plain=plain, title="")]
    if report.approval is not None:
        parts += [draw.heading("Approval"), draw.text(_approval(report, of))]
        parts += [
            draw.text(f"{each.approval} {question(each, of)}") for each in report.questions if each.approval != report.approval.id
        ]
    if report.afterwards:
        parts += [draw.heading("Afterwards"), *(draw.text(f"· {line}") for line in report.afterwards)]
    return draw.page(parts)


def _replay(report: Explanation) -> draw.Cell:
    if report.replayed_equal is None:
        return (f"not possible: {report.replay_note}", "yellow")
    if report.replayed_equal:
        return ("the same policy, situation and time give the same decision, byte for byte", "green")
    if report.replay_note:
        return (f"by today's rules it comes out otherwise, as an upgrade may make it: {report.replay_note}", "yellow")
    return ("gives ANOTHER decision, though this Flyball made it", "bold red")


def _approval(report: Explanation, of: str) -> str:
    approval = report.approval
    if approval is None:
        return ""
    if approval.answer is None:
        following = "" if of else f". Next: flyball approve {approval.id} or flyball refuse {approval.id}"
        return f"Waits for a person since {draw.when(approval.requested_at)}{following}"
    reason = f": {approval.reason}" if approval.reason else ""
    if approval.answer == VOID:
        return f"Closed at {draw.when(approval.answered_at)} without an answer{reason}"
    return f"{approval.answer} by {approval.answered_by} at {draw.when(approval.answered_at)}{reason}"


def command_report(report: CommandReport, plain: bool) -> "RenderableType":  # noqa: ARG001, FBT001 - Screen.answer's shape
    lines: list[RenderableType] = [draw.text((report.words, "green" if report.accepted else "yellow"))]
    if report.next_step:
        lines.append(draw.text(f"Next: {report.next_step}"))
    return draw.page(lines)
