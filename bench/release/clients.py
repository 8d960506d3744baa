"""Clients that never pause for long, and write down what they were told: the other side of the capture's promise."""

import csv
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec
import numpy as np

CUSTOMERS = 60
"""Sticky keys: each comes again many times, so that a canary's share is seen to stay with its customers."""


def rows_of(path: Path) -> list[tuple[dict[str, Any], str]]:
    """Requests as a shop would send them, and how each ended."""

    def row(given: dict[str, str]) -> dict[str, Any]:
        rate = given["customer_return_rate"]
        return {
            "category": given["category"], "price": float(given["price"]), "discount": float(given["discount"]), "sizes": int(given["sizes"]),
            "customer_orders": int(given["customer_orders"]), "customer_return_rate": float(rate) if rate else None,
            "express": given["express"] == "true",
        }  # fmt: skip

    with path.open() as file:
        return [(row(given), given["returned"]) for given in csv.DictReader(file)]


class Attempt(msgspec.Struct):
    """One request on the wire."""

    client: int
    begun: float
    ended: float
    ok: bool
    words: str = ""


class Sent(msgspec.Struct):
    """One request for predictions, sent again under the same ids until it was answered."""

    ids: list[str]
    keys: list[str]
    rows: list[dict[str, Any]]
    tries: int = 0
    begun_us: int = 0
    ended_us: int = 0
    """Of the attempt that was answered; 0: none was."""
    predictions: list[dict[str, Any]] = []


class SentLabels(msgspec.Struct):
    ids: list[str]
    values: list[str]
    tries: int = 0
    acknowledged: bool = False


_BORN = count()


class Client(threading.Thread):
    """One connection. Its ids are no earlier client's: a row that was answered once is the same row for ever, whoever asks for it again."""

    def __init__(self, number: int, url: str, headers: dict[str, str], rows: list[tuple[dict[str, Any], str]]) -> None:
        super().__init__(name=f"client-{number}")
        self.number = number
        self._prefix = f"c{number}.{next(_BORN)}"
        self.sent: list[Sent] = []
        self.labels: list[SentLabels] = []
        self.attempts: list[Attempt] = []
        self.stopping = threading.Event()
        self._http = httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False)
        self._rows = rows
        self._draw = np.random.default_rng([8400, number])
        self._count = 0

    def run(self) -> None:
        while not self.stopping.is_set():
            sent, truths = self._next()
            self.sent.append(sent)
            if self._until_answered("predict", sent, {"rows": sent.rows, "ids": sent.ids, "keys": sent.keys}):
                labels = SentLabels(ids=sent.ids, values=truths)
                self.labels.append(labels)
                entries = [{"id": id_, "label": value} for id_, value in zip(labels.ids, labels.values, strict=True)]
                labels.acknowledged = self._until_answered("labels", labels, {"labels": entries})
            self.stopping.wait(float(self._draw.uniform(0, 0.1)))
        self._http.close()

    def _next(self) -> tuple[Sent, list[str]]:
        self._count += 1
        chosen = [self._rows[at] for at in self._draw.integers(0, len(self._rows), int(self._draw.integers(1, 4)))]
        ids = [f"{self._prefix}-{self._count}-{at}" for at in range(len(chosen))]
        keys = [f"customer-{self._draw.integers(CUSTOMERS)}" for _ in chosen]
        return Sent(ids=ids, keys=keys, rows=[row for row, _ in chosen]), [truth for _, truth in chosen]

    def _until_answered(self, door: str, sent: Sent | SentLabels, body: dict[str, Any]) -> bool:
        """As a careful client does: the ids are its own, so it may ask again."""
        while sent.tries < 50:
            sent.tries += 1
            begun, begun_us = time.monotonic(), time.time_ns() // 1000
            words, answer = "", None
            try:
                answer = self._http.post(f"/models/shop/{door}", json=body)
                words = "" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:200]}"
            except httpx.HTTPError as error:
                words = f"{type(error).__name__}: {error}"
            self.attempts.append(Attempt(self.number, begun, time.monotonic(), not words, words))
            if not words and answer is not None:
                if isinstance(sent, Sent):
                    sent.begun_us, sent.ended_us = begun_us, time.time_ns() // 1000
                    sent.predictions = answer.json()["predictions"]
                return True
            time.sleep(0.02)
        return False


class Crowd:
    """`with Crowd(…) as crowd:` some clients at work."""

    def __init__(self, clients: list[Client]) -> None:
        self.clients = clients

    def __enter__(self) -> Self:
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.stopping.set()
        for client in self.clients:
            client.join()

    @property
    def sent(self) -> list[Sent]:
        return [sent for client in self.clients for sent in client.sent]

    @property
    def labels(self) -> list[SentLabels]:
        return [labels for client in self.clients for labels in client.labels]

    @property
    def attempts(self) -> list[Attempt]:
        return [attempt for client in self.clients for attempt in client.attempts]

    @property
    def answers(self) -> list[tuple[int, int, str]]:
        """(begun, ended, unit) of every row that was answered, in microseconds of the wall clock."""
        return [(sent.begun_us, sent.ended_us, each["unit"]) for sent in self.sent if sent.ended_us for each in sent.predictions]

    def last_answer_us(self, unit: str) -> int | None:
        """When the last request came that this unit answered; None: none."""
        return max((begun for begun, _, by in [*self.answers] if by == unit), default=None)

    @property
    def failures(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if not attempt.ok]
