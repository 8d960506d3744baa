"""Performance without labels, window by window: estimated when a window closes, held against its labels when they have come."""

from typing import NamedTuple

import msgspec

from flyball.control.observe import Observation, WindowKey
from flyball.control.unforeseen import for_the_ledger
from flyball.control.world import World, put
from flyball.monitoring import estimates
from flyball.monitoring.allowance import allowance_of
from flyball.monitoring.estimates import AlarmState, Estimates, Labelled, Trust
from flyball.monitoring.estimates.parts import LOSS
from flyball.monitoring.policy import MonitorPolicy
from flyball.monitoring.window import Window
from flyball.records.events import Put
from flyball.records.findings import Finding, RowLosses, WindowSummary


class EstimateState(msgspec.Struct, frozen=True, kw_only=True):
    """Of one unit since it became champion."""

    alarm: AlarmState = AlarmState()
    trust: Trust = Trust()
    increase: float = 0.0
    """Of the mean bounded loss, as estimated for the newest window; 0 where that is void."""


class Estimated(NamedTuple):
    """What a closed window's rows say of its metrics."""

    summary: WindowSummary
    findings: tuple[Finding, ...]
    puts: tuple[Put, ...]


class Estimating:
    def __init__(self, world: World, observation: Observation, policy: MonitorPolicy) -> None:
        self._world = world
        self._observation = observation
        self._policy = policy

    def state(self, unit: str) -> EstimateState:
        return self._world.get("estimates", unit, EstimateState) or EstimateState()

    def unknown(self, unit: str) -> tuple[Put, ...]:
        """Of its newest window nothing is; empty: that is what stands."""
        state = self.state(unit)
        return (put("estimates", unit, msgspec.structs.replace(state, increase=0.0)),) if state.increase else ()

    def close(self, key: WindowKey, window: Window, summary: WindowSummary) -> Estimated:
        """The champion's window is over."""
        reference = self._observation.files.prepared(window.unit)
        if reference is None or summary.predictions < self._policy.min_rows:
            return Estimated(summary, (), self.unknown(window.unit))
        rows, state = self._observation.rows(key), self.state(window.unit)
        try:
            found = estimates.estimate(
                reference, rows.columns, rows.scores, window, state.trust, max(self._policy.tolerance, 0.01)
            )
        except Exception as error:  # noqa: BLE001 - said of the window, which closes: rows that stay as they are would keep it, and all after it, for ever
            unknown = msgspec.structs.replace(summary, void=f"it could not be estimated: {for_the_ledger(error)}")
            return Estimated(unknown, (), self.unknown(window.unit))
        allowance = allowance_of(self._policy, "estimates", 1.0)
        reading = estimates.judge(state.alarm, found, window, allowance)
        increase = found.increase.value if found.increase is not None else 0.0
        moved = msgspec.structs.replace(state, alarm=reading.state, increase=float(f"{increase:.6g}"))
        return Estimated(_shown(summary, found), reading.findings, (put("estimates", window.unit, moved),))

    def mature(self, window: Window, summary: WindowSummary, realised: RowLosses) -> tuple[Put, ...]:
        """Its labels have come."""
        told = summary.estimates.get(LOSS)
        if told is None:
            return ()
        state = self.state(window.unit)
        labelled = Labelled(realised, summary.predictions)
        learned = estimates.learn(state.trust, window.id, told, realised.mean, summary.loss_within, labelled)
        return () if learned == state.trust else (put("estimates", window.unit, msgspec.structs.replace(state, trust=learned)),)


def _shown(summary: WindowSummary, found: Estimates) -> WindowSummary:
    return msgspec.structs.replace(summary, estimates=found.metrics, loss_within=found.loss_within, void=found.void)
