"""Every door of the gateway and the permission it asks for. What is not listed does not exist."""

from functools import lru_cache
from typing import NamedTuple

from flyball.errors import HttpRefused
from flyball.records.permissions import Permission


class Door(NamedTuple):
    """One listed (method, path)."""

    name: str
    """Also the label in the metrics: their number is the number of doors."""
    permission: Permission
    admin: bool = False
    """Only on the loopback admin port."""
    binary: bool = False
    """Bytes may follow the JSON."""


class Place(NamedTuple):
    """Where a path leads."""

    door: Door
    model: str
    """'' where the path names none; so too the version."""
    version: str


MAX_REMEMBERED = 300
"""Characters of a path."""

_MODEL, _VERSION = "*", "#"
"""In patterns: a name as it stands in the path."""

DOORS: dict[tuple[str, tuple[str, ...]], Door] = {
    ("GET", ("v2",)): Door("server_metadata", Permission.PREDICT),
    ("GET", ("v2", "health", "live")): Door("live", Permission.PROBE),
    ("GET", ("v2", "health", "ready")): Door("ready", Permission.PROBE),
    ("GET", ("v2", "models", _MODEL)): Door("model_metadata", Permission.PREDICT),
    ("GET", ("v2", "models", _MODEL, "ready")): Door("model_ready", Permission.PREDICT),
    ("POST", ("v2", "models", _MODEL, "infer")): Door("infer", Permission.PREDICT, binary=True),
    ("GET", ("v2", "models", _MODEL, "versions", _VERSION)): Door("model_metadata", Permission.PREDICT),
    ("GET", ("v2", "models", _MODEL, "versions", _VERSION, "ready")): Door("model_ready", Permission.PREDICT),
    ("POST", ("v2", "models", _MODEL, "versions", _VERSION, "infer")): Door("infer", Permission.PREDICT, binary=True),
    ("POST", ("v2", "repository", "index")): Door("repository_index", Permission.PREDICT),
    ("POST", ("models", _MODEL, "predict")): Door("predict", Permission.PREDICT),
    ("POST", ("models", _MODEL, "labels")): Door("labels", Permission.LABEL),
    ("POST", ("labels",)): Door("labels", Permission.LABEL),
    ("GET", ("metrics",)): Door("metrics", Permission.METRICS),
    ("GET", ("flyball", "metrics")): Door("own_metrics", Permission.SERVE, admin=True),
    ("GET", ("flyball", "served")): Door("served", Permission.SERVE, admin=True),
    ("POST", ("flyball", "reload")): Door("reload", Permission.SERVE, admin=True),
}


def find(method: str, path: str, *, admin: bool) -> Place:
    """Raises HttpRefused: 404, or 405 with what is allowed."""
    # Paths that strangers make up are not to be remembered at any length.
    return _remembered(method, path, admin=admin) if len(path) <= MAX_REMEMBERED else _find(method, path, admin=admin)


def is_probe(method: str, path: str, *, admin: bool) -> bool:
    """Whether it asks only how we are."""
    try:
        return find(method, path, admin=admin).door.permission is Permission.PROBE
    except HttpRefused:
        return False


def _find(method: str, path: str, *, admin: bool) -> Place:
    segments = path.split("/")[1:]
    model = version = ""
    for at in (0, 1):
        if len(segments) > at + 1 and segments[at] == "models":
            model = segments[at + 1]
            segments[at + 1] = _MODEL
            if len(segments) > at + 3 and segments[at + 2] == "versions":
                version = segments[at + 3]
                segments[at + 3] = _VERSION
            break
    pattern = tuple(segments)
    # Load balancers and uptime monitors ask with HEAD: the same answer, whose body the server leaves out.
    door = DOORS.get(("GET" if method == "HEAD" else method, pattern))
    if door is not None and (admin or not door.admin):
        return Place(door, model, version)
    allowed = [verb for (verb, known), each in DOORS.items() if known == pattern and (admin or not each.admin)]
    if allowed:
        raise HttpRefused(
            405,
            f"{method[:20]} is not possible here",
            expected=" or ".join(allowed),
            headers=[("allow", ", ".join(allowed).replace("GET", "GET, HEAD"))],
        )
    raise HttpRefused(404, f"There is nothing at {path[:100]}", next_step="GET /v2, POST /models/NAME/predict, POST /labels")


_remembered = lru_cache(maxsize=1024)(_find)
