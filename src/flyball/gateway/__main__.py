"""`python -m flyball.gateway`: one worker. The only place of the gateway that reads the environment, the clock and the entropy source."""

import argparse
import importlib.util
import logging
import os
import re
import secrets
import sys
import time
from pathlib import Path

import msgspec
import prometheus_client
import uvloop

from flyball.errors import FlyballError
from flyball.gateway import logs
from flyball.gateway.runtimes.contract import CodeLimits
from flyball.gateway.worker import Options, Worker, World
from flyball.records.routing import LEASE_SECONDS

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "PYTHONPATH")
"""All that a code worker sees of the environment: tokens and passwords live there too."""

_UNTOLD = "ORT_DISABLE_TELEMETRY"
"""onnxruntime tells its maker of every process and every session by itself, from a database in the home directory, unless this is set before it is imported."""

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM."""
    os.environ.setdefault(_UNTOLD, "1")
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter that nobody reads
    given = _parser().parse_args(arguments)
    logs.set_up(given.worker, as_json=given.log_format == "json")
    options = _options(given)
    world = World(now_us=lambda: time.time_ns() // 1000, random_bytes=secrets.token_bytes)
    if given.stages is not None:
        from flyball.gateway.stages import time_stages  # brings modules that no worker that serves needs

        model, *bodies = given.stages.read_bytes().split(b"\n")
        stages = uvloop.run(time_stages(options, world, model.decode(), bodies))
        sys.stdout.write(msgspec.json.encode(stages).decode() + "\n")
        return 0
    try:
        uvloop.run(_run(options, world))
    except FlyballError as refused:
        logging.getLogger("flyball.gateway").error("%s", refused.message)  # a sentence, not a stack
        return refused.exit_code
    return 0


async def _run(options: Options, world: World) -> None:
    await Worker(options, world).run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="flyball.gateway", description="One inference worker.")
    parser.add_argument("--state-dir", type=Path, required=True, help="where routing.json, token, lease and capture/ lie")
    parser.add_argument("--worker", required=True, type=_worker_name, help="name of this worker, unique in the state directory")
    parser.add_argument("--fd", type=int, help="a bound public socket inherited from the supervisor")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument(
        "--clock", choices=("system", "request"), default="system", help="request: event time comes in X-Flyball-Event-Time"
    )
    parser.add_argument("--model", action="append", default=[], help="serve only this model of the table; may be repeated")
    parser.add_argument(
        "--allow-host", action="append", default=[], help="a further name that clients may address this gateway by"
    )
    parser.add_argument("--no-capture", action="store_true", help="keep no record of predictions and labels")
    parser.add_argument("--lease-seconds", type=float, default=LEASE_SECONDS)
    parser.add_argument(
        "--drain-seconds", type=float, default=0.5, help="readiness fails for so long before connections are closed"
    )
    parser.add_argument("--max-body-mb", type=int, default=16, choices=range(1, 129), metavar="1-128")
    parser.add_argument(
        "--grpc-port", type=_grpc_port, metavar="PORT", help="gRPC beside REST; 0: any free port; not given: none"
    )
    parser.add_argument(
        "--deadline-seconds", type=float, default=CodeLimits().deadline_seconds, help="of one call of a code model"
    )
    parser.add_argument(
        "--memory-mb", type=int, default=CodeLimits().memory_bytes // 1024**2, help="address space of a code model's worker"
    )
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="json: one object a line")
    parser.add_argument("--must-serve", action="store_true", help="end at once when there is no routing table to serve")
    parser.add_argument(
        "--stages",
        type=Path,
        metavar="FILE",
        help="serve nothing: time the stages of answering FILE (a model's name, then bodies, a line each)",
    )
    return parser


def _grpc_port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a port from 0 to 65535")
    if importlib.util.find_spec("grpc") is None:
        raise argparse.ArgumentTypeError("gRPC needs grpcio, which is not installed: pip install 'flyball[grpc]'")
    return int(text)


def _worker_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", text):
        raise argparse.ArgumentTypeError(
            f"found {text!r}, expected 1 to 64 letters, digits or _: segments are named worker-start-number"
        )
    return text


def _options(given: argparse.Namespace) -> Options:
    environment = {name: os.environ[name] for name in (*_PASSED_ON, _UNTOLD) if name in os.environ}
    environment |= dict.fromkeys(_ONE_THREAD, "1") | {"PYTHONDONTWRITEBYTECODE": "1"}
    limits = CodeLimits(
        deadline_seconds=given.deadline_seconds, memory_bytes=given.memory_mb * 1024**2, environment=tuple(environment.items())
    )
    return Options(
        state_dir=given.state_dir.resolve(),
        worker=given.worker,
        host=given.host,
        port=given.port,
        descriptor=given.fd,
        request_clock=given.clock == "request",
        capture=not given.no_capture,
        models=tuple(given.model),
        lease_seconds=given.lease_seconds,
        drain_seconds=given.drain_seconds,
        max_body_bytes=given.max_body_mb * 1024**2,
        grpc_port=given.grpc_port,
        allowed_hosts=tuple(given.allow_host),
        limits=limits,
        must_serve=given.must_serve,
        tracing=_traced_as(),
    )


def _traced_as() -> str | None:
    """The service's name in traces; None: the standard variables name no collector, or say that nothing is to be traced."""
    said = os.environ.get
    collector = said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or said("OTEL_EXPORTER_OTLP_ENDPOINT")
    if not collector or said("OTEL_SDK_DISABLED", "").lower() == "true" or said("OTEL_TRACES_EXPORTER") == "none":
        return None
    named = said("OTEL_SERVICE_NAME") or "service.name=" in said("OTEL_RESOURCE_ATTRIBUTES", "")
    return "" if named else "flyball-gateway"


if __name__ == "__main__":
    sys.exit(main())
