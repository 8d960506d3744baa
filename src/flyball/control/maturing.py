"""Windows whose labels come: shown as far as they have, judged once when they have, and corrected when more come after that."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial

import msgspec
import numpy as np

from flyball.capture.join import LabelJoin
from flyball.capture.joined import Ints
from flyball.control import judging_labels, patience
from flyball.control.concepts import Concepted, Concepts, Labelled
from flyball.control.estimating import Estimating
from flyball.control.judging_labels import BEFORE, Judged, Read, window_of
from flyball.control.labelled_rows import Sampled, sampled
from flyball.control.observe import Observation, WindowKey, micros_of
from flyball.control.own_metrics import immature
from flyball.control.retrying import Retries
from flyball.control.standing import puts_of
from flyball.control.unforeseen import tell_first
from flyball.control.world import World, draft, micros, put
from flyball.errors import ArtifactDamaged
from flyball.monitoring import live, performance, track_record
from flyball.monitoring.delays import Delays
from flyball.monitoring.live import WindowRows
from flyball.monitoring.maturity import Maturity, maturity, quiet_us
from flyball.monitoring.performance import PerformanceState
from flyball.monitoring.policy import MonitorPolicy
from flyball.monitoring.realised import realised
from flyball.monitoring.selective import SCORE
from flyball.monitoring.track_record import TrackRecord
from flyball.records.events import Draft, Put
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, WindowSummary
from flyball.records.release import Champion

MOST_A_TICK = 100
"""Windows that are given up: after a long pause they are many, each an entry of some kB in the ledger."""
MOST_REVISED = 50
"""Windows whose labels are read again in one tick: to a controller that was started all labels are new, and each of thousands of windows costs a look at
every row, 20 ms of millions."""
REVISED_EVERY = 4
"""Times in a window's length that metrics of mature windows follow labels that came after all: a label alone moves none by much, and each revision is
an entry of some kB in the ledger."""
MORE_LABELS = 1.25
"""An immature window's metrics are told anew when it has so many times the labels: some ten times until all have come, not at every tick."""


