"""A client of the gateway's own doors."""

import re
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from flyball.adapters.keep_alive import FAILURES, Answer, KeepAlive

WAITS_SECONDS = (0.1, 0.5, 1.5)
"""Before the second, third and fourth try: together longer than a gateway takes to be started again."""
TIMEOUT_SECONDS = 60.0
"""A connection that failed is tried again because ids are ours: a row that was answered before is told apart by its id. An answer, or a server that
is slow, is never asked twice: that would hide its failure."""
REFUSED = 422
_FAULTY = re.compile(r"labels\[(\d+)\]")


class HttpTraffic:
    """Keep-alive, thread-safe. Counts requests that failed for good in `failed`."""

    def __init__(self, url: str, token: str) -> None:
        place = urlsplit(url)
        self._client = KeepAlive(
            place.hostname or "127.0.0.1",
            place.port or 80,
            {"authorization": f"Bearer {token}", "content-type": "application/json"},
        )
        self._lock = threading.Lock()
        self._pause = threading.Event()
        self.requests = 0
        self.failed = 0
        self.retries = 0
        self.last_error = ""

    def predict(
        self, model: str, rows: Sequence[Mapping[str, Any]], *, ids: Sequence[str], keys: Sequence[str], at: datetime
    ) -> bool:
        answer = self._post(f"/models/{model}/predict", {"rows": rows, "ids": ids, "keys": keys}, at)
        if answer is None:
            return False
        answered = _predictions(answer)
        if answered == len(rows):
            return True
        return self._failed(f"{answered} of {len(rows)} rows were answered")

    def label(
        self, model: str, ids: Sequence[str], values: Sequence[Any], observed: Sequence[datetime], *, at: datetime
    ) -> int | None:
        """The gateway takes all of a request or nothing, and names what it cannot take: the rest is sent again without it."""
        path, refused = f"/models/{model}/labels", 0
        left = [
            {"id": id_, "label": value, "observed_at": _text(seen)}
            for id_, value, seen in zip(ids, values, observed, strict=True)
        ]
        while left:
            answer = self._ask(path, {"labels": left}, at)
            if answer is None:
                return None
            if answer.is_success:
                break
            faulty = _faulty(answer, len(left))
            if not faulty:
                self._refused(path, answer)
                return None
            refused += len(faulty)
            left = [each for place, each in enumerate(left) if place not in faulty]
        return refused

    def close(self) -> None:
        self._client.close()

    def _post(self, path: str, body: Any, at: datetime) -> Answer | None:
        """The answer of success; None: it failed, and is counted."""
        answer = self._ask(path, body, at)
        if answer is None or answer.is_success:
            return answer
        self._refused(path, answer)
        return None

    def _ask(self, path: str, body: Any, at: datetime) -> Answer | None:
        """Any answer; None: there was none, which is counted."""
        with self._lock:
            self.requests += 1
        content = msgspec.json.encode(body)
        headers = {"x-flyball-event-time": _text(at)}
        for wait in (*WAITS_SECONDS, None):
            try:
                return self._client.ask("POST", path, timeout=TIMEOUT_SECONDS, body=content, headers=headers)
            except FAILURES as error:
                if wait is None or isinstance(error, TimeoutError):
                    self._failed(f"{path}: {str(error) or type(error).__name__}")
                    return None
                with self._lock:
                    self.retries += 1
                self._pause.wait(wait)
        return None

    def _refused(self, path: str, answer: Answer) -> None:
        self._failed(f"{path} answered {answer.status}: {answer.text[:300]}")

    def _failed(self, words: str) -> bool:
        with self._lock:
            self.failed += 1
            self.last_error = words
        return False


def _predictions(answer: Answer) -> int:
    try:
        body = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return -1
    found = body.get("predictions") if isinstance(body, dict) else None
    return len(found) if isinstance(found, list) else -1


def _faulty(answer: Answer, sent: int) -> frozenset[int]:
    """Places of the labels that a problem document names; empty: it is about something else."""
    if answer.status != REFUSED:
        return frozenset()
    try:
        body = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return frozenset()
    faults = body.get("faults") if isinstance(body, dict) else None
    paths = [str(each.get("path")) for each in faults or () if isinstance(each, dict)]
    found = {int(at[1]) for path in paths if (at := _FAULTY.match(path))}
    return frozenset(place for place in found if place < sent)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
