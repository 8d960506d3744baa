"""Windows: closed when their time is over, judged for harm when their labels are mature, and told to the autopilot as signals."""

from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import msgspec

from flyball.autopilot.signals import SignalInputs, gather
from flyball.autopilot.situation import Foreseen, foreseen
from flyball.autopilot.worth import Worth
from flyball.control import failing, improving, tournaments
from flyball.control.acknowledging import taken_as_normal
from flyball.control.bounds import open_breaker
from flyball.control.capture_told import CaptureTold
from flyball.control.diagnoses import open_incidents
from flyball.control.diagnosing import Diagnosing
from flyball.control.estimating import Estimating
from flyball.control.keeping import kept_in_part
from flyball.control.maturing import Maturing, tell
from flyball.control.observe import Observation, WindowKey, micros_of
from flyball.control.operating import Operating
from flyball.control.releases import Releases
from flyball.control.retrained import data_until, retrainings
from flyball.control.retrying import Retries
from flyball.control.standing import puts_of, standing
from flyball.control.telling import Seen, told
from flyball.control.traffic import wanted
from flyball.control.unforeseen import for_the_ledger, tried
from flyball.control.world import MICROSECOND, World, draft, micros, moment, put
from flyball.errors import ArtifactDamaged, FlyballError, UpstreamError
from flyball.monitoring import drift
from flyball.monitoring.drift import DriftState
from flyball.monitoring.histogram import pictured
from flyball.monitoring.performance import PerformanceState, increase
from flyball.monitoring.policy import policy_of
from flyball.monitoring.window import Window
from flyball.records import codec
from flyball.records.events import Draft, Put
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind, WindowSummary
from flyball.records.release import Champion
from flyball.records.unit import Unit, Version

SIGNALS_KEPT = 8
"""Window ends remembered at least for conditions that must hold `for` so many in a row: as many as the longest of them, and these for one that is
written later. They are put into the ledger whole at every window end, half a kilobyte each."""

UNJUDGED_AFTER = 4
"""Part of a window's length for which a window that cannot be closed is tried, while policies wait for it: they still have their look before the next one ends."""


class SignalsAt(msgspec.Struct, frozen=True, kw_only=True):
    """The signals at one window's end, of the unit that was champion then."""

    unit: str
    window: str
    signals: dict[str, Any]
    risen_since: datetime | None = None
    """Since when the loss is up, as `improvement.excess` has it; None: it is not."""
    foreseen: Foreseen | None = None
    """Kept of the newest alone: a sentence for each would be put into the ledger at every window end."""


class SignalHistory(msgspec.Struct, frozen=True, kw_only=True):
    recent: tuple[SignalsAt, ...] = ()
    """Newest last."""


class Signalled(NamedTuple):
    """What the autopilot is told at a window's end. Not recorded yet: that is done together with what is decided from it."""

    history: SignalHistory
    draft: Draft


class _Judged(NamedTuple):
    """The champion by its labels so far."""

    risen: float
    """Of the mean loss, beside its baseline."""
    worth: Worth | None


