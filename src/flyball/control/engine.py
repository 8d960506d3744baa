"""The tick: observe, plan, permit, act, verify, record. Level-triggered: whatever a dead controller left is seen and gone on with."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from flyball.control import binding, commands, jobs, questions, traffic
from flyball.control.aliases import Aliases
from flyball.control.drills import Drills
from flyball.control.effects import Effects
from flyball.control.forgetting import Forgetting
from flyball.control.happenings import note_clock, note_spec
from flyball.control.observe import Observation
from flyball.control.releases import Releases
from flyball.control.remedies import Remedies
from flyball.control.stopping import Stopping
from flyball.control.traffic import SwitchReading
from flyball.control.trouble import Trouble
from flyball.control.unforeseen import tell_first, tried
from flyball.control.units import UnitShelf
from flyball.control.windows import Signalled, Windows
from flyball.control.world import World
from flyball.errors import Fenced, Outdated
from flyball.records.jobs import FINISHED, Job
from flyball.records.release import ReleaseState
from flyball.records.unit import Unit
from flyball.spec.fields import format_duration

MOVES_PER_TICK = 6
"""A release may pass several phases in one tick (proposed, full, watching); more would be a loop that does not end."""


UNATTENDED = timedelta(minutes=2)
"""Longest stretch without a look at the traffic: registering a version or a slow disk takes seconds; beyond this nobody watches a canary."""

UNWRITTEN = timedelta(seconds=30)
"""Longest stretch in which every write came to nothing: who cannot record does not move, so nobody would take a canary back. From the first to the last of
them: a write that is slow, or one that fails between two that do not, is no such stretch."""


_try = partial(tried, passing=(Fenced, Outdated))
"""One stage of a tick: what fails in it keeps no other stage from its work."""


class Engine:
    """One controller of one project."""

    def __init__(self, world: World, up_since: datetime | None = None) -> None:
        """`up_since`: from when on it is known that gateways were up; None: from now on."""
        self.world = world
        self.shelf = UnitShelf(world)
        self.observation = Observation(world, self.shelf)
        self.releases = Releases(world, self.shelf, self.observation)
        self.drills = Drills(world, self.shelf)
        self.windows = Windows(world, self.observation, self.releases, up_since or world.now())
        self.stopping = Stopping(world, self.shelf, self.releases)
        self.remedies = Remedies(world, self.releases, self.stopping)
        self.effects = Effects(world, self.observation)
        self.forgetting = Forgetting(world, self.observation)
        self.aliases = Aliases(world)
        self._signalled: Signalled | None = None
        self._started = world.now()
        self._supervised = self._started
        self._begun = self._started
        """The tick under way, or the last one."""
        self._found: frozenset[str] = frozenset()
        self._looked = self._started
        """For orders: while a run trains in this process, or a machine sleeps, nobody does."""
        self.untold: Trouble | None = None
        """Of ticks, which the ledger did not take: whoever asks for the state of the project would not hear of it."""
        self.switch = SwitchReading("none", (), "not looked yet")

    def start(self, owner: str) -> None:
        """Take over; nothing is resumed from memory, the next tick reads what is there."""
        self.world.take_over(owner)
        self.releases.attending.begin(self.releases.active())
        note_spec(self.world)
        note_clock(self.world)
        questions.close_the_dead(self.world)
        traffic.find_packages(self.world, self.shelf)
        traffic.outnumber(self.world)
        self.forgetting.move()
        self._found = frozenset(command.id for command in commands.open_commands(self.world))

    def supervises(self) -> bool:
        """Whether traffic was looked after lately, by who can record what follows; if not, the lease is not renewed and gateways take canaries to 0."""
        unwritten = self.world.unwritten
        if unwritten is not None and unwritten.last - unwritten.first >= UNWRITTEN:
            return False
        return self.world.now() - self._supervised < UNATTENDED

    def tick(self) -> None:
        """One turn of the loop. A stage that fails does not keep the others from theirs: a registry that is away must not hold up a rollback.

        Raises Fenced at once when a newer controller has taken over, and at the end the error of the first stage that failed.
        """
        trouble: list[Exception] = []
        self._catch_up()
        self._forget_old_refusals()
        _try(self.releases.follow, trouble)
        whole = _try(self.observation.ingest, trouble)
        _try(self._work_on_jobs, trouble)
        _try(self._carry_out_orders, trouble)
        _try(self._propose_what_was_registered, trouble)
        if _try(self._reconcile_traffic, trouble):
            self._supervised = self.world.now()
            # Only now: who can look and not decide (a full ledger, say) must not keep a canary its share.
            if self.supervises():
                _try(self.world.ports.gateways.renew_lease, trouble)
        _try(self.releases.tell_trouble, trouble)
        if whole:  # a window is closed once: never on the part of its records that could be read
            _try(self._close_windows, trouble)
            _try(self.effects.look, trouble)
            _try(self.forgetting.look, trouble)
        judged = self._signalled is not None
        _try(self._apply_remedies, trouble)
        _try(partial(self.aliases.reconcile, busy=judged), trouble)
        tell_first(trouble)

    def _catch_up(self) -> None:
        """A machine that was paused for days, or began with a wrong clock, would stamp rows with it for weeks: gateways go by this clock. A release counts time, so
        while one is under way a clock that was set is followed slowly."""
        if self.releases.active() is None and (ahead := self.world.ports.clock.catch_up()):
            whole = timedelta(seconds=round(ahead.total_seconds()))
            self.world.say(
                "bad",
                f"the machine's clock was set ahead of this process's: it is {format_duration(whole)} later than was known",
            )

    def _forget_old_refusals(self) -> None:
        """A round in which no write failed ends the stretch, though nothing was to be written in it."""
        unwritten, before = self.world.unwritten, self._begun
        self._begun = self.world.now()
        if unwritten is not None and unwritten.last < before:
            self.world.unwritten = None

    def _work_on_jobs(self) -> None:
        trouble: list[Exception] = []
        found = jobs.active(self.world)
        for job in found:
            _try(partial(jobs.advance, self.world, self.shelf, job), trouble)
        if found and not jobs.active(self.world):
            _try(self.world.ports.executor.tidy, trouble)
        tell_first(trouble)

    def _carry_out_orders(self) -> None:
        orders, now = commands.open_commands(self.world), self.world.now()
        if now - self._looked >= binding.STANDS:
            self._found = frozenset(command.id for command in orders)
        self._looked = now
        for command in orders:
            newer = command.ordered_at is not None and command.ordered_at > self._started
            if newer and command.spec_digest != self.world.spec_digest:
                raise Outdated(f"{command.id} was ordered under another flyball.yaml than this process has read")
            commands.carry_out(self.world, commands.Hands(self.releases, self.drills, self.stopping, self._found), command)

    def _close_windows(self) -> None:
        trouble: list[Exception] = []
        self._signalled = self.windows.close(trouble)
        tell_first(trouble)

    def _apply_remedies(self) -> None:
        signalled, self._signalled = self._signalled, None
        self.remedies.consider(signalled)
        if signalled is not None:
            self._reconcile_traffic()

    def run_job(self, job: Job, pause: Callable[[float], None], each: Callable[[Job], None] | None = None) -> Job:
        """Work on one job until it is finished, in the foreground."""
        while True:
            standing = self.world.get("job", job.id, Job) or job
            if each is not None:
                each(standing)
            moved = jobs.advance(self.world, self.shelf, standing)
            if moved.status in FINISHED:
                return moved
            pause(0.1)

    def _propose_what_was_registered(self) -> None:
        last = jobs.last_registered(self.world)
        if traffic.stop_of(self.world) is not None:
            return  # without traffic there is nothing to judge it by
        unit: Unit | None = jobs.unit_of_job(self.world, last) if last is not None else None
        if last is None or unit is None or jobs.release_of(last, self.world.all("release", ReleaseState)) is not None:
            return
        self.releases.propose(unit.id, last.cause, last.id)

    def _reconcile_traffic(self) -> None:
        traffic.declare(self.world, self.shelf)
        traffic.divide(self.world, self.releases.active())
        for _ in range(MOVES_PER_TICK):
            self.switch = traffic.reconcile(self.world)
            self.stopping.note(self.switch)
            if not self.releases.advance(self.switch) and not self.drills.advance(self.switch):
                return
