"""Several policies over one history: a replay each, in a process and a state directory of its own, and what they came to side by side."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from flyball.adapters import replay_children
from flyball.adapters.clock import SystemClock
from flyball.adapters.durable import project_mode
from flyball.adapters.engine_lock import EngineLock
from flyball.adapters.replay_children import Ended
from flyball.adapters.replay_files import ReplayFiles
from flyball.adapters.report_page import refuse_unwritable, write_comparison
from flyball.control.ports import Say
from flyball.control.replay_comparison import ComparisonReport, FailedPolicy, Prices, Side, compare
from flyball.control.replay_report import ReplayReport
from flyball.errors import EngineBusy, FlyballError, OperatorError
from flyball.machine.parting import end_with_parent
from flyball.spec import ProjectSpec, ReplaySpec
from flyball.spec.alternatives import Alternative, alternatives
from flyball.wiring.replay import lived_report, replays_dir
from flyball.wiring.worlds import Home

STATE = "state"
POLICIES = "policies"
"""Apart from what they share: a policy may be called `cache`."""
TAKE_OVER_SECONDS = 15.0
"""The child of a command that was killed a moment ago ends within a second."""


class Comparison(NamedTuple):
    """What is asked for."""

    names: tuple[str, ...]
    """Files, `never`, `current`."""
    jobs: int
    """Replays at a time."""
    fresh: bool


def replay_policies(home: Home, plan: ReplaySpec, wanted: Comparison, say: Say, output: Path) -> ComparisonReport:
    """Each goes on where it was interrupted, and is not lived again when it is over and nothing has changed. One that fails is named, and the
    others are compared. Raises OperatorError when all failed, and UserError, before anything is lived, when reports cannot be written to `output`."""
    began = time.monotonic()
    refuse_unwritable(output)
    found = alternatives(home.project_dir, wanted.names, Path.cwd())
    home.keep_private()
    with EngineLock(replays_dir(home), replays=True):
        places = {one.name: _ordered(home, plan, one, fresh=wanted.fresh) for one in found}
        ended = replay_children.run_children(places, max(1, min(wanted.jobs, len(places))), say)
        failed = failed_of(ended)
        sides = [Side(one.name, one.words, _report(places[one.name])) for one in found if ended[one.name].exit_code == 0]
    prices = prices_of(home.spec)
    otherwise = [one.name for one in found if one.name in {side.name for side in sides} and prices_of(one.spec) != prices]
    report = compare(sides, prices, time.monotonic() - began, failed, otherwise)
    for path in write_comparison(report, {side.name: side.report for side in sides}, output, project_mode(home.project_dir)):
        say("good", f"Written: {path}")
    return report


def failed_of(ended: Mapping[str, Ended]) -> tuple[FailedPolicy, ...]:
    """Raises OperatorError when there is nothing left to compare."""
    found = [(name, end.words or f"exit code {end.exit_code}") for name, end in ended.items() if end.exit_code != 0]
    if len(found) == len(ended):
        told = "; ".join(f"{name}: {words}" for name, words in found)
        raise OperatorError(f"{len(found)} of {len(ended)} replays failed: {told}", next_step="the same command goes on")
    return tuple(FailedPolicy(name=name, words=words) for name, words in found)


def prices_of(spec: ProjectSpec) -> Prices | None:
    """None: `cost:` is not declared."""
    if "cost" not in spec.model_fields_set:
        return None
    return Prices(spec.cost.error, spec.cost.training_minute or 0.0)


def _ordered(home: Home, plan: ReplaySpec, one: Alternative, *, fresh: bool) -> Path:
    place = replays_dir(home) / POLICIES / one.name
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    order = {
        "spec": one.spec.model_dump(mode="json", by_alias=True), "plan": plan.model_dump(mode="json"), "project_dir": str(home.project_dir),
        "shared_steps": str(replays_dir(home)), "fresh": fresh,
    }  # fmt: skip
    replay_children.write_order(place, order)
    return place


def _report(place: Path) -> ReplayReport:
    found = ReplayFiles(place / STATE, lambda: 0.0).report()
    if found is None:
        raise OperatorError(f"the replay in {place} left no report", next_step="the same command goes on")
    return found


def lived_policies(home: Home) -> tuple[str, ...]:
    """Those whose replay was begun, in order of their names."""
    return tuple(sorted(place.parent.name for place in (replays_dir(home) / POLICIES).glob(f"*/{STATE}")))


def lived_policy(home: Home, name: str) -> Home:
    """Where the replay of one of them was lived, under the flyball.yaml that it was lived with. Raises OperatorError when that cannot be read."""
    place = replays_dir(home) / POLICIES / name
    return home._replace(spec=_spec(place), state_dir=place / STATE)


def _spec(place: Path) -> ProjectSpec:
    """Raises OperatorError."""
    order = replay_children.read_order(place)
    try:
        return ProjectSpec.model_validate(order["spec"])
    except KeyError:
        wrong = "it has no spec"
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        wrong = f"{'.'.join(map(str, ('spec', *first['loc'])))}: {first['msg']}"
    file = place / replay_children.ORDER
    raise OperatorError(f"{file} is none that this release of Flyball reads: {wrong}", next_step=replay_children.AGAIN)


def live_child(place: Path) -> int:
    """One of them, in this process; its exit code."""
    end_with_parent(replay_children.PARENT_SECONDS)
    say = replay_children.say_as_json
    try:
        order = replay_children.read_order(place)
        home = Home(_spec(place), Path(str(order["project_dir"])), place / STATE, SystemClock())
        with _alone(place):
            lived_report(
                home, ReplaySpec.model_validate(order["plan"]), say, Path(str(order["shared_steps"])), fresh=bool(order["fresh"])
            )
    except FlyballError as error:
        say("bad", error.message)
        return error.exit_code
    return 0


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    lock, deadline = EngineLock(place), time.monotonic() + TAKE_OVER_SECONDS
    while True:
        try:
            lock.acquire()
        except EngineBusy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            break
    try:
        yield
    finally:
        lock.release()
