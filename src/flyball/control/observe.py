"""What gateways captured, held in memory: a projection of the segments, rebuilt when control starts from what was made since the horizon."""

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from flyball.capture.join import LabelJoin
from flyball.control.counted import Counted, count, merge
from flyball.control.label_delay import LabelDelay
from flyball.control.recent_rows import RecentRows
from flyball.control.release_tally import ReleaseTally
from flyball.control.samples import SAMPLE_ROWS, SampledRows, WindowSample
from flyball.control.slice_members import SliceMembers
from flyball.control.tallies import Tallies
from flyball.control.traffic import wanted
from flyball.control.unforeseen import tried
from flyball.control.units import UnitShelf
from flyball.control.watched_files import WatchedFiles
from flyball.control.window_columns import columns_of
from flyball.control.window_grid import WindowGrid
from flyball.control.world import World, micros
from flyball.errors import ArtifactDamaged, NotFound
from flyball.monitoring import delays
from flyball.records.captured import Captured, CaptureDamage, PredictionBatch, RefusalBatch
from flyball.records.findings import WindowSummary

WHOLE = 4
"""Newest windows that keep their whole sample: what is estimated without labels rests on it. Two units may answer in a window, and one that is to be closed
has another after it."""
ROWS_KEPT = 36 * SAMPLE_ROWS
"""Of all the others, those that wait for labels or were judged lately: 160 MB with forty features. Where they are many, each keeps fewer: forgotten by age,
rows would be gone just before their labels come."""
RECENT = 8
"""Judged windows whose rows are kept: a worse loss is put down to causes in all windows since it began."""
GRACE, GRACE_PART = timedelta(minutes=1), 10
"""A request counts for the moment at which its scoring began, and is captured when it is over (with `explain` it counts for that moment): a window is taken
for whole this much after its end, at most a tenth of its length. A hundred thousand rows of a slow model take half as long."""
FLUSH_ROWS = 2_000
"""Rows gathered before they are counted into a profile: counting many at once costs a tenth of counting each request."""
ANOTHER_TROUBLE = timedelta(hours=2)
"""Without a further segment that cannot be read, after which the next one is another trouble: the hour that one has (control/attending.py), and another."""

WindowKey = tuple[str, int]
"""(unit whose reference the bins come from, start in µs)"""


