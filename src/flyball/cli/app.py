"""The `flyball` command: every sub-command with its help, nothing else."""

import sys
from typing import Annotated

import typer

from flyball import __version__
from flyball.cli import bounds, captured, gateway, init, loop, orders, proofs, reading, releases, replays, tokens
from flyball.cli.doors import Doors
from flyball.cli.screen import Screen, quiet_traceback
from flyball.cli.session import session_of

app = typer.Typer(
    name="flyball", cls=Doors, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
    help="Take a machine-learning model from data to production, keep it healthy there, and prove what was done and why.",
    epilog="Start with: flyball init shop && cd shop && flyball run && flyball up",
)  # fmt: skip


def _example(line: str) -> str:
    """The last line of a command's help."""
    return f"Example: {line}"


captured.capture.command("export", epilog=_example("flyball capture export --format parquet --to captured"))(captured.export)
captured.labels.command("import", epilog=_example("flyball labels import outcomes.csv --id prediction_id --label returned"))(
    captured.import_labels
)


bounds.breaker.command("close", epilog=_example('flyball breaker close --reason "the labels were late"'))(bounds.close)
bounds.serving.command("stop", epilog=_example('flyball serving stop --reason "prices come in cents"'))(bounds.stop)
bounds.serving.command("resume", epilog=_example('flyball serving resume --reason "prices are mended"'))(bounds.resume)
bounds.autonomy.command("raise", epilog=_example('flyball autonomy raise retrain --reason "three proposals were right"'))(
    bounds.raise_level
)
releases.release.command("status", epilog=_example("flyball release status r-0007"))(releases.release_status)
releases.release.command("list", epilog=_example("flyball release list"))(releases.release_list)
releases.release.command("hold", epilog=_example('flyball release hold --reason "the sale begins"'))(releases.hold)
releases.release.command("resume", epilog=_example("flyball release resume"))(releases.resume)


tokens.token.command("add", epilog=_example("flyball token add anna --role approver"))(tokens.add)
tokens.token.command("list", epilog=_example("flyball token list"))(tokens.list_tokens)
tokens.token.command("remove", epilog=_example("flyball token remove anna"))(tokens.remove)


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer's signature
    if value:
        Screen().write(f"flyball {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)] = False,  # noqa: ARG001
    debug: Annotated[
        bool, typer.Option("--debug", envvar="FLYBALL_DEBUG", help="Show where an unforeseen error came from.")
    ] = False,
) -> None:
    session_of(context).screen.debug = debug
    if not debug:
        sys.excepthook = quiet_traceback


app.command(epilog=_example("flyball init shop"))(init.init)
app.command(epilog=_example("flyball run"))(loop.run)
app.command(epilog=_example("flyball up --detach"))(loop.up)
app.command(epilog=_example("flyball down"))(loop.down)
app.command(epilog=_example("flyball status"))(reading.status)
app.command(epilog=_example("flyball versions --json"))(reading.versions)
app.command(epilog=_example("flyball decisions --open"))(reading.decisions)
app.command(epilog=_example("flyball findings --open"))(reading.findings)
app.command(epilog=_example("flyball incidents --open"))(reading.incidents)
app.command(epilog=_example("flyball explain finding 3"))(reading.explain)
app.command(epilog=_example('flyball rollback --reason "returns are predicted too low"'))(orders.rollback)
app.command(epilog=_example("flyball drill"))(releases.drill)
app.command(epilog=_example('flyball approve d-000012 --reason "seen the report"'))(orders.approve)
app.command(epilog=_example('flyball refuse d-000012 --reason "not before the sale"'))(orders.refuse)
app.command(epilog=_example('flyball acknowledge 3 --reason "a sale, as planned"'))(orders.acknowledge)
app.command(epilog=_example("flyball replay --since 2013-03-01 --until 2013-06-01"))(replays.replay)
app.command(epilog=_example("flyball verify"))(proofs.verify)
app.command(epilog=_example("flyball doctor"))(proofs.doctor)
app.command(epilog=_example("flyball export 3 ../packages/shop-3"))(gateway.export)
app.command(epilog=_example("flyball gateway --routing routing.yaml --workers 2"))(gateway.gateway)
app.command(epilog=_example("flyball bench --version 3"))(gateway.bench)
app.add_typer(releases.release, name="release")
app.add_typer(bounds.breaker, name="breaker")
app.add_typer(bounds.autonomy, name="autonomy")
app.add_typer(bounds.serving, name="serving")
app.add_typer(tokens.token, name="token")
app.add_typer(captured.capture, name="capture")
app.add_typer(captured.labels, name="labels")
app.command("routes-child", hidden=True, epilog=_example("flyball routes-child routing.yaml --state-dir .flyball-gateway"))(
    gateway.routes_child
)
app.command("replay-child", hidden=True, epilog=_example("flyball replay-child .flyball/replays/policies/never"))(
    replays.replay_child
)
app.command("step-child", hidden=True, epilog=_example("flyball step-child .flyball/jobs/j-0001"))(loop.step_child)