class Maturing:
    def __init__(self, world: World, observation: Observation, estimating: Estimating, policy: MonitorPolicy) -> None:
        self._world = world
        self._observation = observation
        self._estimating = estimating
        self._policy = policy
        self._concepts = Concepts(world, observation, policy)
        self._width = micros_of(policy.window)
        closed = sorted(world.all("window", WindowSummary), key=lambda window: window.start)
        self._immature = {key_of(window): window for window in closed if not window.mature and not window.given_up}
        self._retries: Retries[WindowKey] = Retries(world)
        self._labelled: set[WindowKey] = set()
        """Of them those that labels came for: the others, which may be thousands, are not looked at."""
        self._counts: dict[WindowKey, tuple[int, int]] = {}
        """(labels, predictions) of those, until some come or change: to count them is to look at every row, and a tick comes every second."""
        self._quiet: dict[WindowKey, tuple[Delays | None, int]] = {}
        """From when on no more come later than declared, or than was learned; known as long as the above."""
        self._mature = {key_of(window): window for window in closed if window.mature}
        self._revised = self._part(micros(world.now()))
        """Part of a window's length in which revisions were last looked for: the present one, so that a controller which is started again looks when the one
        before would have."""
        self._changed: list[Ints] = []
        """Event times of rows whose labels came or changed and which no revision has seen yet."""
        self._stale: set[WindowKey] = set()
        """Mature windows that a revision is to read again."""
        self._unrevised: set[WindowKey] = set()
        """Of them those of which it failed."""
        self._revising: Retries[WindowKey] = Retries(world)

    def take(self, key: WindowKey, summary: WindowSummary) -> None:
        """A window has closed."""
        self._immature[key] = summary
        if summary.labels:
            self._labelled.add(key)

    def judged(self) -> tuple[WindowSummary, ...]:
        """Mature windows of champions whose labels could be judged by, in order of time."""
        told = (window for window in self._mature.values() if window.loss is not None)
        return tuple(sorted(told, key=lambda window: (window.start, window.unit)))

    def look(self, champion: Champion | None) -> None:
        """Judge what is mature, give up what is waited for too long, tell what has changed."""
        trouble: list[Exception] = []
        self._notice()
        self._count()
        for key in sorted(self._labelled, key=lambda key: (key[1], key[0])):
            self._retries.tried(key, partial(self._look_or_forget, key, champion), trouble)
        self._retries.keep(self._labelled)
        self._give_up()
        self._revise(trouble)
        tell_first(trouble)

    def _look_or_forget(self, key: WindowKey, champion: Champion | None) -> None:
        try:
            self._look(key, self._immature[key], champion)
        except ArtifactDamaged:  # a unit that cannot be monitored: said once, where its windows close
            self._forget(key)

    def _notice(self) -> None:
        """Labels that came or changed since the last look, and windows whose rows were forgotten."""
        for key in [key for key in self._immature if key[1] < self._observation.horizon_us]:
            self._forget(key)  # `capture.forgotten` has told of it
        join = self._observation.join
        changed = np.unique(join.changed()) if join is not None else np.zeros(0, dtype=np.int64)
        touched = _touched(self._immature, changed)
        if changed.size:
            self._changed.append(changed)
            self._labelled |= {*touched}
        for key in (*touched, *self._observation.late):
            self._counts.pop(key, None)
            self._quiet.pop(key, None)
        self._observation.late.clear()

    def _count(self) -> None:
        """Windows whose numbers are not known, or may be others now: all of a unit in one pass."""
        join, unknown = self._observation.join, sorted(self._labelled - self._counts.keys())
        if join is None:
            return
        for unit in {unit for unit, _ in unknown}:
            keys = [key for key in unknown if key[0] == unit]
            ends = [micros(self._immature[key].end) for key in keys]
            # Its own rows: where the champion changed within it, others' labels say nothing of it.
            told = join.told_of(unit, np.array([start for _, start in keys]), np.array(ends))
            self._counts.update(zip(keys, zip(*(each.tolist() for each in told), strict=True), strict=True))

    def _give_up(self) -> None:
        """Each once, and said."""
        now, join = self._world.now(), self._observation.join
        late = [window for window in self._immature.values() if now >= window.end + patience.least(self._policy)]
        if not late or join is None:
            return
        waited = patience.patience(self._policy, self._delays(join) if self._policy.label_delay is None else None)
        late = [window for window in late if now >= window.end + waited][:MOST_A_TICK]
        moved = [
            patience.given_up(window, join.labelled(micros(window.start), micros(window.end)), now - window.end)
            for window in late
        ]
        if moved:
            self._world.record(*(self._given_up(window) for window in moved))
        for window in moved:
            self._forget(key_of(window))

    def _given_up(self, window: WindowSummary) -> Draft:
        payload, subject = {"labels": window.labels, "note": window.labels_note}, window_of(window).id
        return draft(self._world.now(), "window.given_up", f"window:{subject}", payload, (put("window", subject, window),))

    def _forget(self, key: WindowKey) -> None:
        """It will not be judged."""
        self._drop(key)
        self._observation.forget_rows(key)

    def _drop(self, key: WindowKey) -> None:
        del self._immature[key]
        self._labelled.discard(key)
        self._counts.pop(key, None)
        self._quiet.pop(key, None)

    def _look(self, key: WindowKey, window: WindowSummary, champion: Champion | None) -> None:
        join, now = self._observation.join, self._world.now()
        labels, predictions = self._counts.get(key, (0, 0))
        if join is None or labels == 0:
            return
        # With a declared delay the learned one decides nothing, and is looked up for what is shown only.
        known = self._delays(join) if self._policy.label_delay is None else None
        told = maturity(predictions, labels, window.end, now, self._policy, known)
        if told.mature and not (told.by in {"delay", "learned"} and self._waits(key, window, join, known)):
            self._judge(key, window, champion, join)
        elif labels >= MORE_LABELS * max(window.labels, 1):
            self._complete(key, window, join, told)

    def _waits(self, key: WindowKey, window: WindowSummary, join: LabelJoin, known: Delays | None) -> bool:
        """Past its delay a window is judged once, by what is there: not while labels still come, as those of an import do for minutes, nor at once by fewer
        than are tested."""
        now, (labels, predictions) = self._world.now(), self._counts[key]
        if now >= patience.last_call(window, self._policy, self._world.spec.capture.keep, known):
            return False
        if labels < self._policy.min_rows <= predictions and now < window.end + patience.for_few(self._policy, known):
            return True
        if key not in self._quiet or self._quiet[key][0] is not known:
            found = join.outcomes(window.unit, micros(window.start), micros(window.end))
            self._quiet[key] = known, quiet_us(found.at_us, found.received_us, self._policy, known)
        return micros(now) < self._quiet[key][1]

    def _delays(self, join: LabelJoin) -> Delays:
        return self._observation.label_delay.learned(join, self._observation.seen_until_us)

    def _complete(self, key: WindowKey, window: WindowSummary, join: LabelJoin, told: Maturity) -> None:
        """What the labels that are here say of all that will come, and when they will have."""
        labels, _ = self._counts[key]
        start_us, end_us, now = micros(window.start), micros(window.end), self._world.now()
        found = join.outcomes(window.unit, start_us, end_us)
        delays = self._delays(join)
        completion = live.completed(WindowRows(*found[:4]), delays, join.strata, micros(now))
        shown: dict[str, Evidence] = {}
        if completion.weighting is not None:
            chosen, reference = completion.chosen, self._observation.files.reference(window.unit)
            figures = realised(reference, found.scores[chosen], found.labels[chosen], window_of(window), completion.weighting)
            record = self._world.get("completions", window.unit, TrackRecord) or TrackRecord()
            shown = track_record.kept(record, figures) | immature(self._world, window_of(window), int(chosen.size))
        ripe = "" if told.ripe_at is None else f"mature by {told.ripe_at:%Y-%m-%d %H:%M} UTC"
        note = "; ".join(dict.fromkeys(filter(None, (told.words, ripe, delays.words, completion.words))))
        moved = msgspec.structs.replace(
            window, labels=labels, live=shown, live_first=window.live_first or shown, labels_note=note
        )
        payload = {"labels": labels, "note": note}
        subject = f"window:{window_of(window).id}"
        self._world.record(draft(now, "window.completed", subject, payload, (put("window", window_of(window).id, moved),)))
        self._immature[key] = moved

    def _judge(self, key: WindowKey, window: WindowSummary, champion: Champion | None, join: LabelJoin) -> None:
        now, judged = self._world.now(), window_of(window)
        read = self._read(window, join)
        found = self._judged(window, read)
        labels = join.labelled(micros(window.start), micros(window.end))
        summary = msgspec.structs.replace(
            window, labels=labels, mature=True, metrics=found.metrics, live={}, live_first={}, labels_note=found.selective,
            labels_hang_on=found.hang_on, shadow=found.shadow, judged_by=read.digest, judged_rows=len(read.ids),
        )  # fmt: skip
        puts: list[Put] = []
        note = found.selective
        if champion is not None and champion.unit == window.unit and found.judgeable:
            lost = found.losses(self._observation.files.reference(window.unit), judged)
            summary = msgspec.structs.replace(summary, loss=lost)
            # As findings stand: what was before it became champion, once more maybe, is no part of what is watched.
            if window.end > champion.since:
                told = self._judge_loss(key, summary, found, join)
                summary = msgspec.structs.replace(summary, slices=told.slices, outlook=told.outlook)
                puts += [*told.puts, *puts_of(self._world, told.findings)]
                note = "; ".join(filter(None, (note, told.note)))
                tell(self._world, told.findings)
        puts.insert(0, put("window", judged.id, summary))
        if window.live_first:
            record = self._world.get("completions", window.unit, TrackRecord) or TrackRecord()
            puts.append(
                put("completions", window.unit, track_record.recorded(record, judged.id, window.live_first, found.metrics))
            )
        payload = {"labels": labels, "note": note}
        self._world.record(draft(now, "window.matured", f"window:{judged.id}", payload, puts, key=f"matured:{judged.id}"))
        self._drop(key)
        self._observation.retire(key)
        self._mature[key] = summary

    def _judge_loss(self, key: WindowKey, window: WindowSummary, found: Judged, join: LabelJoin) -> Concepted:
        """The champion's: has its loss risen, do labels follow the answers, do they agree with what was estimated without them, and why not?"""
        judged, reference = window_of(window), self._observation.files.reference(window.unit)
        state = self._world.get("performance", window.unit, PerformanceState) or PerformanceState()
        labelled = found.scores, found.labels
        reading = performance.judge(reference, state, labelled, judged, self._policy, found.weighting)
        if found.weighting is not None:
            # Whether labels follow the answers, in slices too, and what harm is put down to, is asked of rows that are a plain sample.
            return Concepted(
                reading.findings, (put("performance", window.unit, reading.state),), {}, reading.note, reading.outlook
            )
        # Fewer say nothing of how much their mean may lie beside that of all rows.
        loss = window.loss if window.loss is not None and window.loss.n >= self._policy.min_rows else None
        estimates = self._estimating.mature(judged, window, loss) if loss is not None else ()

        def since(moment: datetime) -> Sampled:
            return self._since(moment, key, join)

        told = self._concepts.judge(judged, Labelled(*labelled, sampled(self._observation, (key,), join)), since)
        findings = self._concepts.explained((*reading.findings, *told.findings), judged, since)
        puts = (put("performance", window.unit, reading.state), *estimates, *told.puts)
        notes = "; ".join(filter(None, (reading.note, told.note)))
        return Concepted(findings, puts, told.slices, notes, reading.outlook)

    def _since(self, since: datetime, key: WindowKey, join: LabelJoin) -> Sampled:
        """Rows of the windows since then, as far as they are kept. The window itself may be older: labels of others were complete before its own."""
        judged = (*self._observation.recent(key[0], micros(since), micros(self._world.now())), key)
        mine = [each for each in sorted({*judged}) if each[1] >= micros(since)]
        return sampled(self._observation, mine or (key,), join)

    def _read(self, window: WindowSummary, join: LabelJoin) -> Read:
        return judging_labels.read(window, join, micros(self._world.now()))

    def _judged(self, window: WindowSummary, read: Read) -> Judged:
        return judging_labels.judged(self._world, self._observation, window, read, self._known_of(window))

    def _known_of(self, window: WindowSummary) -> tuple[str, ...]:
        """What labels of the windows before it hung on."""
        before = sorted((start for unit, start in self._mature if unit == window.unit and start < micros(window.start)))
        told = (name for start in before[-BEFORE:] for name in self._mature[window.unit, start].labels_hang_on)
        return tuple(dict.fromkeys(told))

    def _part(self, at_us: int) -> int:
        return at_us // max(self._width // REVISED_EVERY, 1)

    def _revise(self, trouble: list[Exception]) -> None:
        """Labels that came after a window was judged change its metrics, whatever order they came in; what was bet on it then stays."""
        join, part = self._observation.join, self._part(self._observation.seen_until_us)
        if join is None:
            return
        if part != self._revised:
            changed = np.unique(np.concatenate(self._changed)) if self._changed else np.zeros(0, dtype=np.int64)
            self._stale.update(_touched(self._mature, changed))
            self._changed, self._revised = [], part
        moved: list[tuple[WindowKey, WindowSummary]] = []
        self._stale = {key for key in self._stale if key[1] >= self._observation.horizon_us}
        # Those that failed come last: they keep no other from its turn, however many they are.
        chosen = sorted(self._stale, key=lambda key: (key in self._unrevised, key))[:MOST_REVISED]
        failed = {key for key in chosen if not self._revising.tried(key, partial(self._revise_one, key, join, moved), trouble)}
        if moved:  # one transaction: labels that come late are of several windows
            self._world.record(*(self._revision(self._mature[key], revised) for key, revised in moved))
            self._mature.update(moved)
        # Only now: a registry or a ledger that is away loses none.
        self._stale.difference_update({*chosen} - failed)
        self._unrevised = (self._unrevised | failed) & self._stale
        self._revising.keep(self._stale)

    def _revise_one(self, key: WindowKey, join: LabelJoin, moved: list[tuple[WindowKey, WindowSummary]]) -> None:
        with suppress(ArtifactDamaged):
            revised = self._revised_anew(self._mature[key], join)
            if revised != self._mature[key]:
                moved.append((key, revised))

    def _revised_anew(self, window: WindowSummary, join: LabelJoin) -> WindowSummary:
        """To a controller that was started again every label is new: what was judged by the same ones is not read from a registry to say so again. Far
        fewer than it was judged by never replace a better judgement."""
        read = self._read(window, join)
        if read.digest == window.judged_by:
            return judging_labels.held_whole(window)
        labels = join.labelled(micros(window.start), micros(window.end))
        if (kept := judging_labels.kept(window, read, labels)) is not None:
            return kept
        window = msgspec.structs.replace(
            judging_labels.held_whole(window), labels=labels, judged_by=read.digest, judged_rows=len(read.ids)
        )
        if self._by_features_gone(window):
            return window
        found = self._judged(window, read)
        told = window.loss is not None and found.judgeable
        lost = found.losses(self._observation.files.reference(window.unit), window_of(window)) if told else window.loss
        return msgspec.structs.replace(
            window,
            metrics=found.metrics,
            labels_note=found.selective,
            labels_hang_on=found.hang_on,
            shadow=found.shadow,
            loss=lost,
        )

    def _by_features_gone(self, window: WindowSummary) -> bool:
        """Its labels hang on features of rows that are kept no more: without them they would pass for a plain sample."""
        by = {*window.labels_hang_on, *(self._known_of(window) if window.labels_note else ())}
        return bool(by - {SCORE}) and not self._observation.rows(key_of(window)).ids

    def _revision(self, before: WindowSummary, revised: WindowSummary) -> Draft:
        now, window = self._world.now(), window_of(revised).id
        subject, puts = f"window:{window}", (put("window", window, revised),)
        if not revised.held_in_part:
            return draft(now, "window.revised", subject, {"labels": revised.labels, "before": before.labels}, puts)
        until, note = f"{revised.end:%Y-%m-%d %H:%M} UTC", revised.held_in_part
        self._world.say("plain", f"The window until {until} keeps its metrics: {note} (docs/operations.md)")
        return draft(now, "window.kept", subject, {"note": note}, puts)


def _touched(windows: Mapping[WindowKey, WindowSummary], times: Ints) -> list[WindowKey]:
    """Those that some of the times lie in. `times`: ascending."""
    first = np.searchsorted(times, [start for _, start in windows])
    ends = zip(windows.items(), first.tolist(), strict=True)
    return [key for (key, window), place in ends if place < times.size and times[place] < micros(window.end)]


def key_of(window: WindowSummary) -> WindowKey:
    return window.unit, micros(window.start)


def tell(world: World, findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        world.say("finding", f"{finding.window_end:%Y-%m-%d} {finding.words}")
