"""Whether a gateway answers, and whether it serves a model."""

from contextlib import closing
from urllib.parse import urlsplit

from flyball.adapters.keep_alive import FAILURES, KeepAlive

ANSWER_SECONDS = 2.0


def live(url: str) -> bool:
    """Whether a gateway answers there at all."""
    return _says_yes(url, "/v2/health/live")


def model_ready(url: str) -> bool:
    """Whether it serves a model: it is not ready before one is routed."""
    return _says_yes(url, "/v2/health/ready")


def _says_yes(url: str, path: str) -> bool:
    where = urlsplit(url)
    with closing(KeepAlive(where.hostname or "", where.port or 0, {})) as asked:
        try:
            return asked.ask("GET", path, timeout=ANSWER_SECONDS).status == 200
        except FAILURES:
            return False