class Windows:
    """Closes and matures the windows of one model."""

    def __init__(self, world: World, observation: Observation, releases: Releases, up_since: datetime) -> None:
        """`up_since`: from when on it is known that gateways were up."""
        self._world = world
        self._observation = observation
        self._releases = releases
        self._policy = policy_of(world.spec)
        self._signals_kept = max(SIGNALS_KEPT, *(each.for_windows for each in world.spec.policies), 0)
        self._estimating = Estimating(world, observation, self._policy)
        self._operating = Operating(world, observation, self._policy, up_since)
        self._maturing = Maturing(world, observation, self._estimating, self._policy)
        self._diagnosing = Diagnosing(world, observation)
        self._captured = CaptureTold(world, observation)
        # One that ends in the future was closed by a wrong clock: policies would see nothing after it.
        closed = sorted(
            (each for each in world.all("window", WindowSummary) if each.end <= world.now()), key=lambda window: window.start
        )
        self._newest = {window.unit: window for window in closed}
        """Unit → its last closed window."""
        self._retries: Retries[str] = Retries(world)
        """By unit: of its windows that are over the first one is tried."""
        self._patience = self._policy.window / UNJUDGED_AFTER
        self._signalled: tuple[str, str] | None = None
        """(unit, window) whose signals are known to be recorded."""

    def close(self, trouble: list[Exception]) -> Signalled | None:
        """Close what is over, mature what is ripe. The signals at the end of the newest window since the champion took over, until they are recorded, so that
        policies look once: also at one in which nobody was answered, which is when they are wanted most.

        What goes wrong with one window keeps neither the others nor policies from theirs: it is added to `trouble`. Raises Fenced, StoreUnavailable.
        """
        champion = self._releases.champion()
        waiting = self._close_what_is_over(champion, trouble)
        tried(self._captured.look, trouble)
        tried(partial(self._operating.look, champion), trouble)
        tried(partial(self._maturing.look, champion), trouble)
        tried(partial(self._diagnosing.look, champion), trouble)
        if champion is None:
            return None
        newest, silent = self._newest.get(champion.unit), self._newest_over(champion.unit)
        if newest is not None and newest.start >= silent.start:
            # One that ended before it took over was judged as another's, or not at all.
            return self._signals(newest.start, champion, newest, trouble) if newest.end > champion.since else None
        key = (champion.unit, micros(silent.start))
        if silent.end <= champion.since or (key in waiting and not self._retries.for_long(champion.unit, self._patience)):
            return None
        if self._signalled != (champion.unit, silent.start.isoformat()):  # not at every tick: failures may be many
            self._tell_failures(silent, champion)
        figures = self._summary(silent, waiting[key]) if key in waiting else None
        return self._signals(silent.start, champion, figures, trouble)

    def _close_what_is_over(self, champion: Champion | None, trouble: list[Exception]) -> dict[WindowKey, int]:
        """Those that wait, each with its rows. A unit's later windows wait for its earlier ones: they are to be judged in order."""
        waiting: dict[WindowKey, int] = {}
        units: set[str] = set()
        # Not by the clock: a tick that registers a version takes seconds, and what was captured in them is not counted yet.
        for key, rows in self._observation.open_windows(self._observation.seen_until_us).items():
            if key[0] in units or not self._is_closed(key, rows, champion, trouble):
                units.add(key[0])
                waiting[key] = rows
        return waiting

    def _is_closed(self, key: WindowKey, rows: int, champion: Champion | None, trouble: list[Exception]) -> bool:
        """Whether it is now, judged or not."""
        unit = key[0]
        self._retries.begin_anew(unit, self._window_of(key).end)
        if self._retries.tried(unit, partial(self._close_or_give_up, key, champion), trouble):
            return True
        # A system that is away comes back, and the window is judged then.
        if isinstance(trouble[-1], UpstreamError) or not self._retries.for_long(unit, self._patience):
            return False
        closed = tried(partial(self._close_unjudged, key, rows, champion, trouble[-1]), trouble)
        if closed:
            self._retries.try_at_once(unit)
        return closed

    def _close_or_give_up(self, key: WindowKey, champion: Champion | None) -> None:
        try:
            self._observation.files.reference(key[0])
        except ArtifactDamaged as unreadable:
            self._give_up(key, unreadable)
            return
        self._close(key, champion)

    def _newest_over(self, unit: str) -> Window:
        """The newest stretch that is over, whatever was answered in it."""
        width_us = micros_of(self._policy.window)
        end_us = self._observation.seen_until_us // width_us * width_us
        return Window(model=self._world.model, unit=unit, start=moment(end_us - width_us), end=moment(end_us))

    def _tell_failures(self, window: Window, champion: Champion) -> None:
        """Of a window that is not closed: no row of it was answered, or it cannot be yet."""
        if findings := self._failures(window, champion):
            puts = puts_of(self._world, findings)
            self._world.record(
                draft(self._world.now(), "finding.raised", f"finding:{findings[0].id}", {}, puts, key=findings[0].id)
            )
            tell(self._world, findings)

    def _before(self, champion: Champion) -> tuple[Finding, ...]:
        """All that was told of it since it became champion, in that order."""
        mine = (
            each
            for each in self._world.all("finding", Finding)
            if each.unit == champion.unit and each.window_end > champion.since
        )
        return tuple(sorted(mine, key=lambda each: each.number))

    def _give_up(self, key: WindowKey, why: ArtifactDamaged) -> None:
        """A unit that cannot be monitored is said to be, once; its windows keep nobody else's waiting."""
        now = self._world.now()
        finding = Finding(
            id=f"f-reference-{key[0]}", kind=FindingKind.SERVING, model=self._world.model, unit=key[0], subject="reference",
            window_start=moment(key[1]), window_end=now, effect=1.0, effect_unit="units", share_of_budget=None, words=why.message,
            evidence=Evidence(name="reference_read", value=0.0, n=1, unit="files"),
        )  # fmt: skip
        if self._world.get("finding", finding.id, Finding) is None:
            puts = puts_of(self._world, (finding,))
            self._world.record(draft(now, "finding.raised", f"finding:{finding.id}", {}, puts, key=finding.id))
            self._world.say("bad", why.message)
        self._observation.forget(key)
        self._observation.forget_rows(key)

    def _close(self, key: WindowKey, champion: Champion | None) -> None:
        unit, window = key[0], self._window_of(key)
        reference, counted = self._observation.files.reference(unit), self._observation.counted(key)
        profile = counted.profile
        state = self._world.get("drift", unit, DriftState) or DriftState()
        reading = drift.judge(reference, state, profile, window, self._policy, counted.traits)
        summary = self._summary(window, profile.rows, reading.distances)
        puts: list[Put] = []
        # A unit that is champion no more is shown; what moves it is nobody's alarm. As findings stand: nor is what was before it became champion, once more maybe.
        if champion is not None and _is_of(champion, window):
            seen = Seen(
                window,
                counted,
                reading.findings,
                standing(self._world, champion),
                self._before(champion),
                reading.distances,
                taken_as_normal(self._world),
            )
            drifted = told(self._observation.files, seen, kept_in_part(wanted(self._world)), self._policy)
            estimated = self._estimating.close(key, window, summary)
            summary = estimated.summary
            findings = (
                *pictured(drifted, drift.streams_of(reference, window), profile.counts), *estimated.findings, *self._failures(window, champion)
            )  # fmt: skip
            puts += [put("drift", unit, reading.state), *estimated.puts, *puts_of(self._world, findings)]
            tell(self._world, findings)
        self._record_closed(key, summary, puts, reading.note)

    def _close_unjudged(self, key: WindowKey, rows: int, champion: Champion | None, why: Exception) -> None:
        """No detector is told of it. It was tried for long, and whoever waits for it, the unit's next window and policies, is kept no longer."""
        window, puts = self._window_of(key), list[Put]()
        note = f"it could not be judged: {for_the_ledger(why)}"
        summary = msgspec.structs.replace(self._summary(window, rows), void=note)
        if champion is not None and _is_of(champion, window):
            findings = self._failures(window, champion)
            puts = [*self._estimating.unknown(window.unit), *puts_of(self._world, findings)]
            tell(self._world, findings)
        self._record_closed(key, summary, puts, note)
        self._world.say("bad", f"The window of {window.unit} until {window.end:%Y-%m-%d %H:%M} UTC is closed: {note}")

    def _record_closed(self, key: WindowKey, summary: WindowSummary, puts: list[Put], note: str) -> None:
        window, payload = self._window_of(key).id, {"predictions": summary.predictions, "note": note}
        puts = [*puts, put("window", window, summary)]
        self._world.record(draft(self._world.now(), "window.closed", f"window:{window}", payload, puts, key=f"closed:{window}"))
        self._observation.forget(key)
        self._maturing.take(key, summary)
        if key[0] not in self._newest or self._newest[key[0]].start < summary.start:
            self._newest[key[0]] = summary

    def _window_of(self, key: WindowKey) -> Window:
        end_us = key[1] + micros_of(self._policy.window)
        return Window(model=self._world.model, unit=key[0], start=moment(key[1]), end=moment(end_us))

    def _summary(self, window: Window, rows: int, distances: dict[str, float] | None = None) -> WindowSummary:
        """As it is when it closes. `distances`: None where no drift was judged."""
        join = self._observation.join
        return WindowSummary(
            model=window.model, unit=window.unit, start=window.start, end=window.end, predictions=rows,
            labels=join.labelled(micros(window.start), micros(window.end)) if join else 0, mature=False, drift=distances or {},
        )  # fmt: skip

    def _failures(self, window: Window, champion: Champion) -> tuple[Finding, ...]:
        join = self._observation.join
        rows = failing.rows(join, window.unit, micros(window.start), micros(window.end)) if join else (0, 0)
        if join is None or not rows[0]:
            return ()
        since = failing.since(join, window, champion.since)
        found = failing.finding(self._world, window, rows, since)
        return () if found is None else (found,)

    def _label_delay(self) -> timedelta:
        """Declared or learned; 0: nothing is known."""
        seen = self._observation
        return seen.label_delay.ripe_us(seen.join, seen.seen_until_us) * MICROSECOND if seen.join is not None else timedelta()

    def _is_newest(self, unit: str, start: datetime) -> bool:
        """Whether the window that began then is closed, and the newest that is: what was estimated of another one would count as measured once more."""
        newest = self._newest.get(unit)
        return newest is not None and newest.start == start

    def _by_labels(self, champion: Champion, found: tuple[Finding, ...]) -> _Judged:
        state = self._world.get("performance", champion.unit, PerformanceState)
        with suppress(ArtifactDamaged):  # one that cannot be monitored has no baseline
            baseline = self._observation.files.reference(champion.unit).baseline
            risen = increase(baseline, state) if state else 0.0
            paging = {each.kind for each in found if each.pages}
            delay = self._label_delay()
            windows = improving.comparable(self._maturing.judged(), champion.unit, self._scale)
            return _Judged(risen, improving.assess(self._world, champion, baseline, windows, paging, delay))
        return _Judged(0.0, None)

    def _scale(self, unit: str) -> float | None:
        """Of its losses; None: its package is not to be read."""
        try:
            return self._observation.files.reference(unit).scale
        except FlyballError:
            return None

    def _signals(
        self, start: datetime, champion: Champion, window: WindowSummary | None, trouble: list[Exception]
    ) -> Signalled | None:
        """At the end of the window that began at `start`. None: they are recorded already."""
        place, model = (champion.unit, start.isoformat()), self._world.model
        if place == self._signalled:
            return None
        history = self._world.get("signals", model, SignalHistory) or SignalHistory()
        if any((entry.unit, entry.window) == place for entry in history.recent):
            self._signalled = place
            return None
        now = self._world.now()
        unit = self._world.get("unit", champion.unit, Unit)
        version = self._world.get("version", f"{model}|{unit.version:06d}", Version) if unit else None
        found, judged = standing(self._world, champion), list[_Judged]()
        # Its reference may be what cannot be read: alarms and ages are told of all the same.
        tried(lambda: judged.append(self._by_labels(champion, found)), trouble)
        risen, worth = judged[0] if judged else _Judged(0.0, None)
        inputs = SignalInputs(
            findings=found,
            worth=worth,
            lost_in_a_row=tournaments.lost_in_a_row(self._world, champion),
            window=window,
            estimated_increase=self._estimating.state(champion.unit).increase if self._is_newest(champion.unit, start) else 0.0,
            loss_increase=risen,
            champion_since=champion.since,
            data_until=data_until(self._world, unit, version) if unit else None,
            retrainings=retrainings(self._world),
            breaker_open=open_breaker(self._world) is not None,
            incidents=tuple(each.kind for each in open_incidents(self._world, champion)),
        )
        latest = SignalsAt(
            unit=champion.unit,
            window=place[1],
            signals=gather(inputs, now),
            risen_since=worth.since if worth is not None else None,
            foreseen=foreseen(worth),
        )
        before = (msgspec.structs.replace(entry, foreseen=None) for entry in history.recent)
        kept = msgspec.structs.replace(history, recent=(*before, latest)[-self._signals_kept :])
        made = draft(
            now, "signals.gathered", f"model:{model}", codec.plain(latest), (put("signals", model, kept),),
            key=f"signals:{champion.unit}:{latest.window}",
        )  # fmt: skip
        return Signalled(kept, made)


def _is_of(champion: Champion, window: Window) -> bool:
    """Whether it is monitored in it."""
    return champion.unit == window.unit and window.end > champion.since


__all__ = ["SignalHistory", "Signalled", "SignalsAt", "Windows"]
