"""Every door of the control API and the permission that it asks for. The app is built from this table: what is not listed does not exist."""

from typing import Literal, NamedTuple

from flyball.records.permissions import Permission


class Door(NamedTuple):
    """One listed (method, path)."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    """Of the handler."""
    permission: Permission
    form: bool = False
    """Takes a browser's form instead of JSON (the login alone)."""
    page: bool = False
    """Answers a person's browser: what goes wrong is a page, and a missing permission the login, instead of a problem document."""
    takes: tuple[str, ...] = ()
    """Parameters of the query. Of the API another one is refused: what is passed over in silence looks as if it had been heeded."""


DOORS: tuple[Door, ...] = (
    Door("GET", "/health", "health", Permission.PROBE),
    Door("GET", "/metrics", "scrape", Permission.METRICS),
    Door("GET", "/static/{name}", "static", Permission.PROBE),
    Door("GET", "/", "overview", Permission.READ, page=True),
    Door("POST", "/login", "login", Permission.PROBE, form=True, page=True),
    Door("POST", "/logout", "logout", Permission.PROBE, form=True, page=True),
    Door("GET", "/api/status", "status", Permission.READ),
    Door("GET", "/api/versions", "versions", Permission.READ),
    Door("GET", "/api/decisions", "decisions", Permission.READ, takes=("open",)),
    Door("GET", "/api/decisions/{decision}", "explain", Permission.READ),
    Door("GET", "/api/jobs/{job}", "job", Permission.READ),
    Door("GET", "/api/findings", "findings", Permission.READ, takes=("open",)),
    Door("GET", "/api/findings/{finding}", "finding", Permission.READ),
    Door("POST", "/api/findings/{finding}/acknowledge", "acknowledge", Permission.ACKNOWLEDGE),
    Door("GET", "/api/incidents", "incidents", Permission.READ, takes=("open",)),
    Door("GET", "/findings/{finding}", "finding_page", Permission.READ, page=True),
    Door("GET", "/api/releases", "releases", Permission.READ),
    Door("GET", "/api/releases/{release}", "release", Permission.READ),
    Door("GET", "/decisions/{decision}", "decision_page", Permission.READ, page=True),
    Door("GET", "/releases", "releases_page", Permission.READ, page=True),
    Door("GET", "/releases/{release}", "release_page", Permission.READ, page=True),
    Door("POST", "/api/hold", "hold", Permission.RELEASE),
    Door("POST", "/api/resume", "resume", Permission.RELEASE),
    Door("POST", "/api/drill", "drill", Permission.RELEASE),
    Door("POST", "/api/rollback", "rollback", Permission.RELEASE),
    Door("POST", "/api/serving/stop", "stop_serving", Permission.RELEASE),
    Door("POST", "/api/serving/resume", "resume_serving", Permission.RELEASE),
    Door("POST", "/api/breaker/close", "close_breaker", Permission.BOUNDS),
    Door("POST", "/api/autonomy/{action}/raise", "raise_autonomy", Permission.BOUNDS),
    Door("POST", "/api/approvals/{decision}", "answer", Permission.APPROVE),
)
