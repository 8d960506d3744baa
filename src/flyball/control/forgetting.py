"""What is as old as `capture.keep` is forgotten: out of memory, and off the disk.

The horizon is the beginning of what is held. It is a state of the ledger, written before anything is forgotten by it, and never goes back: a controller that
starts reads from there on, and holds what one that never stopped holds. It is reckoned from the end of the newest window that has closed, not by the clock: what
no window has counted yet is not forgotten, however long control was down. A clock that leaps into another year closes windows there: each moves the reckoning by
a part of `keep` alone, or by the time that was lived through, so that one takes not everything with it. It moves in whole windows, and never past the opening of
a release that is under way, or of one whose effect is not measured yet, or the first window whose service is not judged.
"""

from datetime import datetime, timedelta

import msgspec

from flyball.control.observe import Observation, micros_of
from flyball.control.world import World, draft, micros, moment, put
from flyball.monitoring.operations import OperationsState
from flyball.records.effects import Effect
from flyball.records.findings import WindowSummary
from flyball.records.release import TERMINAL, ReleaseState
from flyball.spec.fields import format_duration

STEPS = 16
"""In which the horizon moves through one length of `keep`, where that has so many windows: at each the rows that stay are copied, so many times in their
life at most."""


PARTS = 4
"""Of `keep`: so far at most one window moves what is reckoned from, and half a window more than its own length at least; or as far as this process has lived
through, and so large a part of that more, by which it catches up. After a longer leap as many windows later what is old is forgotten: were it the clock's, they
would have moved through `keep`, too."""


class Horizon(msgspec.Struct, frozen=True, kw_only=True):
    until: datetime
    """Not included: what was made before is forgotten."""


def step_us(window_us: int, keep_us: int) -> int:
    """By which the horizon moves."""
    return window_us * max(1, keep_us // (STEPS * window_us))


class Forgetting:
    """Of one model."""

    def __init__(self, world: World, observation: Observation) -> None:
        self._world = world
        self._observation = observation
        self._looked: int | None = None
        """Windows that had closed when it was last looked what may be forgotten."""
        self._reached_us: int | None = None
        """What was reckoned from when it was last looked; None: not yet."""
        self._seen_us, self._lived_us = micros(world.now()), 0
        """When the clock was last looked at, and the time since the last window: of each look a window's length at most, whatever the clock says."""
        self._left = world.spec.capture.keep is not None
        """Whether there may be segments that are to be removed."""
        standing = world.get("horizon", world.model, Horizon)
        # One in the future was reckoned by a wrong clock, and nothing would be taken until then.
        if standing is not None and standing.until <= world.now():
            observation.forget_until(micros(standing.until))

    def look(self) -> None:
        """Move the horizon when it is time, and remove what lies behind it."""
        self.move()
        if self._left and self._observation.horizon_us:
            self._remove()

    def move(self) -> None:
        """Once for every window that has closed, and before the first reading: what is old already is not read."""
        self._live()
        keep, closed = self._world.spec.capture.keep, self._observation.label_delay.windows
        if keep is None or closed == self._looked:
            return
        until_us = self._due_us(keep)
        if until_us > self._observation.horizon_us:
            self._move(until_us, keep)
        self._looked = closed

    def _live(self) -> None:
        now_us = micros(self._world.now())
        self._lived_us += min(max(now_us - self._seen_us, 0), micros_of(self._world.spec.monitor.window))
        self._seen_us = now_us

    def _due_us(self, keep: timedelta) -> int:
        """0: nothing."""
        world, window = self._world, micros_of(self._world.spec.monitor.window)
        ends = sorted({micros(each.end) for each in world.all("window", WindowSummary) if each.end <= world.now()})
        if not ends:
            return 0
        reached = self._reach_us(ends, keep)
        step = step_us(window, micros_of(keep))
        due = (reached - micros_of(keep)) // step * step
        return max(0, min([due, *self._held_us()]) // window * window)

    def _reach_us(self, ends: list[int], keep: timedelta) -> int:
        """The end from which `keep` is reckoned. Windows without traffic have no end here: where a month lies between two of them it is only the time lived
        through that tells it from a leap."""
        most = max(micros_of(self._world.spec.monitor.window) * 3 // 2, micros_of(keep) // PARTS)
        reached, *later = ends[-PARTS - 1 :]
        for end in later:
            reached = min(end, reached + most)
        before_us = self._observation.horizon_us
        if before_us:  # also by a process before this one
            reached = max(reached, min(ends[-1], before_us + micros_of(keep)))
        if self._reached_us is not None:
            reached = max(reached, min(ends[-1], self._reached_us + max(most, self._lived_us + self._lived_us // PARTS)))
        self._reached_us, self._lived_us = reached, 0
        return reached

    def _held_us(self) -> list[int]:
        """Since when rows are held whatever their age."""
        world = self._world
        unmeasured = {each.release for each in world.all("effect", Effect) if each.realised is None}
        releases = (each for each in world.all("release", ReleaseState) if each.phase not in TERMINAL or each.id in unmeasured)
        service = world.get("operations", world.model, OperationsState) or OperationsState()
        # After a long pause the service is judged window by window, and lags behind.
        judged = [(service.last_number + 1) * service.width_us] if service.last_number else []
        return [*judged, *(micros(each.opened_at) for each in releases)]

    def _move(self, until_us: int, keep: timedelta) -> None:
        """The ledger first: who is killed in between has forgotten nothing that the next one would look for."""
        world, before_us = self._world, self._observation.horizon_us
        gone = [each for each in world.all("window", WindowSummary) if before_us <= micros(each.start) < until_us]
        if not gone:
            return
        waiting = [each for each in gone if not each.mature and not each.given_up]
        predictions, until = sum(each.predictions for each in gone), moment(until_us)
        payload = {
            "until": until.isoformat(), "keep": format_duration(keep), "windows": len(gone), "predictions": predictions, "waiting": len(waiting)
        }  # fmt: skip
        state, key = put("horizon", world.model, Horizon(until=until)), f"forgotten:{world.model}:{until.isoformat()}"
        world.record(draft(world.now(), "capture.forgotten", f"model:{world.model}", payload, (state,), key=key))
        self._observation.forget_until(until_us)
        self._left = True
        late = f"; {len(waiting)} of these windows still waited for labels, which join nothing now" if waiting else ""
        world.say(
            "plain", f"Forgotten is what was captured before {until:%Y-%m-%d %H:%M} UTC (capture.keep: {format_duration(keep)}): {predictions} predictions{late}"
        )  # fmt: skip

    def _remove(self) -> None:
        removed = self._world.ports.capture.remove(self._observation.horizon_us)
        self._left = removed.more
        self._observation.forget_segments(removed.names)
        if removed.names:
            first, last = removed.names[0], removed.names[-1]
            told = f"segments that hold nothing younger: {len(removed.names)}, {removed.bytes / 1e6:.1f} MB ({first} to {last})"
            self._world.say("plain", f"Removed from capture/ are {told}")
