"""What `status` and `versions` print."""

from typing import TYPE_CHECKING

from flyball.cli import draw
from flyball.cli.tell_decisions import question
from flyball.cli.tell_findings import sentence, told
from flyball.control.reports import GatewayRow, StatusReport, VersionRow
from flyball.control.waiting import TOKEN_OF_THEIR_OWN
from flyball.control.window_words import ESTIMATED, figure, labelled, named
from flyball.records.findings import WindowSummary

if TYPE_CHECKING:
    from rich.console import RenderableType


def status_report(report: StatusReport, plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    parts: list[RenderableType] = [draw.facts(_facts(report))]
    if report.gateways:
        rows = [
            (row.worker, str(row.pid), ", ".join(row.units), str(row.revision or ""), _gateway(row)) for row in report.gateways
        ]
        parts.append(draw.table(("gateway", "pid", "serves", "table", "state"), rows, plain=plain))
    if report.windows:
        parts.append(_windows(report, plain=plain))
    if report.slices:
        parts.append(_slices(report, plain=plain))
    parts += [draw.text((sentence(each), "bold")) for each in report.diagnoses]
    if report.findings:
        parts += _findings(report, plain=plain)
    if report.questions:
        parts.append(draw.heading("Open questions"))
        for each in report.questions:
            parts += [
                draw.text((f"{each.approval} {question(each)}", "bold yellow")),
                *([draw.text(each.why)] if each.why else []),
            ]
    if report.jobs:
        jobs = [(j.id, j.status.value, draw.when(j.requested_at), j.cause, j.error) for j in report.jobs]
        parts.append(draw.table(("job", "status", "requested", "because of", "error"), jobs, plain=plain, title="Jobs"))
    if words := _next(report):
        parts.append(draw.text(words))
    return draw.page(parts)


def _facts(report: StatusReport) -> list[tuple[str, draw.Cell]]:
    champion = "none: nothing is released yet"
    if report.champion_unit is not None:
        champion = f"version {report.champion_version} ({report.champion_unit}) since {draw.when(report.champion_since)}"
    release = "none under way"
    if report.release is not None:
        step = f" step {report.release.step + 1}" if report.release.phase.value == "canary" else ""
        release = (
            f"{report.release.id} {report.release.phase.value}{step} with {report.release.challenger}: {report.release.reason}"
        )
    lost: draw.Cell = ("0", "green") if report.capture_lost == 0 else (f"{report.capture_lost} records", "bold red")
    return [
        ("project", f"{report.project}, model {report.model}"), ("now", draw.when(report.at)), ("champion", champion), ("release", release), *_next_version(report),
        ("controller", _controller(report)), *_trouble(report), *_bounds(report), ("capture lost", lost), *_captured(report),
        *_not_monitored(report), *_outlook(report), *_effects(report),
        ("ledger", f"{report.ledger_seq} entries, head {report.ledger_hash[:12]}"),
    ]  # fmt: skip


def _controller(report: StatusReport) -> draw.Cell:
    if report.ticks_failed_since is not None:
        return (f"running, but its ticks have failed since {draw.when(report.ticks_failed_since)}", "bold red")
    return ("running", "green") if report.controller_alive else ("not running", "yellow")


def _next_version(report: StatusReport) -> list[tuple[str, draw.Cell]]:
    return [("next version", report.next_version)] if report.next_version else []


def _effects(report: StatusReport) -> list[tuple[str, draw.Cell]]:
    return [("effects of acts", report.effects)] if report.effects else []


def _outlook(report: StatusReport) -> list[tuple[str, draw.Cell]]:
    found: list[tuple[str, draw.Cell]] = [("loss", (report.outlook, "yellow"))] if report.outlook else []
    return [*found, ("operations", report.learning)] if report.learning else found


def _gateway(row: GatewayRow) -> draw.Cell:
    if row.error:
        return (row.error, "bold red")
    if row.canary_suspended:
        return ("canary suspended: no controller", "yellow")
    return ("verified", "green") if row.verified else ("not what it should serve", "yellow")


def _windows(report: StatusReport, *, plain: bool) -> "RenderableType":
    own = draw.own_metrics(name for window in report.windows for name in (*window.metrics, *window.live))
    common = (name for window in report.windows for name in named(window) if name not in own and name != "bounded_loss")
    names = [*draw.leading(common, 2), *own]
    rows = []
    for window in report.windows:
        drift = max(window.drift.items(), key=lambda item: item[1], default=None)
        rows.append((
            draw.when(window.end), str(window.predictions), labelled(window),
            *(_metric(window, name) for name in names),
            "" if drift is None else f"{drift[0]} {drift[1]:.3f}",
        ))  # fmt: skip
    columns = ("window until", "predictions", "labels", *names, "largest drift")
    told = draw.table(columns, rows, plain=plain, title="Last windows of the champion", right=("predictions", "labels"))
    void = next((window.void for window in reversed(report.windows) if window.void), "")
    notes = [draw.text((f"No estimate without labels: {void}", "yellow"))] if void else []
    return draw.page([told, *notes, *(draw.text(words) for words in report.label_notes)])


def _slices(report: StatusReport, *, plain: bool) -> "RenderableType":
    rows = [
        (each.name, each.where, str(each.rows), "" if each.loss is None else draw.number(each.loss),
         "" if each.holdout is None else draw.number(each.holdout), each.note)
        for each in report.slices
    ]  # fmt: skip
    columns = ("slice", "where", "labels", "loss", "on the holdout", "note")
    return draw.table(columns, rows, plain=plain, title="Declared slices", right=("labels", "loss", "on the holdout"))


def _findings(report: StatusReport, *, plain: bool) -> "list[RenderableType]":
    if not plain:
        heads = [part for finding in report.findings for part in told(finding, "" if finding.pages else ("benign", "green"))]
        return [draw.heading("Open findings"), *heads, draw.text("flyball explain finding N says more of one.")]
    found = [
        (str(f.number), f.kind.value, f.subject, draw.when(f.window_end), f"{draw.number(f.effect)} {f.effect_unit}", f.words)
        for f in report.findings
    ]
    return [
        draw.table(("finding", "kind", "of", "window until", "effect", "what it says"), found, plain=plain, title="Open findings")
    ]


def _metric(window: WindowSummary, name: str) -> str:
    """With what it is of, where that is not all the window's labels as they are."""
    shown = figure(window, name)
    if shown is None:
        return "void" if window.void else ""
    told = draw.measured(shown.evidence)
    return f"≈ {told}" if shown.how == ESTIMATED else f"{told} {shown.how}".rstrip()


def _next(report: StatusReport) -> str:
    if report.trouble:  # some says itself what helps
        return "" if "Next: " in report.trouble else "Next: flyball doctor (what is wrong, and what to do)."
    if report.stop is not None:
        return "Next: flyball serving resume, once what it was stopped for is mended."
    if report.breaker is not None:
        return f"Next: flyball explain {report.breaker.decision}, then flyball breaker close."
    if report.approvals:
        first = report.approvals[0]
        who = next((each.who for each in report.questions if each.approval == first.id), "")
        if who:
            return f"Next: flyball explain {first.decision}; it waits for {who} ({TOKEN_OF_THEIR_OWN} gives them a name)."
        return f"Next: flyball explain {first.decision}, then flyball approve {first.id} or flyball refuse {first.id}."
    if report.champion_unit is None and report.release is None:
        return "Next: flyball run (train a model and register it)."
    return "Next: flyball up (serve it)." if not report.gateways else "Next: flyball decisions (what was decided, and why)."


def version_rows(rows: tuple[VersionRow, ...], plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    if not rows:
        return draw.text("No version is registered yet. Next: flyball run")
    names = draw.leading((name for row in rows for name in row.metrics), 3)
    if not plain:
        return draw.table(
            ("version", "role", "made", "measured", "from"),
            [_stacked(row, names) for row in rows],
            plain=False,
            right=("version",),
        )
    given = any(row.parameters for row in rows)
    cells: list[tuple[draw.Cell, ...]] = [
        (str(row.number), (row.role, "bold green" if row.role == "champion" else ""), row.format, draw.when(row.created_at),
         *(draw.number(row.metrics[name]) if name in row.metrics else "" for name in names),
         f"{row.snapshot_rows:,} until {draw.when(row.snapshot_until)[:10]}", _code(row), row.manifest_digest[:12], *((draw.assigned(row.parameters),) if given else ()))
        for row in rows
    ]  # fmt: skip
    heads = ("version", "role", "format", "made", *names, "rows", "code", "manifest", *(("parameters",) if given else ()))
    return draw.table(heads, cells, plain=plain, right=("version",))


def _stacked(row: VersionRow, names: list[str]) -> tuple[draw.Cell, ...]:
    """Several lines a cell: ten columns do not fit a terminal of 80."""
    measured = "\n".join(f"{name} {draw.number(row.metrics[name])}" for name in names if name in row.metrics)
    measured = f"{measured}\n{row.note}" if row.note else measured
    origin = f"{row.snapshot_rows:,} rows until {draw.when(row.snapshot_until)[:10]}\n{_code(row)}\n{row.format} {row.manifest_digest[:12]}"
    origin = f"{origin}\n{draw.assigned(row.parameters)}" if row.parameters else origin
    return (
        str(row.number),
        (row.role, "bold green" if row.role == "champion" else ""),
        draw.when(row.created_at),
        measured,
        origin,
    )


def _code(row: VersionRow) -> str:
    commit = "no git" if row.git_commit is None else row.git_commit[:8]
    return f"{commit} + changes" if row.git_dirty else commit


def _trouble(report: StatusReport) -> list[tuple[str, draw.Cell]]:
    return [("trouble", (report.trouble, "bold red"))] if report.trouble else []


def _captured(report: StatusReport) -> list[tuple[str, draw.Cell]]:
    found: list[tuple[str, draw.Cell]] = [("captured", (report.capture_damage, "bold red"))] if report.capture_damage else []
    return [*found, ("labels", (report.labels_astray, "yellow"))] if report.labels_astray else found


def _bounds(report: StatusReport) -> list[tuple[str, draw.Cell]]:
    """Only what keeps policies from acting."""
    found: list[tuple[str, draw.Cell]] = []
    if report.stop is not None:
        seen = "" if report.stop.verified_at is not None else " (not seen at every gateway yet)"
        found.append(("stopped", (f"since {draw.when(report.stop.stopped_at)}: {report.stop.words}{seen}", "bold red")))
    if report.breaker is not None:
        found.append(("breaker", (f"open since {draw.when(report.breaker.opened_at)}: {report.breaker.words}", "bold red")))
    less = [f"{action}: {level}" for action, level in report.autonomy.items() if level != "act"]
    return [*found, ("autonomy", ", ".join(less))] if less else found


def _not_monitored(report: StatusReport) -> list[tuple[str, draw.Cell]]:
    found: list[tuple[str, draw.Cell]] = [("not monitored", ", ".join(report.not_monitored))] if report.not_monitored else []
    return [*found, ("not monitored", (report.unjudged, "yellow"))] if report.unjudged else found
