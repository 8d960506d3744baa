"""Whether a gateway answers, and whether it serves a model."""

from contextlib import closing
from urllib.parse import urlsplit

import msgspec

from flyball.adapters.keep_alive import FAILURES, Answer, KeepAlive
from flyball.records.words import NO_TABLE

ANSWER_SECONDS = 2.0


def live(url: str) -> bool:
    """Whether a gateway answers there at all."""
    return _says_yes(url, "/v2/health/live")


def model_ready(url: str) -> bool:
    """Whether it serves a model: it is not ready before one is routed."""
    return _says_yes(url, "/v2/health/ready")


def why_no_model(url: str) -> str:
    """Why it could not take the table that it was given, in its words; empty: it could, or it has not tried yet."""
    answer = _asked(url, "/v2/health/ready")
    if answer is None or answer.status != 503:
        return ""
    try:
        words = msgspec.json.decode(answer.body, type=_Problem).detail
    except msgspec.MsgspecError:
        return ""
    return "" if NO_TABLE in words else words


class _Problem(msgspec.Struct):
    detail: str


def _says_yes(url: str, path: str) -> bool:
    answer = _asked(url, path)
    return answer is not None and answer.status == 200


def _asked(url: str, path: str) -> Answer | None:
    where = urlsplit(url)
    with closing(KeepAlive(where.hostname or "", where.port or 0, {})) as asked:
        try:
            return asked.ask("GET", path, timeout=ANSWER_SECONDS)
        except FAILURES:
            return None
