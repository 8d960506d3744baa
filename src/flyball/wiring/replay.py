"""A replay's wiring: a state directory of its own, a simulated clock, a real gateway on a free port."""

import shutil
import time
from datetime import datetime
from pathlib import Path

from flyball.adapters.clock import SimulatedClock
from flyball.adapters.durable import project_mode
from flyball.adapters.engine_lock import EngineLock
from flyball.adapters.heartbeat import Heartbeat
from flyball.adapters.report_page import write_reports
from flyball.adapters.scorer_child import ChildScorer
from flyball.adapters.sources import LABEL_KNOWN, SourceHistory
from flyball.adapters.supervisor import GatewayProcess
from flyball.adapters.traffic_http import HttpTraffic
from flyball.control.engine import Engine
from flyball.control.ports import Say
from flyball.control.replay import Columns, Replay, plan_history
from flyball.control.replay_diary import Diary
from flyball.control.replay_report import ReplayReport
from flyball.control.replay_result import Lived, report_of
from flyball.errors import UserError
from flyball.spec import ProjectSpec, ReplaySpec
from flyball.wiring.worlds import Home, secret_of, world_of

FAR = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


def replay_of(home: Home, since: datetime | None, until: datetime | None) -> ReplaySpec:
    """What flyball.yaml says, with the command line's own on top. Raises UserError when nothing says when to begin."""
    declared = home.spec.replay
    if declared is None and since is None:
        raise UserError(
            "nothing says when the replay begins",
            expected="`replay:` in flyball.yaml, or --since",
            next_step="flyball replay --since 2024-03-01",
        )
    changes = {"since": since, "until": until} if declared is not None else {"train_until": since, "until": until}
    base = declared.model_dump() if declared is not None else {}
    return ReplaySpec.model_validate({**base, **{name: value for name, value in changes.items() if value is not None}})


def replay(home: Home, plan: ReplaySpec, say: Say, output: Path) -> ReplayReport:
    """Live it, from an empty state: a replay that was killed is begun anew, and gives the same."""
    began = time.monotonic()
    replayed = home._replace(state_dir=home.state_dir / "replay", spec=one_worker(home))
    home.keep_private()
    lock = EngineLock(home.state_dir / "replays")
    lock.acquire()
    try:
        shutil.rmtree(replayed.state_dir, ignore_errors=True)
        replayed.state_dir.mkdir(parents=True)
        lived = _live(replayed, plan, say)
        with ChildScorer(replayed.state_dir / "alone") as scorer:
            report = report_of(lived._replace(wall_seconds=time.monotonic() - began), plan, scorer)
        for path in write_reports(report, output, project_mode(home.project_dir)):
            say("good", f"Written: {path}")
        return report
    finally:
        lock.release()


def one_worker(home: Home) -> ProjectSpec:
    """One worker keeps the order of requests; more would answer the same."""
    return home.spec.model_copy(update={"serve": home.spec.serve.model_copy(update={"workers": 1})})


def _live(home: Home, plan: ReplaySpec, say: Say) -> Lived:
    data = home.spec.data
    columns = Columns(data.time, data.key, data.label, LABEL_KNOWN, data.feature_names)
    say("step", "Reading the history")
    history = plan_history(SourceHistory(data, home.project_dir, secret_of).rows(plan.start, plan.until or FAR), columns, plan)
    world = world_of(home, say, SimulatedClock(plan.train_until))
    engine = Engine(world)
    engine.start("flyball replay")
    with GatewayProcess(home.state_dir) as gateway, Heartbeat(world.ports.gateways, lambda: True):
        traffic = HttpTraffic(gateway.url, home.token())
        lived = Replay(engine, traffic, columns, time.sleep)
        say("step", f"Training the first version on what was known on {plan.train_until:%Y-%m-%d}")
        lived.first_version()
        say("step", f"{history.frame.height:,} rows in {len(history.requests.at_us):,} requests to {gateway.url}")
        lived.live(history, Diary(engine, lived).day)
        traffic.close()
    return Lived(engine, history, columns, lived.sent, 0.0)
