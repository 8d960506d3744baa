"""Bad input alone, beside good requests, and inside a batch of a hundred rows: what does it cost, and whom?"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.serving.bars import Bar
from bench.serving.cases import ANSWER, REFUSE, Case, cases
from bench.serving.pipeline import COUNTS, SIGNATURE, TOLERANCE, WORDS, Row, scored
from bench.serving.processes import Place, Reply, Running, running, worst
from bench.serving.rounds import tell
from bench.serving.servers import Server

GOOD_CLIENTS = 6
BESIDE_SECONDS = 0.5
"""For each case: some hundred good requests."""
VIOLATIONS = 10_000
RIGHT, FIVE, WRONG, TAKEN, REFUSED, UNNAMED = "right", "5xx or no answer", "wrong number", "taken", "refused", "field not named"


@dataclass
class Seen:
    """What one case brought, by the way it was sent."""

    verdicts: dict[str, dict[str, str]] = field(default_factory=dict)
    """Case → way → verdict with its status."""
    counts: Counter[str] = field(default_factory=Counter)
    good: int = 0
    good_failed: int = 0
    good_wrong: int = 0
    violations: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    """Of what was not right, one of each kind in full."""
    shown: set[tuple[str, str]] = field(default_factory=set)

    def add(self, way: str, case: Case, verdict: str, reply: Reply) -> None:
        self.counts[verdict] += 1
        words = str(reply.status) if verdict == RIGHT else f"{reply.status} {verdict}"
        ways = self.verdicts.setdefault(case.name, {})
        if verdict != RIGHT or way not in ways:  # sent many times beside good ones: what was wrong once is not covered up
            ways[way] = words
        if verdict != RIGHT and (case.name, verdict) not in self.shown:
            self.shown.add((case.name, verdict))
            self.examples.append(f"{case.name} {way}: {verdict}, {reply.status} {reply.body[:300]!r}")

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {**vars(self), "counts": dict(self.counts), "violations": dict(self.violations), "shown": len(self.shown)}


def measure(server: Server, place: Place, violations: int = VIOLATIONS) -> Seen:
    """`server` takes `{"rows": […]}`; only Flyball promises to name the field."""
    seen, rows, tensors = Seen(), place.workspace.rows, server.kind == "flyball"
    with running(server, place) as started:
        for case in cases(rows[:1], 0, tensors=tensors):
            _send(started, place, case, "alone", seen)
            with _good_clients(started, place, seen):
                until = time.monotonic() + BESIDE_SECONDS
                while time.monotonic() < until:
                    _send(started, place, case, "beside good ones", seen)
        for case in cases(rows[:100], 37, tensors=tensors):
            _send(started, place, case, "in 100 rows", seen)
        _violate(started, rows, violations, seen)
        started.check(place.workspace)
    return seen


def bars(seen: Seen) -> list[Bar]:
    counts = {
        "answers of 500 and above, or none": seen.counts[FIVE],
        "wrong numbers, or any for what has none": seen.counts[WRONG] + seen.counts[TAKEN] + seen.good_wrong,
        "good input refused": seen.counts[REFUSED],
        "refusals that do not name the field": seen.counts[UNNAMED],
        f"good requests failed beside bad ones, of {seen.good:,}": seen.good_failed,
        f"schema violations not refused with their field named, of {sum(seen.violations.values()):,}": sum(
            count for verdict, count in seen.violations.items() if verdict != RIGHT
        ),
    }
    found = [Bar(what, count, 0, least=False) for what, count in counts.items()]
    return [*found, Bar("cases", len(seen.verdicts), 30, least=True)]


def judged(case: Case, reply: Reply, place: Place, read: Any) -> str:
    """Whether an answer to a case is an honest one."""
    if reply.status >= 500 or reply.status == 0:
        return FIVE
    if reply.status == 200:
        if case.may == REFUSE:
            return TAKEN
        return RIGHT if _right(read(json.loads(reply.body)), case, place) else WRONG
    if case.may == ANSWER:
        return REFUSED
    return UNNAMED if case.named and case.named not in _paths(reply) else RIGHT


def _right(given: Any, case: Case, place: Place) -> bool:
    if len(given) != len(case.meant):
        return False
    distinct = list({id(row): row for row in case.meant}.values())
    right = {
        by: dict(zip(map(id, distinct), scored(estimator, distinct), strict=True))
        for by, estimator in place.workspace.estimators.items()
    }
    return all(abs(each.score - right[each.by][id(row)]) <= TOLERANCE for each, row in zip(given, case.meant, strict=True))


def _paths(reply: Reply) -> set[str]:
    """Of all faults that a problem document tells."""
    try:
        return {fault["path"] for fault in json.loads(reply.body)["faults"]}
    except (ValueError, KeyError, TypeError):
        return set()


def _send(started: Running, place: Place, case: Case, way: str, seen: Seen) -> None:
    headers = {name: value for name, value in started.headers.items() if name != "Content-Type"}
    if case.content_type is not None:
        headers["Content-Type"] = case.content_type
    try:
        reply = started.ask(case.body, headers=headers, path=case.path)
    except (OSError, http.client.HTTPException) as broken:
        reply = Reply(0, repr(broken).encode())
    seen.add(way, case, judged(case, reply, place, started.server.read), reply)


@contextmanager
def _good_clients(started: Running, place: Place, seen: Seen) -> Iterator[None]:
    """Clients that ask for good rows and look at every number."""
    ended, lock = threading.Event(), threading.Lock()

    def client(first: int) -> None:
        at, connection = first, started.connect()
        while not ended.is_set():
            at = (at + GOOD_CLIENTS) % len(place.workspace.rows)
            failed = wrong = False
            try:
                reply = started.ask(started.body(place.workspace.rows[at : at + 1]), connection)
                failed = reply.status != 200
                wrong = not failed and worst(started.server, json.loads(reply.body), place.workspace, [at]) > TOLERANCE
            except (OSError, http.client.HTTPException):
                failed, connection = True, started.connect()
            with lock:
                seen.good += 1
                seen.good_failed += failed
                seen.good_wrong += wrong
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(GOOD_CLIENTS)]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        ended.set()
        for each in threads:
            each.join()


def _violate(started: Running, rows: list[Row], count: int, seen: Seen) -> None:
    """Drawn violations of the signature, one a request, in one of up to five rows: each is to be refused with its place."""
    draw = np.random.default_rng(20261125)
    connection = started.connect()
    for _ in range(count):
        n = int(draw.integers(1, 6))
        at, begin = int(draw.integers(n)), int(draw.integers(len(rows) - 5))
        given = [dict(row) for row in rows[begin : begin + n]]
        column = SIGNATURE.columns[int(draw.integers(len(SIGNATURE.columns)))].name
        _spoil(given[at], column, draw)
        try:
            reply = started.ask(started.body(given), connection)
        except (OSError, http.client.HTTPException) as broken:
            reply, connection = Reply(0, repr(broken).encode()), started.connect()
        verdict = FIVE if reply.status >= 500 or reply.status == 0 else TAKEN if reply.status == 200 else RIGHT
        if verdict == RIGHT and (reply.status != 422 or f"rows[{at}].{column}" not in _paths(reply)):
            verdict = UNNAMED
        seen.violations[verdict] += 1
        if verdict != RIGHT and len(seen.examples) < 20:
            seen.examples.append(
                f"violation of {column}: {verdict}, {given[at].get(column)!r:.80} {reply.status} {reply.body[:200]!r}"
            )
    connection.close()


def _spoil(row: Row, column: str, draw: np.random.Generator) -> None:
    """Put something into the column that it does not take, or nothing."""
    nothing = "nothing"
    size = float(10 ** draw.uniform(39, 300))
    bad: list[Any] = [nothing, None, [row[column]], {"value": row[column]}, bool(draw.integers(2))]
    if column in WORDS:
        bad += [int(draw.integers(9)), float(draw.normal()), "re\0d"]
    else:
        bad += [str(row[column]), "", "NaN", "abc", size, -size]
    if column in COUNTS:
        bad += [row[column] + 0.5, int(draw.integers(1, 9)) * 2**200]
    value = bad[int(draw.integers(len(bad)))]
    if value is nothing:
        del row[column]
    else:
        row[column] = value


def told(seen: Seen) -> None:
    """What was not right, in full."""
    for example in seen.examples:
        tell(example)
