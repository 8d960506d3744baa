"""Slices that flyball.yaml declares no more."""

from datetime import UTC, datetime, timedelta

import numpy as np
from ledger_world import world_at

from flyball.control.declared_slices import DeclaredSlices
from flyball.control.samples import SampledRows
from flyball.control.world import draft, put
from flyball.monitoring.allowance import Allowance
from flyball.monitoring.declared import DeclaredState, SliceTrack
from flyball.monitoring.window import Window

AT = datetime(2026, 11, 27, tzinfo=UTC)


def test_where_all_of_them_are_taken_away_what_was_known_is_forgotten_once() -> None:
    world = world_at(AT)
    state = DeclaredState(slices={"far": SliceTrack(where="x > 1.4", open_rows=7)}, last_window="w")
    world.record(draft(AT, "window.matured", "window:w", {}, (put("declared", "u1", state),)))
    judging = DeclaredSlices(world, None, ())  # type: ignore[arg-type]
    rows = SampledRows([], np.zeros(0, dtype=np.int64), {}, np.zeros((0, 1)))
    window = Window(model="shop", unit="u1", start=AT, end=AT + timedelta(days=1))

    def judged() -> object:
        allowance = Allowance(run_length=90.0, share=0.1, min_rows=20, tolerance=0.01)
        reading, puts = judging.judge(rows, np.zeros(0), window, allowance)
        assert (reading.findings, reading.seen) == ((), {})
        world.record(draft(AT, "window.matured", "window:w", {}, puts))
        return puts

    assert judged() == (put("declared", "u1", DeclaredState()),)
    assert judged() == ()
