"""A client of the gateway's own doors."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from flyball.adapters.keep_alive import FAILURES, Answer, KeepAlive
from flyball.control.replay_position import GOES_ON
from flyball.errors import GatewayUnreachable, StoreUnavailable

WAITS_SECONDS = (0.1, 0.5, 1.5)
"""Before the second, third and fourth try: together longer than a gateway takes to be started again."""
TIMEOUT_SECONDS = 60.0
"""A connection that failed is tried again because ids are ours: a row that was answered before is told apart by its id. An answer, or a server that
is slow, is never asked twice: that would hide its failure."""
REFUSED, FAILED = 422, 500
_FAULTY = re.compile(r"(?:rows|ids|keys|labels)\[(\d+)\]")


class _Taken(NamedTuple):
    """A request, once what the gateway names as faulty is left out of it."""

    answer: Answer | None
    """None: nothing was left to send."""
    places: list[int]
    """Of what was sent at last."""


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
    ) -> int | None:
        path = f"/models/{model}/predict"

        def body(places: list[int]) -> dict[str, Any]:
            return {name: [given[place] for place in places] for name, given in (("rows", rows), ("ids", ids), ("keys", keys))}

        answer, places = self._taken(path, len(rows), body, at)
        if answer is None:
            return len(rows)
        if not answer.is_success:
            self._refused(path, answer)
            return None
        answered = _predictions(answer)
        if answered != len(places):
            self._failed(f"{answered} of {len(places)} rows were answered")
            return None
        return len(rows) - len(places)

    def label(
        self, model: str, ids: Sequence[str], values: Sequence[Any], observed: Sequence[datetime], *, at: datetime
    ) -> int | None:
        path = f"/models/{model}/labels"

        def body(places: list[int]) -> dict[str, Any]:
            return {
                "labels": [{"id": ids[place], "label": values[place], "observed_at": _text(observed[place])} for place in places]
            }

        answer, places = self._taken(path, len(ids), body, at)
        if answer is None or answer.is_success:
            return len(ids) - len(places)
        self._refused(path, answer)
        if answer.status >= FAILED:
            raise StoreUnavailable(f"labels could not be handed over: {self.last_error}", next_step=GOES_ON)
        return None

    def close(self) -> None:
        self._client.close()

    def _taken(self, path: str, count: int, body: Callable[[list[int]], Any], at: datetime) -> _Taken:
        """The gateway takes all of a request or nothing, and names what it cannot take: the rest is sent again without it."""
        left = list(range(count))
        while left:
            answer = self._ask(path, body(left), at)
            faulty = _faulty(answer, len(left))
            if not faulty:
                return _Taken(answer, left)
            self._tell(path, answer)
            left = [each for place, each in enumerate(left) if place not in faulty]
        return _Taken(None, left)

    def _ask(self, path: str, body: Any, at: datetime) -> Answer:
        """Any answer. Raises GatewayUnreachable where there was none."""
        with self._lock:
            self.requests += 1
        content = msgspec.json.encode(body)
        headers = {"x-flyball-event-time": _text(at)}
        waits = iter(WAITS_SECONDS)
        while True:
            try:
                return self._client.ask("POST", path, timeout=TIMEOUT_SECONDS, body=content, headers=headers)
            except FAILURES as error:
                wait = next(waits, None)
                if wait is None or isinstance(error, TimeoutError):
                    self._failed(f"{path}: {str(error) or type(error).__name__}")
                    raise GatewayUnreachable(f"the gateway does not answer: {self.last_error}", next_step=GOES_ON) from error
                with self._lock:
                    self.retries += 1
                self._pause.wait(wait)

    def _refused(self, path: str, answer: Answer) -> None:
        self._tell(path, answer)
        self._failed(self.last_error)

    def _tell(self, path: str, answer: Answer) -> None:
        with self._lock:
            self.last_error = f"{path} answered {answer.status}: {answer.text[:300]}"

    def _failed(self, words: str) -> None:
        with self._lock:
            self.failed += 1
            self.last_error = words


def _predictions(answer: Answer) -> int:
    try:
        body = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return -1
    found = body.get("predictions") if isinstance(body, dict) else None
    return len(found) if isinstance(found, list) else -1


def _faulty(answer: Answer, sent: int) -> frozenset[int]:
    """Places of the rows or labels that a problem document names; empty: it is about something else."""
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
