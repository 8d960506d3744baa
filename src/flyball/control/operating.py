"""Is the service as it usually is, and are requests taken? Each window of time, also one without a single request, whoever is champion."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np

from flyball.control.observe import Observation, micros_of
from flyball.control.standing import puts_of, standing, unacknowledged
from flyball.control.world import World, draft, micros, moment, put
from flyball.monitoring import operations, refused
from flyball.monitoring.operations import Measures, OperationsState
from flyball.monitoring.policy import MonitorPolicy
from flyball.monitoring.quality import Fault
from flyball.monitoring.refused import Count, RefusedReading, RefusedState, Why
from flyball.monitoring.window import Window
from flyball.records.findings import Finding
from flyball.records.release import Champion

MOST_EMPTY = timedelta(days=60)
"""Windows that nobody can know anything of are passed over one by one no longer than this: after that the baseline would be another one anyway."""

MOST_A_TICK = 100
"""Windows: after a change of their length, or a long pause, the past is learned from over some ticks."""


class Operating:
    def __init__(self, world: World, observation: Observation, policy: MonitorPolicy, up_since: datetime) -> None:
        self._world = world
        self._observation = observation
        self._policy = policy
        self._width = micros_of(policy.window)
        self._since_us = micros(up_since)
        """Windows that were over before and hold no record are not known to be empty: maybe nothing was up."""
        self._anew_us: int | None = None
        """Where judging begins anew, after a clock that was wrong; None: it was right."""

    def look(self, champion: Champion | None) -> None:
        """Judge every window that is over, in order, each once."""
        if champion is None:
            return
        state = self._world.get("operations", self._world.model, OperationsState) or OperationsState()
        if state.width_us not in (0, self._width):  # monitor.window was changed
            state = OperationsState()
        until = self._observation.seen_until_us
        if state.last_number and state.last_number * self._width >= until:
            # Judged by a clock that was ahead: until that time came no other would be. The present window is next: those before it may have been judged, once.
            state, self._anew_us = OperationsState(), self._anew_us or until - until % self._width
            self._observation.tallies.forget_until(self._anew_us)
        begin = (
            (state.last_number + 1) * self._width if state.last_number else self._anew_us or self._observation.tallies.first_us
        )
        if begin is None:
            return
        begin = max(begin, until - until % self._width - micros_of(MOST_EMPTY))
        for start_us in range(begin, until - self._width + 1, self._width)[:MOST_A_TICK]:
            state = self._judge(start_us, state, champion)

    def _judge(self, start_us: int, state: OperationsState, champion: Champion) -> OperationsState:
        window = Window(model=self._world.model, unit=champion.unit, start=moment(start_us), end=moment(start_us + self._width))
        reading = operations.judge(state, self._measures(start_us), window, self._policy)
        payload: dict[str, Any] = {
            "window": window.start.isoformat(), "note": reading.note,
            "usual": {name: [each.value, each.lower, each.upper] for name, each in sorted(reading.usual.items())},
        }  # fmt: skip
        requests = self._requests(window, champion)
        findings = (*reading.findings, *requests.findings)
        states = put("operations", self._world.model, reading.state), put("refused", self._world.model, requests.state)
        puts = (*states, *puts_of(self._world, findings))
        # Without a key: the state is written with it, so that no window is next twice, but for those that a wrong clock has judged before their time.
        self._world.record(draft(self._world.now(), "operations.judged", f"model:{self._world.model}", payload, puts))
        self._tell(findings)
        self._observation.tallies.forget_until(start_us + self._width)
        return reading.state

    def _measures(self, start_us: int) -> Measures:
        tally, end_us = self._observation.tallies.of(start_us), start_us + self._width
        if tally is None and end_us <= self._since_us:
            return Measures(requests=None, failures=None)
        if tally is None:
            return Measures(requests=0, failures=0, labels=0)
        join = self._observation.join
        delays = join.label_delays(start_us, end_us) if join is not None else np.zeros(0, dtype=np.int64)
        return Measures(
            requests=tally.answered + tally.failed + tally.turned_away, failures=tally.failed + tally.turned_away,
            latencies_us=tally.latencies_us(), missing=tally.missing, values=tally.values, labels=tally.labels,
            label_delay_us=int(np.median(delays)) if delays.size else None,
        )  # fmt: skip

    def _requests(self, window: Window, champion: Champion) -> RefusedReading:
        """Of those that came in it: which were refused for what stands in them."""
        state = self._world.get("refused", self._world.model, RefusedState) or RefusedState()
        tally = self._observation.tallies.of(micros(window.start))
        if tally is None:
            return RefusedReading(findings=(), state=state)
        counts = {
            Why(*reason): Count(requests=each.requests, rows=each.rows, since=moment(each.since_us))
            for reason, each in tally.invalid.items()
        }
        return refused.judge(state, tally.asked, counts, window, self._known(window, champion), champion.since)

    def _known(self, window: Window, champion: Champion) -> dict[tuple[str, str], float]:
        """What is told of refused requests and not acknowledged, with the share of rows: of a window in which the champion changed, of whomever."""
        found = unacknowledged(self._world) if window.start < champion.since else standing(self._world, champion)
        known: dict[tuple[str, str], float] = {}
        for each in found:
            if each.fault == Fault.SCHEMA:
                known[refused.said(each)] = max(known.get(refused.said(each), 0.0), each.effect)
        return known

    def _tell(self, findings: tuple[Finding, ...]) -> None:
        for finding in findings:
            self._world.say("finding", f"{finding.window_end:%Y-%m-%d} {finding.words}")
