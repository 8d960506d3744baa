"""What `run` and `up` print."""

import json
import shlex
from typing import TYPE_CHECKING, Any

from flyball.cli import draw
from flyball.control.reports import RunReport, UpReport
from flyball.records.evidence import Outcome, Verdict
from flyball.records.jobs import JobStatus, StepResult

if TYPE_CHECKING:
    from rich.console import RenderableType


def run_report(report: RunReport, plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    parts: list[RenderableType] = []
    if report.steps:
        rows = [(step.step, f"{step.seconds:.2f} s", step_result(step)) for step in report.steps]
        parts.append(draw.table(("step", "took", "result"), rows, plain=plain, title="Pipeline", right=("took",)))
    if report.verdicts:
        parts.append(gate_table(report.verdicts, plain=plain))
    if report.job.status is not JobStatus.FAILED:  # a failure was the last that was said while it ran
        parts.append(draw.text((report.words, draw.OUTCOME_STYLES[report.outcome])))
    if report.detail:
        parts.append(draw.text((report.detail, "red")))
    if words := _next(report):
        parts.append(draw.text(words))
    return draw.page(parts)


def gate_table(verdicts: tuple[Verdict, ...], *, plain: bool, title: str = "Gates") -> "RenderableType":
    """Each verdict with its measurement, its error rate and its sentence."""
    rows = [
        (verdict.rule, draw.outcome(verdict.outcome), draw.measured(verdict.evidence), f"{verdict.evidence.n} {verdict.evidence.unit}",
         draw.verdict_sure(verdict.evidence), verdict.words)
        for verdict in verdicts
    ]  # fmt: skip
    return draw.table(("rule", "outcome", "measured", "n", "error rate", "why"), rows, plain=plain, title=title, right=("n",))


_NOT_KEPT = (
    ("after_as_of", "of after this run's moment"),
    ("label_unknown", "with a label that is not due yet"),
    ("label_null", "without a label"),
    ("before_history", "older than the history asked for"),
    ("before_since", "of before the moment asked for"),
)


def step_result(step: StepResult) -> str:
    return _rows_told(step.values) if step.step == "snapshot" and "rows" in step.values else _told(step.values)


def _rows_told(values: dict[str, Any]) -> str:
    """All that were read, and what became of them: rows that are left out without a word are missed by nobody."""
    rows, dropped = int(values["rows"]), values.get("dropped", {})
    left_out = [f"{dropped[reason]:,} {words}" for reason, words in _NOT_KEPT if dropped.get(reason)]
    if not left_out:
        return f"{rows:,} rows"
    read = int(values.get("read", rows + sum(dropped.values())))  # a result of an earlier release does not say
    return f"{read:,} rows read: {', '.join(left_out)}, {rows:,} kept"


def _told(values: object) -> str:
    """A step's small values on one line; nested ones, places and clock readings are for --json."""
    if not isinstance(values, dict):
        return ""
    simple = {name: value for name, value in values.items() if isinstance(value, str | int | float) and not name.endswith("_us")}
    told = [f"{name} {_brief(value)}" for name, value in simple.items() if not str(value).startswith("/")]
    return ", ".join(told[:4])


def _brief(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return draw.number(value) if isinstance(value, float) else str(value)


def _next(report: RunReport) -> str:
    if "Next: " in report.words:
        return ""
    if report.job.status is JobStatus.FAILED:
        return "Next: mend that, then flyball run."
    if report.outcome is not Outcome.PASS:
        return "Next: look at what did not pass, change pipeline.py or flyball.yaml, and run again."
    if report.up:
        return "Next: flyball status (how its release goes), flyball versions (see it beside the others)."
    return "Next: flyball up (serve it), flyball versions (see it beside the others)."


def up_report(report: UpReport, plain: bool) -> "RenderableType":  # noqa: ARG001, FBT001 - Screen.answer's shape
    parts: list[RenderableType] = [
        draw.text(("Already running." if report.already else "Running.", "green")),
        draw.facts((
            ("gateway", report.gateway_url), *([("gRPC", report.grpc_target)] if report.grpc_target else ()),
            ("control, pages", report.control_url), ("process", str(report.pid)),
            ("token", report.token_file),
        )),
    ]  # fmt: skip
    if report.example_row:
        parts += [
            draw.heading("Ask for a prediction:"),
            draw.to_paste(prediction_curl(report)),
            draw.heading("Say what became of it (put the id in):"),
        ]
        parts += [draw.to_paste(label_curl(report))]
    elif not report.trouble:
        parts.append(
            draw.text(
                ("Nothing is served yet: a model becomes champion when it has passed its gates. Next: flyball run", "yellow")
            )
        )
    if report.trouble:
        parts.append(draw.text((report.trouble, "bold red")))
    if "Next: " not in report.trouble:  # it says itself what helps
        look = "flyball doctor (what is wrong, and what to do)" if report.trouble else "flyball status (what answers, how well)"
        parts.append(draw.text(f"\nNext: {look}, flyball down (stop)."))
    return draw.page(parts)


def prediction_curl(report: UpReport) -> str:
    """Ready to paste: one row that the model takes."""
    return _curl(report, "predict", {"rows": [report.example_row]})


def label_curl(report: UpReport) -> str:
    """Ready to paste, but for the prediction's id."""
    return _curl(report, "labels", {"labels": [{"id": "PREDICTION_ID", "label": report.example_label}]})


def _curl(report: UpReport, verb: str, body: object) -> str:
    quoted = shlex.quote(json.dumps(body, ensure_ascii=False))
    return (
        f"curl -s {report.gateway_url}/models/{report.model}/{verb} \\\n"
        f'  -H "Authorization: Bearer $(cat {shlex.quote(report.token_file)})" -H "Content-Type: application/json" \\\n'
        f"  -d {quoted}"
    )
