"""The ledger in memory: for examples, simulations and tests, under the same contract."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from flyball.adapters.ledger.audit import Kept, audit
from flyball.adapters.ledger.entry import Entry, Texts, event_of, seal_texts, texts_of, value_of
from flyball.control.ports import LedgerFault
from flyball.errors import Fenced, LedgerDamaged
from flyball.records.events import GENESIS, Draft, Event, Head, Stored


class MemoryLedger:
    """Lives as long as the process. `entries`, `projection` and `outer` are open, so that damage can be done to them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.projection: dict[tuple[str, str], tuple[str, int]] = {}
        self.inner = Head(0, GENESIS)
        self.outer: Head | None = self.inner
        """What the head file of a real ledger would say."""
        self.epoch = 0
        self._keys: dict[str, Entry] = {}
        self._lock = threading.RLock()

    def transact(self, drafts: Sequence[Draft], *, epoch: int | None = None) -> tuple[Event, ...]:
        texts = [texts_of(draft) for draft in drafts]
        with self._lock:
            if texts and epoch is not None and epoch != self.epoch:
                raise Fenced(
                    f"epoch {epoch} may not write any more: epoch {self.epoch} has taken over", next_step="stop this controller"
                )
            return self._append(texts)

    def claim(self, owner: str, at: datetime) -> int:
        with self._lock:
            epoch = self.epoch + 1
            payload = {"epoch": epoch, "owner": owner}
            self._append([texts_of(Draft(at=at, kind="control.claimed", subject="control", actor=owner, payload=payload))])
            self.epoch = epoch
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
        with self._lock:
            # Whole as long as it is not damaged: entry n stands at n - 1, so a reader of the tail does not pay for the whole.
            start = after if len(self.entries) == self.inner.seq else 0
            found = [
                entry
                for entry in self.entries[start:]
                if entry.seq > after and (not kinds or entry.kind in kinds) and subject in (None, entry.subject)
            ]
        chosen = found[max(len(found) - limit, 0) :] if newest and limit is not None else found[:limit]
        return tuple(event_of(entry) for entry in chosen)

    def state(self, kind: str, key: str) -> Stored | None:
        with self._lock:
            found = self.projection.get((kind, key))
        return None if found is None else Stored(kind, key, value_of(found[0]), found[1])

    def states(self, kind: str, known: Callable[[str, int], bool] | None = None) -> tuple[Stored, ...]:
        with self._lock:
            found = sorted((key, value) for (its_kind, key), value in self.projection.items() if its_kind == kind)
        return tuple(
            Stored(kind, key, {} if known is not None and known(key, seq) else value_of(text), seq) for key, (text, seq) in found
        )

    def head(self) -> Head:
        with self._lock:
            return Head(self.entries[-1].seq, self.entries[-1].hash) if self.entries else Head(0, GENESIS)

    def verify(self) -> tuple[LedgerFault, ...]:
        with self._lock:
            return audit(Kept(tuple(self.entries), dict(self.projection), self.inner, self.outer, self.epoch))

    def close(self) -> None:
        """Nothing is held open."""

    def _append(self, drafts: Sequence[Texts]) -> tuple[Event, ...]:
        if drafts and not self.head() == self.inner == self.outer:
            raise LedgerDamaged("the ledger's end does not hold", next_step="run `flyball verify`")
        answers = []
        for texts in drafts:
            entry = self._keys.get(texts.key) if texts.key is not None else None
            if entry is None:
                entry = self._place(texts)
            answers.append(event_of(entry))
        self.outer = self.inner
        return tuple(answers)

    def _place(self, texts: Texts) -> Entry:
        entry = seal_texts(self.inner.seq + 1, texts, self.inner.hash)
        self.entries.append(entry)
        if texts.key is not None:
            self._keys[texts.key] = entry
        for kind, key, value in texts.states:
            if value is None:
                self.projection.pop((kind, key), None)
            else:
                self.projection[kind, key] = (value, entry.seq)
        self.inner = Head(entry.seq, entry.hash)
        return entry