class Observation:
    """Joined rows and the profiles of open windows."""

    def __init__(self, world: World, shelf: UnitShelf) -> None:
        self._world = world
        self._shelf = shelf
        self._cursor: dict[str, int] = {}
        self.horizon_us = 0
        """Nothing that was made before is held or taken (control/forgetting.py)."""
        self.join: LabelJoin | None = None
        """None: nothing was captured yet."""
        self._waiting: list[Captured] = []
        self.files = WatchedFiles(world, shelf)
        self.release_tally = ReleaseTally()
        self.members = SliceMembers(world, shelf)
        self.recent_rows = RecentRows(world.spec.release.replay.rows if world.spec.release.replay else 0)
        self.tallies = Tallies(micros_of(world.spec.monitor.window))
        self._counted: dict[WindowKey, Counted] = {}
        self._pending: dict[WindowKey, list[PredictionBatch]] = {}
        self._pending_rows: dict[WindowKey, int] = {}
        self.late: set[WindowKey] = set()
        """Closed windows of which further rows came; whoever looks at them takes them out."""
        self.damaged: list[CaptureDamage] = []  # until somebody has told of it, and takes it out
        self._inbox: deque[Captured] = deque()
        self._unread: set[str] = set()
        """Segments that could not be read, which was said."""
        self._champions: dict[int, str] = {}
        """Revision of the routing table → who is champion in it, as the records say: segments are not read in the order in which they were written."""
        self._unplaced: dict[int, list[PredictionBatch]] = {}
        self.seen_until_us = 0
        """What was answered by then is taken: a window that ended later may lack records, however much later it is closed."""
        self.unread_since: datetime | None = None
        """The later of the two below, of the second while it lasts; None: all was read."""
        self._unended_since: datetime | None = None
        """When the first of the last calls of `ingest` began that could not be ended; None: the last one was."""
        self._unread_since: datetime | None = None
        """When the trouble with the segments that cannot be read began, and later by all the time since in which all were read; None: there was none yet."""
        self._unread_at: datetime | None = None
        """When the newest of them was found."""
        self._read_at = world.now()
        """When all segments were tried last."""
        self._unread_now: frozenset[str] = frozenset()
        self._width = micros_of(world.spec.monitor.window)
        self._grace_us = 0 if world.ports.clock.simulated else min(micros_of(GRACE), self._width // GRACE_PART)
        self._samples: dict[WindowKey, WindowSample] = {}
        windows = world.all("window", WindowSummary)
        self._closed = {(w.unit, micros(w.start)) for w in windows}
        self.grid = WindowGrid(world.spec.monitor.window, windows, world.now())
        self.label_delay = LabelDelay(world.spec, len(self._closed))
        mature = sorted(((w.unit, micros(w.start)) for w in windows if w.mature), key=_in_time)
        self._recent = mature[-RECENT:]
        self._judged = {*mature[:-RECENT], *((w.unit, micros(w.start)) for w in windows if w.given_up)}
        """Judged or given up: of them no rows are kept."""

    @property
    def cursor(self) -> dict[str, int]:
        """How far each segment was read."""
        return dict(self._cursor)

    def joined_for(self, unit: str) -> LabelJoin:
        """The join; an empty one, shaped for `unit`, while nothing was captured: no data is a measurement too, and says so."""
        if self.join is not None:
            return self.join
        signature = self._shelf.served(unit).signature
        return LabelJoin(signature.task, signature.classes, signature.n_scores)

    def ingest(self) -> int:
        """Take all that was captured before this call; answers how many records. A reader hands them out in bounded portions, and what comes while it is read
        may wait for the next call: a tick that went on until nothing came would not end under traffic."""
        self._unended_since = self._unended_since or self._world.now()
        self._note_since()
        taken = self._empty_inbox()
        while True:
            looked_us = micros(self._world.now())
            found = self._world.ports.capture.read(self._cursor, self.horizon_us)
            self._cursor = found.cursor
            self._inbox.extend(found.records)
            self.damaged.extend(found.damaged)
            self._tell_unread(found.unread)
            taken += self._empty_inbox()
            if not found.more:
                self.seen_until_us = looked_us - self._grace_us
                self.release_tally.settle(self.seen_until_us)
                self._unended_since = None
                self._note_unread(found.unread)  # the last portion has tried them all again
                return taken

    def _note_since(self) -> None:
        began = self._unread_since if self._unread_now else None
        self.unread_since = max(filter(None, (self._unended_since, began)), default=None)

    def _note_unread(self, segments: Iterable[tuple[str, str]]) -> None:
        names, now = frozenset(name for name, _ in segments), self._world.now()
        if self._unread_since is not None and not self._unread_now:
            self._unread_since += now - self._read_at
        self._read_at = now
        if names - self._unread_now:
            # Of a worker none of whose segments may be read each new one is the same trouble: an hour for each would be for ever.
            if self._unread_at is None or now - self._unread_at >= ANOTHER_TROUBLE:
                self._unread_since = now
            self._unread_at = now
        self._unread_now = names
        self._note_since()

    def open_windows(self, ended_by_us: int) -> dict[WindowKey, int]:
        """Windows with traffic that ended by then and were not closed, in order of time, each with its rows so far."""
        rows = dict(self._pending_rows)
        for key, counted in self._counted.items():
            rows[key] = rows.get(key, 0) + counted.profile.rows
        return {key: rows[key] for key in sorted(rows, key=_in_time) if key[1] + self._width <= ended_by_us}

    def counted(self, key: WindowKey) -> Counted:
        """All rows of a window so far."""
        self._flush(key)
        return self._counted[key]

    def forget(self, key: WindowKey) -> None:
        """The window is closed: its profile is judged and no longer needed."""
        self._closed.add(key)
        self.label_delay.windows = len(self._closed)
        self._counted.pop(key, None)
        self._pending.pop(key, None)
        self._pending_rows.pop(key, None)

    def forget_until(self, horizon_us: int) -> None:
        """Nothing that was made before is wanted any more."""
        self.horizon_us = horizon_us
        if self.join is not None:
            self.join.forget(horizon_us)
        for key in [key for key in self._samples if key[1] < horizon_us]:
            self.forget_rows(key)
        self._unplaced = {revision: _since(batches, horizon_us) for revision, batches in self._unplaced.items()}
        self.recent_rows.forget_until(horizon_us)
        self.release_tally.forget_until(horizon_us)

    def forget_segments(self, names: Iterable[str]) -> None:
        """They are gone: where their reading ended is of no use any more."""
        for name in names:
            self._cursor.pop(name, None)

    def rows(self, key: WindowKey) -> SampledRows:
        """Rows that the champion answered in a window whose labels are not judged yet."""
        return self._samples.get(key, WindowSample()).rows(self._shelf.served(key[0]).signature)

    def recent(self, unit: str, since_us: int, until_us: int) -> tuple[WindowKey, ...]:
        """Judged windows of a unit that began between, as far as their rows are kept, in order of time."""
        return tuple(key for key in self._recent if key[0] == unit and since_us <= key[1] < until_us and key in self._samples)

    def retire(self, key: WindowKey) -> None:
        """The window is judged: its rows are kept for a while."""
        self._recent = sorted({*self._recent, key}, key=_in_time)
        while len(self._recent) > RECENT:
            self.forget_rows(self._recent.pop(0))

    def forget_rows(self, key: WindowKey) -> None:
        """The window is given up, or was judged long ago."""
        self._judged.add(key)
        self._samples.pop(key, None)

    def _tell_unread(self, segments: Iterable[tuple[str, str]]) -> None:
        """Once each: a look comes every second."""
        for name, why in segments:
            if name not in self._unread:
                self._unread.add(name)
                words = f"{name} in capture/ cannot be read ({why}): its records are in no window that closes now. The others are read, and it is tried again."
                self._world.say("bad", words)

    def _empty_inbox(self) -> int:
        taken = 0
        while self._inbox:
            # What may fail comes first: a record that waits for a registry is taken by the next call, once, and none is lost.
            self._shape_for(self._inbox[0])
            self._take(self._inbox.popleft())
            taken += 1
        self._count_full_ones()
        return taken

    def _shape_for(self, record: Captured) -> None:
        """The join begins with the first prediction; its shape is the model's, so the unit that answers now will do when the first one's package is gone."""
        if self.join is not None or not isinstance(record, PredictionBatch):
            return
        table = wanted(self._world)
        unit = table.routes[0].champion.unit.id if table and table.routes else record.unit
        signature = table.routes[0].champion.signature if table and table.routes else self._shelf.served(unit).signature
        strata = None
        # Labels are joined whatever has become of the reference; a registry that is away is waited for.
        with suppress(ArtifactDamaged, NotFound):
            strata = delays.strata_of(self.files.reference(unit))
        self.join = LabelJoin(signature.task, signature.classes, signature.n_scores, model=self._world.model, strata=strata)
        self.join.forget(self.horizon_us)
        waiting, self._waiting = self._waiting, []
        for earlier in waiting:
            self.join.add(earlier)

    def _take(self, record: Captured) -> None:
        if record.at_us < self.horizon_us:
            return
        if isinstance(record, RefusalBatch):  # nothing is joined to it: it is known, too, where nobody was ever answered
            self.tallies.add(record)
            return
        if self.join is None:
            self._waiting.append(record)
            return
        self.tallies.add(record)
        self.join.add(record)
        if isinstance(record, PredictionBatch) and record.role != "shadow":
            start_us = self.grid.start_of(record.unit, record.at_us)
            if start_us is not None and (record.unit, start_us) in self._closed:
                self.late.add((record.unit, start_us))
            self.release_tally.add(record)
            self.recent_rows.add(record)
            self.members.add(record)
            self._gather(record)

    def _gather(self, batch: PredictionBatch) -> None:
        if batch.revision not in self._champions and (champion := self._champion_of(batch)) is not None:
            self._champions[batch.revision] = champion
            for earlier in self._unplaced.pop(batch.revision, ()):
                self._place(earlier, champion)
        champion = self._champions.get(batch.revision)
        if champion is None:
            self._unplaced.setdefault(batch.revision, []).append(batch)
        else:
            self._place(batch, champion)

    def _champion_of(self, batch: PredictionBatch) -> str | None:
        """Of the batch's revision. One that breaks at once never answers in it, and the table that names it is the standing one then."""
        if batch.role == "champion":
            return batch.unit
        if batch.revision in self._unplaced:
            return None  # asked already: the table moves on, never back
        table = wanted(self._world)
        return table.routes[0].champion.unit.id if table and table.routes and table.revision == batch.revision else None

    def _place(self, batch: PredictionBatch, champion: str) -> None:
        """A canary's rows are the same traffic: their features count for the champion's window, their scores do not."""
        start_us = self.grid.start_of(champion, batch.at_us)
        if start_us is None:
            return
        key = (champion, start_us)
        if batch.unit == champion and key not in self._judged:
            if key not in self._samples:
                self._samples[key] = WindowSample()
                self._thin_out()
            self._samples[key].add(batch)
        if key in self._closed:
            return
        self._pending.setdefault(key, []).append(batch)
        self._pending_rows[key] = self._pending_rows.get(key, 0) + len(batch.ids)

    def _thin_out(self) -> None:
        older = sorted(self._samples, key=_in_time)[:-WHOLE]
        for key in older:
            self._samples[key].keep_at_most(max(ROWS_KEPT // len(older), 1))

    def _count_full_ones(self) -> None:
        for key in [key for key, rows in self._pending_rows.items() if rows >= FLUSH_ROWS]:
            # They are counted when the window closes, and what keeps them from it, foreseen or not, is told then: it keeps no record from being read.
            tried(partial(self._flush, key), [], passing=())

    def _flush(self, key: WindowKey) -> None:
        signature = self._shelf.served(key[0]).signature
        batches = self._pending.get(key, [])
        together = self._counted.get(key)
        for shown in (True, False):
            chosen = [batch for batch in batches if (batch.unit == key[0]) is shown]
            if chosen:
                scores = [row for batch in chosen for row in batch.scores] if shown else None
                rows = sum(len(batch.ids) for batch in chosen)
                found = count(self.files, key[0], columns_of(signature, chosen), scores, rows)
                together = found if together is None else merge(together, found)
        if together is not None:
            self._counted[key] = together
        # Only now: a file of the package that could not be read is asked for again, and no row is lost meanwhile.
        self._pending.pop(key, None)
        self._pending_rows.pop(key, None)


def _since(batches: list[PredictionBatch], horizon_us: int) -> list[PredictionBatch]:
    return [batch for batch in batches if batch.at_us >= horizon_us]


def _in_time(key: WindowKey) -> tuple[int, str]:
    return key[1], key[0]


def micros_of(duration: timedelta) -> int:
    """A duration in whole microseconds."""
    return duration // timedelta(microseconds=1)
