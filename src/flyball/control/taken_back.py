"""What releases took back, and who of a tournament would bring it again: as with versions, nobody but a person does that, unless a policy alone took
it back and its world has come again."""

from datetime import datetime

from flyball.autopilot.entrants import Strategy
from flyball.control.todos import Todo
from flyball.control.world import World
from flyball.records.release import Phase, ReleaseState
from flyball.records.tournaments import Entrant, Tournament
from flyball.records.unit import Unit
from flyball.registry.unit import answers_alike

_GOES_BACK = (Phase.ROLLING_BACK, Phase.ROLLED_BACK)


def why_not(world: World, won: Entrant, unit: Unit, since: datetime | None) -> str:
    """Why the winner, who would be `unit`, is not released by itself; empty: nothing speaks against it. `since`: only later rows judged it; None: older ones may.

    What rows from before show is nothing new, however it was fitted; those that came since may show it to be right now. A settled unit that a policy rolled
    back had lost its world and not its worth: where rows that came since show it better, that world is back, and so may the unit be, by a release with all its
    guards."""
    fitted = won.calibration is not None or won.threshold is not None
    as_it_was, policies = won.name.startswith(f"{Strategy.EARLIER}:"), _rollbacks(world)
    for other, release in _taken_back(world, unit.version):
        alike, newer = answers_alike(other, unit), since is not None and since >= release.entered_at
        if alike and not (newer and (fitted or (as_it_was and release.cause in policies))):
            return f"it would be what {release.id} took back ({release.challenger})"
        if fitted and not newer and _won_as(world, won.name, other.id):
            return f"rows that judge it are older than {release.id}, which took back {release.challenger}"
    return ""


def judged_from(world: World, champion: str) -> dict[str, datetime]:
    """Entrant → when a release took back what it may bring again. `champion`: unit, of whose version maps and thresholds are."""
    now, policies, found = world.get("unit", champion, Unit), _rollbacks(world), dict[str, datetime]()
    for unit, release in reversed(_taken_back(world)):  # the newest one counts
        if release.cause in policies:
            found[f"{Strategy.EARLIER}:{unit.id}"] = release.entered_at
        fitted = Strategy.RECALIBRATE if unit.calibration is not None else Strategy.RETHRESHOLD
        if now is not None and unit.version == now.version and (unit.calibration is not None or unit.threshold is not None):
            found[fitted.value] = release.entered_at
    return found


def by_policies(world: World) -> tuple[str, ...]:
    """Units that had settled and were rolled back by a policy last, oldest first: of another world, and not bad."""
    policies = _rollbacks(world)
    return (
        tuple(release.challenger for _, release in reversed(_taken_back(world)) if release.cause in policies) if policies else ()
    )


def _rollbacks(world: World) -> frozenset[str]:
    """Decisions of policies to roll back. A release that is open goes back by itself, and goes on naming what opened it: what such a decision opened went back from
    a champion that had settled."""
    return frozenset(todo.decision for todo in world.all("todo", Todo) if todo.action.kind == "roll_back")


def _taken_back(world: World, version: int | None = None) -> list[tuple[Unit, ReleaseState]]:
    """Units of the version (None: of all) whose last release went back, newest first. One that gave way to a newer version before anybody served it was not
    taken back."""
    last: list[tuple[Unit, ReleaseState]] = []
    for release in reversed(world.all("release", ReleaseState)):
        unit = world.get("unit", release.challenger, Unit)
        if unit is None or version not in {None, unit.version} or release.superseded:
            continue
        if not any(answers_alike(unit, later) for later, _ in last):
            last.append((unit, release))
    return [(unit, release) for unit, release in last if release.phase in _GOES_BACK]


def _won_as(world: World, entrant: str, unit: str) -> bool:
    """Whether such an entrant won a tournament as this unit."""
    return any(each.winner == entrant and each.unit == unit for each in world.all("tournament", Tournament))
