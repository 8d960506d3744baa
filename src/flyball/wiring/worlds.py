"""Worlds: a project's ports joined to this machine's adapters."""

from pathlib import Path
from typing import NamedTuple

from flyball.adapters.capture_files import CaptureFiles
from flyball.adapters.entropy import fresh_token
from flyball.adapters.executor import ProcessExecutor
from flyball.adapters.gateways_http import HttpGateways
from flyball.adapters.heartbeat import LeaseFile
from flyball.adapters.ledger import HeldLedger, SqliteLedger
from flyball.adapters.notifier import LogNotifier
from flyball.adapters.packages import LocalPackages
from flyball.adapters.registry_mlflow import MlflowRegistry
from flyball.adapters.room import ROOM_BYTES
from flyball.adapters.scorer_child import OneCallScorer, remove_left
from flyball.adapters.token import owner_token
from flyball.adapters.user_metrics import ChildMetrics
from flyball.adapters.user_metrics import remove_left as remove_measured
from flyball.control.ports import SCHEMA, Clock, Ledger, Say
from flyball.control.world import Place, Ports, World
from flyball.errors import Fault, SpecError
from flyball.spec import ProjectSpec
from flyball.wiring.environment import plain_environment
from flyball.wiring.privacy import keep_private

SCORER_SECONDS = 60.0
"""Loading a model and a thousand rows take a few; ticks wait as long, while the challenger of a proposed release sees no traffic yet. What is answered by
then counts."""

LOADING_SECONDS = 60.0
"""A replay's gateway is waited for: while it loads a model simulated time stands still, or a busy machine would let another unit answer an hour."""


class Home(NamedTuple):
    """A project on this machine."""

    spec: ProjectSpec
    project_dir: Path
    state_dir: Path
    clock: Clock
    """Of the machine: children's time limits are real even when the world's time is simulated."""

    def keep_private(self) -> None:
        """The state directory for this account alone, also one that an earlier Flyball left open. Raises StoreUnavailable."""
        keep_private(self.state_dir)

    def token(self) -> str:
        """The owner's token, made at the first call."""
        self.keep_private()
        return owner_token(self.state_dir, fresh_token)


def say_nothing(_style: str, _words: str) -> None:
    """For use cases that only read."""


def world_of(home: Home, say: Say) -> World:
    """Raises SpecError where the ledger is of another model than flyball.yaml."""
    home.keep_private()  # before the ledger: a place that is no directory is told as that
    ledger = SqliteLedger(home.state_dir)
    refuse_another_model(home.spec, ledger)
    gateways = HttpGateways(
        home.state_dir, home.token, home.spec.serve.workers, lease=LeaseFile(home.state_dir, home.clock.now, ROOM_BYTES)
    )
    registry = MlflowRegistry(home.state_dir, server_url=home.spec.tracking_url)
    executor = ProcessExecutor(home.state_dir, home.clock.now, serving=gateways.alive)
    ports = _ports(home, home.clock, executor, ledger, gateways, registry)
    return World(home.spec, Place(home.project_dir, home.state_dir), ports, say)


def remove_left_rows(home: Home) -> None:
    """Captured requests, and rows of a window that is judged, that a controller was killed over. For who controls the project, alone."""
    remove_left(_replayed(home.state_dir))
    remove_measured(_measured(home.state_dir))


def _replayed(state_dir: Path) -> Path:
    """Where a challenger is asked captured requests."""
    return state_dir / "replayed"


def _measured(state_dir: Path) -> Path:
    """Where the user's own metrics are given scores and labels."""
    return state_dir / "metrics"


def refuse_another_model(spec: ProjectSpec, ledger: Ledger) -> None:
    """Raises SpecError. Under another name the first version would answer at once, compared with nobody, in the place of the champion that there is."""
    known = sorted({stored.key.partition("|")[0] for stored in ledger.states("version")})
    if known and spec.model not in known:
        hint = "Change it back; another model has a project of its own: flyball init NAME."
        expected = f"{' or '.join(map(repr, known))}, the model whose versions .flyball/ holds"
        raise SpecError((Fault("model", repr(spec.model), expected, hint),))


def replayed_world(home: Home, say: Say, clock: Clock, shared_steps: Path) -> World:
    """Of a replay: another time, a state directory that one process alone writes and that can be made again, and no server but its own."""
    ledger = HeldLedger(SqliteLedger(home.state_dir, durable=False))
    gateways = HttpGateways(home.state_dir, home.token, home.spec.serve.workers, nudge_seconds=LOADING_SECONDS)
    # Embedded whatever `tracking_url` says: versions and aliases of a life that was never lived are nothing to those who use the server.
    registry = MlflowRegistry(home.state_dir)
    # Its gateway waits while a model is trained: the training may have all cores.
    executor = ProcessExecutor(home.state_dir, home.clock.now)
    ports = _ports(home, clock, executor, ledger, gateways, registry)
    return World(home.spec, Place(home.project_dir, home.state_dir, shared_steps, home.state_dir / SCHEMA), ports, say)


def _ports(
    home: Home, time: Clock, executor: ProcessExecutor, ledger: Ledger, gateways: HttpGateways, registry: MlflowRegistry
) -> Ports:
    state_dir = home.state_dir
    return Ports(
        clock=time,
        ledger=ledger,
        executor=executor,
        registry=registry,
        gateways=gateways,
        capture=CaptureFiles(state_dir, lambda: gateways.seen),
        packages=LocalPackages(),
        notifier=LogNotifier(state_dir, time.now),
        scorer=OneCallScorer(_replayed(state_dir), plain_environment(), SCORER_SECONDS),
        metrics=ChildMetrics(home.project_dir, _measured(state_dir), plain_environment()),
    )
