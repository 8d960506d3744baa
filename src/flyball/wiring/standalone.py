"""A gateway without a control plane: its routing file, its supervisor, its token."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

from flyball.adapters import supervisor
from flyball.adapters.clock import SystemClock
from flyball.adapters.entropy import fresh_token
from flyball.adapters.gateway_limits import limit_arguments
from flyball.adapters.gateways_http import HttpGateways
from flyball.adapters.standalone.retention import hand_over
from flyball.adapters.standalone.routes import Published
from flyball.adapters.standalone.routing_file import RoutingFile
from flyball.adapters.standalone.trial import refuse_what_does_not_answer
from flyball.adapters.standalone.watched_file import WatchedFile
from flyball.adapters.token import owner_token
from flyball.control.ports import Say
from flyball.control.reports import RoutedModel, StandaloneReport
from flyball.errors import Conflict
from flyball.records.example import example_row
from flyball.records.keeping import Keeping
from flyball.records.routing import Route
from flyball.wiring.privacy import keep_private
from flyball.wiring.standalone_supervisor import Manner, become_supervisor

STATE = ".flyball-gateway"


class StandaloneOptions(NamedTuple):
    """What `flyball gateway` was told."""

    routing: Path
    workers: int = 1
    host: str = "127.0.0.1"
    port: int = 8400
    """0: any free one."""
    grpc_port: int | None = None
    """None: no gRPC."""
    state_dir: Path | None = None
    """None: as `state_dir_of` has it."""
    allowed_hosts: tuple[str, ...] = ()
    log_format: str = "text"


def check_routing(routing: Path) -> StandaloneReport:
    """What the file says. Raises SpecError with every fault of its keys, or, where they are right, of its packages, or with why one does not answer."""
    file = RoutingFile(routing)
    routes, notes, _, limits = file.compiled()
    refuse_what_does_not_answer(routes, limit_arguments(limits), file.path.name, SystemClock())
    return StandaloneReport(
        gateway_url="",
        pid=os.getpid(),
        workers=0,
        token_file="",
        routing_file=str(file.path),
        models=_models(routes),
        notes=notes,
    )


def serve_routing(options: StandaloneOptions, say: Say, drawn: Callable[[StandaloneReport], str], manner: Manner) -> NoReturn:
    """Look at everything, publish the routes, and become the supervisor that serves them; it writes what `drawn` made when a model answers.

    Raises SpecError as `check_routing` does, Conflict when the state directory is in use, OperatorError when a port is taken, UserError when gRPC is wanted and
    cannot be had.
    """
    file = RoutingFile(options.routing)
    routes, notes, keep, limits = file.compiled()
    state_dir = (options.state_dir or state_dir_of(file, say)).resolve()
    _refuse_other_owners(state_dir)
    keep_private(state_dir)
    gateways = HttpGateways(state_dir, lambda: owner_token(state_dir, fresh_token), options.workers)
    more = [argument for name in options.allowed_hosts for argument in ("--allow-host", name)]
    layout = supervisor.Layout(
        state_dir=state_dir,
        project_dir=file.path.parent,
        host=options.host,
        port=options.port,
        workers=options.workers,
        grpc_port=options.grpc_port,
        gateway_arguments=(*more, "--log-format", options.log_format, *limit_arguments(limits)),
    )
    with supervisor.held(layout, say) as holding:
        hand_over(state_dir, keep)
        Published(state_dir, gateways, SystemClock()).publish(routes)
        report = StandaloneReport(
            gateway_url=supervisor.url_of(holding.doors.gateway),
            grpc_target=supervisor.target_of(holding.doors.grpc) if holding.doors.grpc is not None else "",
            pid=os.getpid(),
            workers=options.workers,
            token_file=str(state_dir / "token"),
            routing_file=str(file.path),
            models=_models(routes),
            notes=notes,
        )
        become_supervisor(file, layout, holding, drawn(report), manner)


def take_routes(routing: Path, state_dir: Path, workers: int, arguments: str, say: Say) -> None:
    """Publish the file as it is now to the workers that run, and say what came of it. `arguments`: that these were started with."""
    gateways = HttpGateways(state_dir, lambda: owner_token(state_dir, fresh_token), workers)
    Published(state_dir, gateways, SystemClock()).take(RoutingFile(routing), arguments, say)


def state_dir_of(file: WatchedFile, say: Say) -> Path:
    """`.flyball-gateway` beside the routing file as it was named, outside of what a switched link leads to now: with a release that is removed the
    token would go, and every client would have another one. One that is there already in the real place is used on, and that is said."""
    stays, earlier = _unswitched(file.path) / STATE, file.real.parent / STATE
    if _has_token(stays) or not _has_token(earlier):
        return stays
    say(
        "plain",
        f"Token, capture and logs stay in {earlier}, where they are: whoever removes {file.real.parent} takes them away. "
        f"Keep them with `mv {earlier} {stays}` while this gateway does not run.",
    )
    return earlier


def _unswitched(path: Path) -> Path:
    """Where no link is on the way that leads below the directory in which it lies, as `current` does to `releases/7`. Other links lead to other disks
    and do not change; nor do those of the system in `/`."""
    for place in reversed(path.parents):
        around = place.parent
        if around != Path(path.anchor) and os.path.islink(place) and _real(place).is_relative_to(_real(around)):
            return around
    return path.parent


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _has_token(state_dir: Path) -> bool:
    return os.path.exists(state_dir / "token")  # Path.exists raises where this account may not look


def _refuse_other_owners(state_dir: Path) -> None:
    if (state_dir / "flyball.db").exists():
        raise Conflict(
            f"{state_dir} belongs to a project, whose control process says what is served",
            expected="a state directory of this gateway's own",
            next_step="leave --state-dir out, or serve the project with `flyball up`",
        )
    found = supervisor.running(state_dir)
    if found is not None:
        raise Conflict(
            f"a gateway runs on {state_dir} already (process {found.pid}, {found.gateway_url})",
            next_step=f"change its routing file, kill {found.pid}, or give this one another --state-dir",
        )


def _models(routes: tuple[Route, ...]) -> tuple[RoutedModel, ...]:
    return tuple(
        RoutedModel(
            model=route.model,
            champion=route.champion.package,
            canary=route.canary.package if route.canary else "",
            canary_weight=route.canary_weight,
            others=_others(route),
            left_out=_left_out(route.keeping or Keeping()),
            example_row=example_row(route.champion.signature),
        )
        for route in routes
    )


def _others(route: Route) -> str:
    counted = ((len(route.arms), "arm"), (len(route.shadows), "shadow"), (int(route.fallback is not None), "fallback"))
    return ", ".join(f"{n} {word}{'s' * (n > 1)}" for n, word in counted if n)


def _left_out(keeping: Keeping) -> str:
    kept = {name: f"{share:.4g} kept" for name, share in keeping.sample.items()}
    words = [f"{name} {done}" for name, done in (keeping.unmonitored | kept).items()]
    return ", ".join([*words, *([f"keys {'dropped' if keeping.keys == 'drop' else 'hashed'}"] if keeping.keys != "keep" else [])])
