"""Orders as a door gives them: written down, waited for, answered in words."""

from flyball.control import commands
from flyball.control.engine import Engine
from flyball.control.reports import CommandReport
from flyball.control.running import LOOK_SECONDS, Pause, await_command, words_of
from flyball.control.world import World
from flyball.errors import Conflict, FlyballError
from flyball.records.release import TERMINAL, Drill, ReleaseState

DRILL_SECONDS = 120.0
"""Two switches of every gateway, or as many looks as one is given that does not."""
PROOF_SECONDS = 20.0
"""A rollback is done when the gateways are seen to serve it: within a tick or two, longer only when one of them is away."""


def roll_back(world: World, engine: Engine | None, actor: str, reason: str, pause: Pause) -> CommandReport:
    """Order a rollback and wait for its proof. `engine`: this process controls the project, nobody else does."""
    command = commands.order(world, "roll_back", actor, reason)
    settled, beside = _settled(world, engine, command, pause)
    if settled.status != "done":
        return CommandReport(accepted=False, subject=f"command:{command.id}", words=settled.words)
    waited = 0.0
    while waited < PROOF_SECONDS:
        release = world.get("release", settled.subject.removeprefix("release:"), ReleaseState)
        if release is None or release.phase in TERMINAL:
            words = f"{settled.words}: every gateway is seen to serve it{beside}"
            return CommandReport(accepted=True, subject=settled.subject, words=words)
        if engine is not None:
            return CommandReport(
                accepted=True, subject=settled.subject, words=f"{settled.words} as soon as a gateway is up{beside}",
                next_step="flyball up",
            )  # fmt: skip
        pause(LOOK_SECONDS)
        waited += LOOK_SECONDS
    return CommandReport(
        accepted=True, subject=settled.subject, words=f"{settled.words}; not seen at every gateway yet", next_step="flyball status"
    )  # fmt: skip


def carried_out(world: World, engine: Engine | None, command: commands.Command, pause: Pause) -> CommandReport:
    """Wait for an order of which nothing more is to be seen than that it was carried out."""
    settled, beside = _settled(world, engine, command, pause)
    done = settled.status == "done"
    return CommandReport(
        accepted=done, subject=settled.subject or f"command:{command.id}", words=f"{settled.words}{beside}", next_step="flyball status" if done else ""
    )  # fmt: skip


def _settled(world: World, engine: Engine | None, command: commands.Command, pause: Pause) -> tuple[commands.Command, str]:
    """(the order, in words what else failed in the tick that carried it out). `engine`: this process controls the project, nobody else does.

    Raises the tick's error when that kept the order from being carried out.
    """
    trouble = _tick(engine) if engine is not None else None
    if trouble is not None:
        found = world.get("command", command.id, commands.Command)
        if found is None or found.status == "open":
            raise trouble if isinstance(trouble, FlyballError) else _not_done(command, trouble) from trouble
    return await_command(world, command.id, pause), _beside(trouble)


def _not_done(command: commands.Command, trouble: Exception) -> FlyballError:
    """An error that nobody foresaw is told in words, too."""
    return Conflict(
        f"order {command.id} is not carried out yet: {words_of(trouble)}",
        next_step="flyball doctor, then flyball up; the order stands",
    )


def _tick(engine: Engine) -> Exception | None:
    """What failed, in whichever stage, foreseen or not: an order that is carried out must not be answered with another's error, or it is given once more."""
    try:
        engine.tick()
    except Exception as error:  # noqa: BLE001 - told beside the answer, or raised
        return error
    return None


def _beside(trouble: Exception | None) -> str:
    return "" if trouble is None else f" (beside it, a look at the project failed: {words_of(trouble).rstrip('.')})"


def drill(world: World, engine: Engine | None, actor: str, pause: Pause) -> CommandReport:
    """Order a drill and wait for what it shows. `engine`: this process controls the project, so no gateway is looked after by another."""
    command = commands.order(world, "drill", actor, "")
    settled, beside = _settled(world, engine, command, pause)
    if settled.status != "done":
        return CommandReport(accepted=False, subject=f"command:{command.id}", words=settled.words)
    waited, ended = 0.0, None
    while waited < DRILL_SECONDS:
        found = world.get("drill", settled.subject.removeprefix("drill:"), Drill)
        if found is None or found.ended_at is not None:
            ended = found
            break
        pause(LOOK_SECONDS)
        waited += LOOK_SECONDS
        if engine is not None:
            beside = _beside(_tick(engine))
    if ended is None:
        words = f"{settled.words}; it goes on{beside}"
        return CommandReport(accepted=True, subject=settled.subject, words=words, next_step="flyball release status")
    return CommandReport(accepted=ended.outcome == "passed", subject=settled.subject, words=ended.words)


def answer(world: World, decision_id: str, *, yes: bool, actor: str, reason: str, digest: str | None = None) -> CommandReport:
    """A person's answer; the controller acts on it at its next tick."""
    approval = commands.answer(world, decision_id, yes=yes, actor=actor, reason=reason, digest=digest)
    words = f"{decision_id} is {approval.answer} by {actor}"
    return CommandReport(
        accepted=True, subject=f"decision:{approval.decision}", words=words, next_step=f"flyball explain {approval.decision}"
    )
