"""A person who orders runs on ever new data, and now and then a rollback, and keeps every answer."""

import csv
import io
import json
import threading
from datetime import datetime, timedelta
from typing import Any, Self

import msgspec

from bench.release.stack import Stack

ROLLBACK_EVERY = 2
"""Runs for one rollback: most new versions are to pass all phases of their release."""


class Order(msgspec.Struct):
    kind: str
    reason: str
    """Of a rollback: unique, so that it is told apart in the ledger."""
    code: int
    answer: dict[str, Any] | None
    """What `--json` said; None: not acknowledged."""
    words: str = ""


class Person(threading.Thread):
    """`with Person(stack) as person:` orders without end, one after the other."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(name="person")
        self.orders: list[Order] = []
        self._stack = stack
        self._stopping = threading.Event()
        self._runs = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let the order under way end."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        while not self._stopping.is_set():
            self._runs += 1
            add_orders(self._stack, self._runs)
            self._order("run", "")
            if self._runs % ROLLBACK_EVERY == 0 and not self._stopping.is_set():
                reason = f"rollback number {self._runs}"
                self._order("rollback", reason, "--reason", reason)

    def _order(self, kind: str, reason: str, *more: str) -> None:
        done = self._stack.flyball(kind, *more, "--json")
        answer = json.loads(done.stdout) if done.returncode in (0, 1) and done.stdout.strip() else None
        self.orders.append(
            Order(kind, reason, done.returncode, answer, "" if answer else done.stdout[-900:] + done.stderr[-1200:])
        )


def add_orders(stack: Stack, number: int) -> None:
    """The newest hundred orders once more, some days later: another snapshot, and so another version."""
    with (stack.directory / "data" / "orders.csv").open() as file:
        rows = list(csv.DictReader(file))[-100:]
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        moment = datetime.fromisoformat(row["ordered_at"]) + timedelta(days=5 * number)
        writer.writerow(row | {"order_id": f"{row['order_id']}-{number}", "ordered_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ")})
    draft = stack.directory / f"more-{number}.draft"
    draft.write_text(out.getvalue())
    draft.replace(stack.directory / "data" / f"more-{number:03d}.csv")
