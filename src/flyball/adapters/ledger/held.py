"""A ledger's states in memory, for the one process that writes it."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from flyball.adapters.ledger.sqlite import SqliteLedger
from flyball.control.ports import LedgerFault
from flyball.records.events import Draft, Event, Head, Stored


class HeldLedger:
    """Reads each kind of state once, and the head; from then on what it writes is what there is. Only where nobody else writes: a replay's ledger, whose
    directory is locked. (In production people's orders come from other processes.) A write that fails leaves nothing remembered."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self._ledger = ledger
        self._lock = threading.RLock()
        self._kinds: dict[str, dict[str, Stored]] = {}
        self._sorted: dict[str, tuple[Stored, ...]] = {}
        """By kind, in order of key, until one of them changes."""
        self._head = ledger.head()

    def transact(self, drafts: Sequence[Draft], *, epoch: int | None = None) -> tuple[Event, ...]:
        with self._lock:
            try:
                made = self._ledger.transact(drafts, epoch=epoch)
            except BaseException:
                self._forget()
                raise
            for event in made:
                if event.seq > self._head.seq:  # an older one answers a key that was there: its puts are not applied again
                    self._head = Head(event.seq, event.hash)
                    self._apply(event)
            return made

    def claim(self, owner: str, at: datetime) -> int:
        with self._lock:
            epoch = self._ledger.claim(owner, at)
            self._forget()
            return epoch

    def events(
        self,
        *,
        after: int = 0,
        kinds: Sequence[str] = (),
        subject: str | None = None,
        limit: int | None = None,
        newest: bool = False,
    ) -> tuple[Event, ...]:
        return self._ledger.events(after=after, kinds=kinds, subject=subject, limit=limit, newest=newest)

    def state(self, kind: str, key: str) -> Stored | None:
        with self._lock:
            return self._of(kind).get(key)

    def states(self, kind: str, known: Callable[[str, int], bool] | None = None) -> tuple[Stored, ...]:  # noqa: ARG002 - all is held
        with self._lock:
            if kind not in self._sorted:
                held = self._of(kind)
                self._sorted[kind] = tuple(held[key] for key in sorted(held))
            return self._sorted[kind]

    def head(self) -> Head:
        return self._head

    def verify(self) -> tuple[LedgerFault, ...]:
        """Of what lies on the disk."""
        return self._ledger.verify()

    def close(self) -> None:
        self._ledger.close()

    def _of(self, kind: str) -> dict[str, Stored]:
        if kind not in self._kinds:
            self._kinds[kind] = {stored.key: stored for stored in self._ledger.states(kind)}
        return self._kinds[kind]

    def _apply(self, event: Event) -> None:
        for put in event.puts:
            self._sorted.pop(put.kind, None)
            if put.value is None:
                self._of(put.kind).pop(put.key, None)
            else:
                self._of(put.kind)[put.key] = Stored(put.kind, put.key, put.value, event.seq)

    def _forget(self) -> None:
        self._kinds.clear()
        self._sorted.clear()
        self._head = self._ledger.head()
