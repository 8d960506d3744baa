"""In which of a route's queues a request waits: whoever the champion answers waits for no challenger."""

from collections.abc import Callable

import msgspec

from flyball.errors import Overloaded
from flyball.gateway.capture_writer import Sink
from flyball.gateway.ids import FreshIds
from flyball.gateway.metrics import Metrics
from flyball.gateway.tables import LiveRoute
from flyball.gateway.validation import Rows
from flyball.records.captured import FailureBatch


def row_seconds(live: LiveRoute) -> float:
    """What a row takes the models at most: as was learned beside the loop, or as long as a call of one took when its model was loaded."""
    learned = live.queue.cost.row_seconds
    return live.champion.model.call_seconds if learned is None else learned


def is_long(live: LiveRoute, n: int, seconds: float) -> bool:
    """Whether so many rows of one request take longer than a call beside the loop should: then they wait in no queue but for their turns."""
    if n == 1:
        return False
    learned = live.queue.cost.seconds(n)
    return (n * live.champion.model.call_seconds if learned is None else learned) > seconds


def failed_once(failure: FailureBatch, last: str) -> FailureBatch:
    """Of a slice whose rows are asked again, fewer at a time, of the route's `last` unit: it failed on them, and nobody was told so. If it fails again, that
    is captured too."""
    return failure if failure.answered_by is not None else msgspec.structs.replace(failure, answered_by=last)


class Lanes:
    """Calls beside the event loop are made one batch after the other: a canary that hangs in one of them would hold up all of its route."""

    def __init__(
        self, capture: Sink, ids: FreshIds, metrics: Metrics, canaries_allowed: Callable[[], bool], now_us: Callable[[], int]
    ) -> None:
        self._capture, self._ids, self._metrics = capture, ids, metrics
        self._canaries_allowed = canaries_allowed
        self._now_us = now_us

    def choose(self, live: LiveRoute, rows: Rows, now: float, patience: float) -> tuple[LiveRoute, Rows]:
        """The lane, and the rows with the ids by which it was chosen. `now`: on the loop's clock; `patience`: seconds that the request may wait in a queue.
        Never refuses: where too many wait for a challenger, the champion answers, and the challenger is noted to have failed."""
        if live.sure is live or rows.n <= live.inline_rows:
            return live, rows
        keys = rows.keys if rows.keys is not None else rows.ids
        if keys is None:
            keys = self._ids.take(rows.n)
            rows = rows._replace(ids=keys)
        canaries = live.canary is not None and self._canaries_allowed()
        theirs = [each for each in live.chosen(keys, canaries=canaries) if each[0] is not live.champion]
        if not theirs:
            return live.sure, rows
        try:
            live.queue.check_room(now, patience, rows.n)
        except Overloaded as full:
            for unit, role, chosen in theirs:
                self._metrics.failed(live.model, unit.id, role, len(chosen))
                self._note(live, unit.id, role, len(chosen), full)
            return live.sure, rows
        return live, rows

    def _note(self, live: LiveRoute, unit: str, role: str, n: int, full: Overloaded) -> None:
        failure = FailureBatch(
            at_us=self._now_us(),
            model=live.model,
            unit=unit,
            role=role,
            n=n,
            reason=f"overloaded: {full.message}",
            answered_by=live.champion.id,
        )
        self._capture.hand_over([failure if live.keeper is None else live.keeper.failure(failure)])
