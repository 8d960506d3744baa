"""The gateway alone, and what takes a package to it."""

from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.doors import Json, Project, text
from flyball.cli.session import session_of


def gateway(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    context: typer.Context,
    routing: Annotated[Path, typer.Option("--routing", metavar="FILE", help="Which packages answer (YAML, written by you).")],
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes that share the port.")] = 1,
    host: Annotated[str, typer.Option("--host", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 8400,
    grpc_port: Annotated[
        int | None, typer.Option("--grpc-port", min=0, max=65535, help="gRPC beside REST; 0: any free one. Default: none.")
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option("--state-dir", metavar="DIR", help="Token, capture, logs. Default: .flyball-gateway beside FILE."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", metavar="NAME", help="A further name that clients use; may be repeated.")
    ] = None,
    log_format: Annotated[str, typer.Option("--log-format", metavar="text|json", help="Of the workers' logs.")] = "text",
    check: Annotated[bool, typer.Option("--check", help="Only look at the file and its packages.")] = False,
    _json: Json = False,
) -> None:
    """Serve models from a routing file, without a project and without the control plane."""
    from flyball.cli import tell_gateway
    from flyball.wiring import standalone
    from flyball.wiring.privacy import private_process
    from flyball.wiring.standalone_supervisor import Manner

    if log_format not in ("text", "json"):
        raise typer.BadParameter(f"found {log_format!r}, expected text or json", param_hint="--log-format")
    if not host.strip():
        raise typer.BadParameter("found nothing, expected an address; 0.0.0.0 is every interface", param_hint="--host")
    screen = session_of(context).screen
    if check:
        screen.answer(standalone.check_routing(routing), tell_gateway.standalone_report)
        return
    private_process()
    options = standalone.StandaloneOptions(
        routing, workers, host, port, grpc_port, state_dir, tuple(allow_host or ()), log_format
    )
    manner = Manner(as_json=screen.as_json, debug=screen.debug)
    standalone.serve_routing(options, screen.say, lambda report: screen.drawn(report, tell_gateway.standalone_report), manner)


def routes_child(
    context: typer.Context,
    routing: Annotated[Path, typer.Argument(metavar="FILE")],
    state_dir: Annotated[Path, typer.Option("--state-dir", metavar="DIR")],
    workers: Annotated[int, typer.Option("--workers", min=1, max=64)] = 1,
    arguments: Annotated[str, typer.Option("--arguments")] = "",
    _json: Json = False,
) -> None:
    """Publish a routing file that has changed (`flyball gateway` starts it itself)."""
    from flyball.wiring.privacy import private_process
    from flyball.wiring.standalone import take_routes

    private_process()
    take_routes(routing, state_dir, workers, arguments, session_of(context).screen.say)


def export(
    context: typer.Context,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="Its number, as `flyball versions` shows it.", min=1)],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; must not exist.")],
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """Copy a version's package, every byte checked, for `flyball gateway` here or elsewhere."""
    from flyball.wiring.exporting import export_version
    from flyball.wiring.privacy import private_process

    private_process()
    session = session_of(context)
    manifest_digest, notes = export_version(project, version, directory)
    if session.screen.as_json:
        session.screen.document({
            "version": version, "package": str(directory), "manifest_digest": manifest_digest, "notes": list(notes),
        })  # fmt: skip
        return
    session.screen.say("good", f"{directory} holds version {version} (manifest {manifest_digest[:12]}).")
    for note in notes:
        session.screen.say("finding", note)


def bench(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="The project's model; it has one.", parser=text)] = None,
    version: Annotated[int | None, typer.Option("--version", metavar="N", min=1, help="Default: the champion.")] = None,
    package: Annotated[
        Path | None, typer.Option("--package", metavar="DIR", help="A package instead of a project's version.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.2, max=60, help="Of each load.")] = 3.0,
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """Measure what this machine can do with a model, and where the time goes."""
    from flyball.cli import tell_gateway
    from flyball.wiring.benching import bench_package, bench_version
    from flyball.wiring.privacy import private_process

    session = session_of(context)
    if package is not None and (version is not None or model is not None):
        raise typer.BadParameter("found --package and a model or --version of a project, expected one of them")
    private_process()
    with session.screen.working("Measuring") as say:
        report = bench_package(package, seconds, say) if package else bench_version(project, model, version, seconds, say)
    session.screen.answer(report, tell_gateway.bench_report)
