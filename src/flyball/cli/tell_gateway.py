"""What `gateway` and `bench` print."""

import json
import shlex
from typing import TYPE_CHECKING

from flyball.cli import draw
from flyball.control.bench_reports import BenchReport
from flyball.control.reports import StandaloneReport

if TYPE_CHECKING:
    from rich.console import RenderableType


def standalone_report(report: StandaloneReport, plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    serves = bool(report.gateway_url)
    parts: list[RenderableType] = [draw.text(("Serving." if serves else f"{report.routing_file} holds.", "green"))]
    if serves:
        parts.append(draw.facts((
            ("gateway", report.gateway_url), *([("gRPC", report.grpc_target)] if report.grpc_target else ()), ("process", str(report.pid)),
            ("workers", str(report.workers)), ("token", report.token_file),
            ("routes", report.routing_file),
        )))  # fmt: skip
    rows = [
        (
            each.model,
            each.champion,
            f"{each.canary} ({each.canary_weight:.4g})" if each.canary else "",
            each.others,
            each.left_out,
        )
        for each in report.models
    ]
    parts.append(draw.table(("model", "champion", "canary", "beside them", "not captured"), rows, plain=plain, title="Models"))
    parts += [draw.text((note, "yellow")) for note in report.notes]
    if serves:
        parts += [draw.heading("Ask for a prediction:"), draw.to_paste(_curl(report))]
        parts.append(
            draw.text(
                f"\nNext: edit {report.routing_file} (it is followed), kill -HUP {report.pid} (fresh workers), Ctrl-C (stop)."
            )
        )
    return draw.page(parts)


def bench_report(report: BenchReport, plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    facts = (
        ("model", report.model), ("served as", report.format), ("one worker of", f"{report.cores} cores"),
        ("memory", f"{report.memory_bytes / 1024**2:.0f} MiB"),
    )  # fmt: skip
    loads = [
        (str(row.rows), str(row.connections), f"{row.requests_per_second:,.0f}", f"{row.rows_per_second:,.0f}", f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}")
        for row in report.loads
    ]  # fmt: skip
    stages = [
        (row.stage, f"{row.us:,.1f}", f"{row.share:.0%}", "" if row.batch_us is None else f"{row.batch_us:,.1f}")
        for row in report.stages
    ]
    columns = ("rows", "connections", "requests/s", "rows/s", "p50 ms", "p99 ms")
    parts: list[RenderableType] = [draw.facts(facts), draw.table(columns, loads, plain=plain, title="Load", right=columns)]
    if stages:
        told = ("stage", "µs", "share", "µs of 100 rows")
        parts.append(draw.table(told, stages, plain=plain, title="Where one request's time goes", right=told[1:]))
    parts.append(draw.text(report.advice))
    parts.append(draw.text("The client ran beside the worker and took its share of the processor."))
    return draw.page(parts)


def _curl(report: StandaloneReport) -> str:
    model = report.models[0]
    body = shlex.quote(json.dumps({"rows": [model.example_row]}, ensure_ascii=False))
    return (
        f"curl -s {report.gateway_url}/models/{model.model}/predict \\\n"
        f'  -H "Authorization: Bearer $(cat {shlex.quote(report.token_file)})" -H "Content-Type: application/json" \\\n'
        f"  -d {body}"
    )
