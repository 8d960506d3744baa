"""A ledger that takes nothing: nobody is left to find that out, and no canary is served that nobody could take back."""

import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from engine_world import AT_ONCE, Project, spec_of
from rich.console import Console

from flyball.adapters.ledger import MemoryLedger
from flyball.cli import tell_status
from flyball.control import commands, queries
from flyball.control.loop import tick_once
from flyball.control.trouble import Trouble
from flyball.control.world import Ports, draft
from flyball.errors import StoreUnavailable
from flyball.records.events import Draft, Event
from flyball.records.release import Phase
from flyball.web import pages
from flyball.wiring import health

SECOND = timedelta(seconds=1)
SPEC = spec_of({**AT_ONCE, "steps": [{"traffic": "50%", "at_least": "1d", "at_most": "4d", "min_requests": 0}]})


class Disk:
    """Under the ledger."""

    def __init__(self) -> None:
        self.full = False
        self.slow = 0 * SECOND


class LedgerOnDisk:
    """The in-memory ledger, writes of which may find no room or take long."""

    def __init__(self, ports: Ports, disk: Disk) -> None:
        self._ports, self._disk = ports, disk

    def transact(self, drafts: Sequence[Draft], *, epoch: int | None = None) -> tuple[Event, ...]:
        if self._disk.full:
            raise StoreUnavailable("flyball.db: database or disk is full", next_step="free space on the disk, then try again")
        self._ports.clock.sleep(self._disk.slow)  # type: ignore[attr-defined]
        return self._ports.ledger.transact(drafts, epoch=epoch)

    def __getattr__(self, name: str) -> object:
        return getattr(self._ports.ledger, name)


def in_canary(root: Path) -> tuple[Project, Disk]:
    disk = Disk()
    project = Project(root, SPEC, wrap=lambda ports: ports._replace(ledger=LedgerOnDisk(ports, disk)))  # type: ignore[arg-type]
    assert isinstance(project.ledger, MemoryLedger)
    project.version()
    project.version()
    assert project.release().phase is Phase.CANARY
    return project, disk


def ticked(project: Project, seconds: int) -> list[str]:
    """What every fifth second's tick had to say."""
    said = []
    for _ in range(0, seconds, 5):
        project.clock.sleep(5 * SECOND)
        said.append(tick_once(project.engine))
    return said


def since(project: Project) -> datetime | None:
    return project.engine.untold.since if project.engine.untold else None


def test_who_cannot_write_what_must_be_written_lets_the_lease_go_and_says_so_outside_the_ledger(tmp_path: Path) -> None:
    project, disk = in_canary(tmp_path)
    commands.order(project.door, "roll_back", "user:me", "")
    disk.full, full_at = True, project.clock.now() + 5 * SECOND
    assert all(ticked(project, 25))
    assert project.engine.supervises(), "a disk that is full for less than half a minute takes no canary its share"
    assert since(project) == full_at
    assert all(ticked(project, 15))
    assert not project.engine.supervises()
    renewed = project.gateways.leases
    assert all(ticked(project, 120))
    assert (project.engine.supervises(), project.gateways.leases) == (False, renewed)
    assert (since(project), project.release().phase) == (full_at, Phase.CANARY)
    disk.full = False
    assert not any(ticked(project, 10))
    assert (project.engine.supervises(), project.engine.untold, project.release().phase) == (True, None, Phase.ROLLED_BACK)
    assert project.gateways.leases > renewed
    project.holds()


def test_a_write_that_fails_now_and_then_or_takes_long_costs_no_canary_its_share(tmp_path: Path) -> None:
    project, disk = in_canary(tmp_path)
    for _ in range(3):
        commands.order(project.door, "run", "user:me", "")
        disk.full = True
        assert all(ticked(project, 5))
        disk.full = False
        assert not any(ticked(project, 15))
        assert project.engine.supervises()
    disk.slow = 50 * SECOND
    commands.order(project.door, "roll_back", "user:me", "")
    assert not any(ticked(project, 5))
    assert project.engine.supervises()


def test_a_refusal_is_forgotten_with_the_next_whole_round_though_nothing_was_to_be_written(tmp_path: Path) -> None:
    project, disk = in_canary(tmp_path)
    for _ in range(2):
        project.clock.sleep(timedelta(hours=1))
        assert not any(ticked(project, 10))
        disk.full = True
        with pytest.raises(StoreUnavailable):
            project.engine.world.record(draft(project.clock.now(), "tick.failed", "model:shop", {"words": "away"}))
        disk.full, head = False, project.ledger.head()
        assert project.engine.supervises()
        assert not any(ticked(project, 10))
        assert project.ledger.head() == head
        assert project.engine.supervises()
        assert project.engine.world.unwritten is None


def test_status_and_the_page_say_since_when_ticks_fail_and_why(tmp_path: Path) -> None:
    project, disk = in_canary(tmp_path)
    report = queries.status(project.door, controller_alive=True)
    well = health.with_trouble(report, tmp_path, None, lives=True)
    assert (well.trouble, well.ticks_failed_since) == ("", None)
    commands.order(project.door, "roll_back", "user:me", "")
    disk.full = True
    ticked(project, 5)
    untold = project.engine.untold
    assert isinstance(untold, Trouble)
    told = health.with_trouble(report, tmp_path, untold, lives=True)
    assert told.ticks_failed_since == untold.since
    assert "database or disk is full. Next: free space on the disk, then try again. Nor can that be recorded" in told.trouble
    shown = io.StringIO()
    Console(file=shown, width=200).print(tell_status.status_report(told, plain=True))
    assert f"running, but its ticks have failed since {untold.since:%Y-%m-%d %H:%M}" in shown.getvalue()
    page = pages.overview(told, (), (), ())
    assert f"Its ticks have failed since {untold.since:%Y-%m-%d %H:%M}" in page
    assert ">running<" not in page
    over = health.with_trouble(report, tmp_path, untold, lives=False)
    assert (over.trouble, over.ticks_failed_since) == ("", None), "of a process that is gone"


def test_a_trouble_whose_words_vary_keeps_its_beginning_recorded_or_not(tmp_path: Path) -> None:
    project, disk = in_canary(tmp_path)
    renew, left = project.gateways.renew_lease, iter(range(900_000, 0, -4096))

    def fill() -> None:
        raise StoreUnavailable(f"{next(left)} bytes are free", next_step="free space")

    project.gateways.renew_lease = fill  # type: ignore[method-assign]
    began = project.clock.now() + 5 * SECOND
    assert all(ticked(project, 60))
    assert queries.status(project.door, controller_alive=True).ticks_failed_since == began
    disk.full = True
    assert all(ticked(project, 20))
    assert since(project) == began
    disk.full = False
    assert all(ticked(project, 20))
    assert queries.status(project.door, controller_alive=True).ticks_failed_since == began
    project.gateways.renew_lease = renew  # type: ignore[method-assign]
    assert not any(ticked(project, 5))
    assert queries.status(project.door, controller_alive=True).ticks_failed_since is None
