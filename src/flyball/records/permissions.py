"""Who may do what: one table for every door. What is not listed is refused."""

from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    ANONYMOUS = "anonymous"
    """No token."""
    CLIENT = "client"
    """Applications: predict and label."""
    VIEWER = "viewer"
    """Reads states, decisions and metrics."""
    APPROVER = "approver"
    """Reads, answers what waits for a person, and says that findings were seen; no bounds move by it."""
    OWNER = "owner"
    """Everything; the token of the first start."""


class Permission(StrEnum):
    PROBE = "probe"
    """Is it alive, is it ready: nothing else is told."""
    PREDICT = "predict"
    LABEL = "label"
    READ = "read"
    METRICS = "metrics"
    SERVE = "serve"
    """Gateway administration: reload the table, report what is served."""
    RELEASE = "release"
    """Roll back, hold, propose."""
    APPROVE = "approve"
    """Answer what waits for a person."""
    BOUNDS = "widen bounds"
    """Close the breaker, raise a level of autonomy: from then on more is done without anybody."""
    ACKNOWLEDGE = "acknowledge"
    """Say that a finding was seen."""
    RUN = "run"
    """Start a pipeline."""


GRANTS: dict[Role, frozenset[Permission]] = {
    Role.ANONYMOUS: frozenset({Permission.PROBE}),
    Role.CLIENT: frozenset({Permission.PROBE, Permission.PREDICT, Permission.LABEL}),
    Role.VIEWER: frozenset({Permission.PROBE, Permission.READ, Permission.METRICS}),
    Role.APPROVER: frozenset({Permission.PROBE, Permission.READ, Permission.METRICS, Permission.APPROVE, Permission.ACKNOWLEDGE}),
    Role.OWNER: frozenset(Permission),
}


class Holder(NamedTuple):
    """Who has a token."""

    role: Role
    name: str = ""
    """Of the person or program to whom it was given; empty: one that everybody of this role shares."""

    @property
    def actor(self) -> str:
        """As the ledger names it."""
        return f"user:{self.name or self.role}"


SHARED_ACTORS = frozenset(Holder(role).actor for role in Role)
"""Of those who came with a token that says no name: nobody can tell who they are."""


def same(name: str, other: str) -> bool:
    """Whether two names, or two actors, are one person's. Whoever is `Anna` to the machine and `anna` by token is no second person."""
    return name.casefold() == other.casefold()


def may(role: Role, permission: Permission) -> bool:
    """Whether `role` holds `permission`; an unknown role holds nothing."""
    return permission in GRANTS.get(role, frozenset())
