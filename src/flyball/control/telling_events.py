"""Events and actions in a sentence."""

from flyball.records import codec
from flyball.records.decisions import Action
from flyball.records.events import Event


def action_words(action: Action) -> str:
    """`enter canary 1 release:r-0002`, `ask retrain model:shop`."""
    details = [
        str(value) for key, value in sorted(action.arguments.items()) if key in ("phase", "step", "history") and value is not None
    ]
    about = [str(asked["kind"])] if (asked := action.arguments.get("action")) else []
    return " ".join([action.kind, *about, *details, action.subject])


def event_words(event: Event) -> str:
    """One event in a sentence."""
    at = event.at.strftime("%Y-%m-%d %H:%M")
    payload = event.payload
    if event.kind == "decision.made":
        kinds = ", ".join(action_words(codec.revive(action, Action)) for action in payload["plan"]["actions"])
        return f"{at} {payload['id']} ({payload['room']}): {kinds}"
    if event.kind == "approval.answered":
        return f"{at} {payload['answer']} by {event.actor}" + (f": {payload['reason']}" if payload["reason"] else "")
    if event.kind == "release.verified":
        return f"{at} {event.subject} is seen to be {payload['phase']}: {payload['words']}"
    words = (
        payload.get("words")
        or payload.get("reason")
        or payload.get("error")
        or payload.get("answer")
        or payload.get("phase")
        or ""
    )
    return f"{at} {event.subject} {event.kind.split('.')[1]}" + (f": {words}" if words else "")
