"""How a release moves: the legal moves, and nothing else. Each answers with a new state; the clock of a phase starts when gateways are seen to serve it."""

from datetime import datetime, timedelta

import msgspec

from flyball.errors import Conflict
from flyball.records.decisions import Action
from flyball.records.release import TERMINAL, Phase, ReleaseState

_ENTERS: dict[Phase, frozenset[Phase]] = {
    Phase.PROPOSED: frozenset({Phase.SHADOW, Phase.CANARY, Phase.FULL}),
    Phase.SHADOW: frozenset({Phase.CANARY, Phase.FULL}),
    Phase.CANARY: frozenset({Phase.CANARY, Phase.FULL}),
    Phase.FULL: frozenset({Phase.WATCHING}),
    Phase.HELD: frozenset({Phase.PROPOSED}),  # a person lets it start again: the evidence so far still counts, the phases do not
}
_TARGETS = {
    "settle": Phase.SETTLED,
    "hold": Phase.HELD,
    "roll_back": Phase.ROLLING_BACK,
    "finish_rollback": Phase.ROLLED_BACK,
}
_FROM: dict[Phase, frozenset[Phase]] = {
    Phase.SETTLED: frozenset({Phase.WATCHING, Phase.ROLLING_BACK}),  # from the latter where nobody is left to go back to
    Phase.HELD: frozenset({Phase.PROPOSED, Phase.SHADOW, Phase.CANARY}),  # from `full` on, stopping is a rollback
    Phase.ROLLING_BACK: frozenset(Phase) - TERMINAL,
    Phase.ROLLED_BACK: frozenset({Phase.ROLLING_BACK}),
}
_COMPARES = frozenset({Phase.SHADOW, Phase.CANARY})
_NOTHING_LOST = {"unwatched": timedelta(0), "withheld": timedelta(0)}


def open_release(
    id: str,  # noqa: A002 - the record's own word
    model: str,
    challenger: str,
    champion: str | None,
    now: datetime,
    cause: str,
) -> ReleaseState:
    """A proposed release. `champion`: where a rollback goes; None: the first release of the model. Raises Conflict when both are the same unit."""
    if challenger == champion:
        raise Conflict(f"{challenger} is the champion already", expected="another unit", next_step="nothing needs to be released")
    return ReleaseState(
        id=id,
        model=model,
        challenger=challenger,
        champion=champion,
        phase=Phase.PROPOSED,
        opened_at=now,
        entered_at=now,
        cause=cause,
    )


def verified(release: ReleaseState, now: datetime) -> ReleaseState:
    """All gateways were seen to serve this phase: its clock starts, once; and anew where it would start in the future, since a clock was set back."""
    if release.verified_at is not None and release.verified_at + release.unwatched + release.withheld <= now:
        return release
    return msgspec.structs.replace(release, verified_at=now, **_NOTHING_LOST)


def unwatched(release: ReleaseState, duration: timedelta, now: datetime) -> ReleaseState:
    """Nobody looked after it for so long: the phase's clock goes on where it stood."""
    began = release.verified_at or release.entered_at
    most = max(now - began - release.unwatched - release.withheld, timedelta(0))
    return msgspec.structs.replace(release, unwatched=release.unwatched + min(duration, most))


def again(release: ReleaseState, now: datetime) -> ReleaseState:
    """The step begins anew: at another share it was not served yet."""
    return msgspec.structs.replace(release, entered_at=now, verified_at=None, **_NOTHING_LOST)


def dated(release: ReleaseState, now: datetime) -> ReleaseState:
    """Where it was opened, or its phase entered, in the future, since a clock was ahead or is behind: now. Until then no row would count for it, so that no
    harm was seen, and no deadline would come. Rows of before it are the champion's."""
    waited = timedelta(0) if release.verified_at is not None else release.unwatched
    if release.entered_at + waited > now:
        release = msgspec.structs.replace(release, entered_at=now, **_NOTHING_LOST)
    return release if release.opened_at <= now else msgspec.structs.replace(release, opened_at=now)


def advance(release: ReleaseState, action: Action, now: datetime) -> ReleaseState:
    """The state after an action of `decide`, or of a person (`hold`, `roll_back`, and `enter` proposed from held).

    `ask` changes nothing, and so does `roll_back` while rolling back. Raises Conflict, naming both phases, when the move is not legal.
    """
    if action.kind == "ask":
        return release
    if action.kind == "enter":
        return _enter(release, action, now)
    if action.kind == "weigh":
        return _weigh(release, action, now)
    if action.kind == "roll_back" and release.phase is Phase.ROLLING_BACK:
        return release
    target = _TARGETS.get(action.kind)
    if target is None or release.phase not in _FROM[target]:
        raise _illegal(release, target.value if target else action.kind)
    return _moved(release, action, target, 0, now)


def _enter(release: ReleaseState, action: Action, now: datetime) -> ReleaseState:
    try:
        phase = Phase(action.arguments.get("phase", ""))
    except ValueError:
        raise _illegal(release, str(action.arguments.get("phase"))) from None
    step = int(action.arguments.get("step", 0))
    if phase not in _ENTERS.get(release.phase, frozenset()):
        raise _illegal(release, phase.value)
    if phase is Phase.CANARY and step != (release.step + 1 if release.phase is Phase.CANARY else 0):
        raise _illegal(release, f"{phase.value} step {step}")
    if phase in _COMPARES and release.champion is None:
        raise Conflict(
            f"release {release.id} cannot go from {release.phase.value} to {phase.value}: there is no champion to compare with",
            expected="full, on the first release of a model",
        )
    started = msgspec.structs.replace(release, starts=release.starts + 1) if release.phase is Phase.HELD else release
    return _moved(started, action, phase, step, now)


def _weigh(release: ReleaseState, action: Action, now: datetime) -> ReleaseState:
    """Another share within the step: its clock goes on."""
    weight = float(action.arguments.get("weight", 0.0))
    if release.phase is not Phase.CANARY or not 0.0 < weight < 1.0:
        raise _illegal(release, f"a share of {weight:g}")
    return msgspec.structs.replace(release, weight=weight, weighed_at=now)


def _moved(release: ReleaseState, action: Action, phase: Phase, step: int, now: datetime) -> ReleaseState:
    reason = str(action.arguments.get("reason", ""))
    return msgspec.structs.replace(
        release, phase=phase, step=step, entered_at=now, verified_at=None, reason=reason, weight=None, weighed_at=None, **_NOTHING_LOST
    )  # fmt: skip


def _illegal(release: ReleaseState, wanted: str) -> Conflict:
    at = f" step {release.step}" if release.phase is Phase.CANARY else ""
    return Conflict(
        f"release {release.id} cannot go from {release.phase.value}{at} to {wanted}",
        expected=_expected(release.phase),
        next_step="`flyball status` shows where the release is",
    )


def _expected(phase: Phase) -> str:
    wanted = set(_ENTERS.get(phase, frozenset())) | {target for target, origins in _FROM.items() if phase in origins}
    return " or ".join(sorted(item.value for item in wanted)) or f"nothing: {phase.value} is an end"
