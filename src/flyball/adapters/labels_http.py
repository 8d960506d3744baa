"""Labels sent through the gateway's own door, which alone says what a label is; a row that it refuses is told with its number."""

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import httpx

from flyball.adapters.label_rows import LabelRow
from flyball.control.ports import Say
from flyball.control.reports import ImportReport

BATCH = 1_000
"""Labels in a request: one that is refused is sent again without its faulty rows."""
FAULTS_TOLD = 20
HOPELESS = 200
"""Refused rows among which fewer were accepted: the wrong column was named, and the rest would be refused, too."""
WAITS_SECONDS = (0.2, 1.0, 3.0)
"""Before the next try: together longer than a gateway takes to be started again. Labels are idempotent, so that sending twice is harmless."""
TOLD_EVERY = 50_000

_PLACE = re.compile(r"labels\[(\d+)\]\.?(.*)")
_OTHER = re.compile(r" in labels\[(\d+)\]$")
"""Where the gateway says what a label contradicts."""


def send_labels(url: str, token: str, model: str, rows: Iterable[LabelRow], say: Say) -> ImportReport:
    """Send all; what was accepted is stored when this returns, whatever became of the rest."""
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=60.0, trust_env=False) as client:
        sending = _Sending(client, model)
        remaining = iter(rows)
        while batch := list(islice(remaining, BATCH)):
            sending.send(batch)
            if sending.trouble:
                break
            if sending.rows % TOLD_EVERY == 0:
                say("step", f"{sending.accepted:,} labels accepted")
        return sending.report(unsent=sum(1 for _ in remaining))


class _Sending:
    """One import."""

    def __init__(self, client: httpx.Client, model: str) -> None:
        self._client = client
        self._model = model
        self._pause = threading.Event()
        self._faults: list[tuple[int, str]] = []
        self._refused = 0
        self._unsent = 0
        self._not_known_yet = 0
        self.rows = 0
        self.accepted = 0
        self.trouble = ""

    def send(self, batch: Sequence[LabelRow]) -> None:
        """All rows of a batch that are labels. Those whose outcome is not known yet say nothing of whether the columns are the right ones."""
        self.rows += len(batch)
        for row in batch:
            if row.wrong:
                self._refuse(row.number, row.wrong)
        known = [row for row in batch if not row.not_known_yet]
        self._not_known_yet += len(batch) - len(known)
        left = [row for row in known if not row.wrong]
        while left and not self.trouble:
            left = self._try(left)
            if self._refused >= HOPELESS and self.accepted < self._refused:
                self.trouble = f"{self._refused} rows were refused and {self.accepted} accepted: are these the right columns?"
        self._unsent += len(left)

    def report(self, unsent: int) -> ImportReport:
        return ImportReport(
            rows=self.rows + unsent, accepted=self.accepted, refused=self._refused, faults=tuple(f"row {number}: {words}" for number, words in sorted(self._faults)),
            unsent=self._unsent + unsent, trouble=self.trouble, not_known_yet=self._not_known_yet,
        )  # fmt: skip

    def _try(self, rows: list[LabelRow]) -> list[LabelRow]:
        """Send once; the rows that are still to be sent."""
        answer = self._answer({"labels": [row.label for row in rows]})
        if answer is None:
            return rows
        if answer.status_code == 200:
            self.accepted += int(answer.json()["accepted"])
            return []
        refused = dict(_refused(answer, rows))
        if answer.status_code != 422 or not refused:
            self.trouble = f"the gateway answered {answer.status_code}: {_detail(answer)}"
            return rows
        for at, words in refused.items():
            self._refuse(rows[at].number, words)
        return [row for at, row in enumerate(rows) if at not in refused]

    def _answer(self, body: dict[str, Any]) -> httpx.Response | None:
        """None: there is none, after all tries."""
        words = ""
        for wait in (*WAITS_SECONDS, None):
            try:
                answer = self._client.post(f"/models/{self._model}/labels", json=body)
                if answer.status_code not in (429, 503):
                    return answer
                words = f"the gateway answered {answer.status_code}: {_detail(answer)}"
            except httpx.TransportError as error:
                words = f"the gateway does not answer: {str(error) or type(error).__name__}"
            if wait is not None:
                self._pause.wait(wait)
        self.trouble = words
        return None

    def _refuse(self, number: int, words: str) -> None:
        self._refused += 1
        if len(self._faults) < FAULTS_TOLD:
            self._faults.append((number, words))


def _refused(answer: httpx.Response, rows: Sequence[LabelRow]) -> Iterator[tuple[int, str]]:
    """(place in the request, what is wrong); of two that contradict each other neither is the right one."""
    try:
        faults = answer.json()["faults"]
    except (ValueError, KeyError):
        return
    for fault in faults:
        place, other = _PLACE.fullmatch(fault["path"]), _OTHER.search(fault["expected"])
        if place and place[2] == "id" and other:
            pair = int(place[1]), int(other[1])
            for at, there in (pair, pair[::-1]):
                yield at, f"id: found {fault['found']}, expected one label of it, here or in row {rows[there].number}"
        elif place:
            yield int(place[1]), f"{place[2] or 'row'}: found {fault['found']}, expected {fault['expected']}"


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
