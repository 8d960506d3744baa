"""Who may do what: one table for every door. What is not listed is refused."""

from enum import StrEnum


class Role(StrEnum):
    ANONYMOUS = "anonymous"
    """No token."""
    CLIENT = "client"
    """Applications: predict and label."""
    VIEWER = "viewer"
    """Reads states, decisions and metrics."""
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
    """Answer what waits for a person; close the breaker, raise a level of autonomy."""
    ACKNOWLEDGE = "acknowledge"
    """Say that a finding was seen."""
    RUN = "run"
    """Start a pipeline."""


GRANTS: dict[Role, frozenset[Permission]] = {
    Role.ANONYMOUS: frozenset({Permission.PROBE}),
    Role.CLIENT: frozenset({Permission.PROBE, Permission.PREDICT, Permission.LABEL}),
    Role.VIEWER: frozenset({Permission.PROBE, Permission.READ, Permission.METRICS}),
    Role.OWNER: frozenset(Permission),
}


def may(role: Role, permission: Permission) -> bool:
    """Whether `role` holds `permission`; an unknown role holds nothing."""
    return permission in GRANTS.get(role, frozenset())
