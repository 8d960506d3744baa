"""What was decided and is to be done: the outbox."""

from datetime import datetime

import msgspec

from flyball.control.world import put
from flyball.records.decisions import Action, Approval
from flyball.records.events import Put


class Todo(msgspec.Struct, frozen=True, kw_only=True):
    """An action that was decided. Written with its decision, marked when it is done; doing it twice changes nothing."""

    id: str
    decision: str
    action: Action
    asked: bool = False
    """A person said yes to it: the breaker does not bar what a person wants."""
    agreed_at: datetime | None = None
    """When the yes was seen, from which on its policy counts as having acted. None: nobody was asked, or an earlier Flyball wrote it."""
    done: bool = False


QUESTION = "question"
"""Of a notification: the approval that it tells of."""
OPENED, CLOSED = "asked", "closed"
"""How the id of one ends that tells of a question."""


def told_of_question(approval: Approval, subject: str, words: str) -> tuple[Put, ...]:
    """A person is told that it was opened, or closed unanswered: written with it, so once each."""
    todo_id = f"{approval.id}.{OPENED if approval.answer is None else CLOSED}"
    action = Action(kind="notify", subject=subject, arguments={"message": words, QUESTION: approval.id})
    return (put("todo", todo_id, Todo(id=todo_id, decision=approval.decision, action=action)),)
