"""What the overview reads does not grow with all that was ever decided and judged."""

from datetime import UTC, datetime, timedelta

from ledger_world import CountingLedger, world_at

from flyball.adapters.capture_memory import MemoryCapture
from flyball.adapters.gateways_memory import MemoryGateways
from flyball.control import queries
from flyball.control.maturing import window_of
from flyball.control.world import draft, put
from flyball.records import codec
from flyball.records.decisions import Decision, Plan
from flyball.records.findings import WindowSummary
from flyball.records.release import Champion

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHOWN = 20


def lived(hours: int) -> tuple[int, tuple[str, ...], tuple[datetime, ...]]:
    """(what was decoded for one overview, decisions shown, windows shown) after so many, with a window and a decision in each."""
    ledger = CountingLedger()
    world = world_at(BEGIN + hours * HOUR, ledger=ledger)
    world.ports = world.ports._replace(gateways=MemoryGateways(), capture=MemoryCapture())
    champion = Champion(model="shop", unit="u1", since=BEGIN, release="r-0001", verified=("u1",))
    world.record(draft(BEGIN, "champion.changed", "model:shop", {}, (put("champion", "shop", champion),)))
    for hour in range(hours):
        start = BEGIN + hour * HOUR
        for unit in ("u1", "u10"):
            window = WindowSummary(model="shop", unit=unit, start=start, end=start + HOUR, predictions=1, labels=1, mature=True)
            world.record(draft(start, "window.completed", "window", {}, (put("window", window_of(window).id, window),)))
        plan = Plan(actions=(), rule="r", rationale="")
        made = Decision(id=f"d-{hour:06d}", room="autopilot", now=start, policy={}, situation={}, plan=plan)
        world.record(draft(start, "decision.made", f"decision:{made.id}", codec.plain(made)))
    ledger.decoded = 0
    status = queries.status(world, controller_alive=True)
    rows = queries.decision_rows(world, newest=SHOWN)
    return ledger.decoded, tuple(row.id for row in rows), tuple(window.start for window in status.windows)


def test_an_overview_reads_no_more_after_a_long_life() -> None:
    few, _, _ = lived(30)
    many, decisions, windows = lived(300)
    assert many == few
    assert decisions == tuple(f"d-{number:06d}" for number in range(280, 300))
    assert windows == tuple(BEGIN + hour * HOUR for hour in range(293, 300))


def test_the_newest_window_with_its_labels_is_told_however_many_came_after_it() -> None:
    world = world_at(BEGIN + 40 * HOUR)
    world.ports = world.ports._replace(gateways=MemoryGateways(), capture=MemoryCapture())
    champion = Champion(model="shop", unit="u1", since=BEGIN, release="r-0001", verified=("u1",))
    world.record(draft(BEGIN, "champion.changed", "model:shop", {}, (put("champion", "shop", champion),)))
    assert queries.status(world, controller_alive=True).judged is None
    for hour in range(30):
        start = BEGIN + hour * HOUR
        window = WindowSummary(model="shop", unit="u1", start=start, end=start + HOUR, predictions=1, labels=1, mature=hour < 3)
        world.record(draft(start, "window.completed", "window", {}, (put("window", window_of(window).id, window),)))
    status = queries.status(world, controller_alive=True)
    assert not any(window.mature for window in status.windows)
    assert status.judged is not None
    assert status.judged.start == BEGIN + 2 * HOUR
