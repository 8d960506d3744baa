"""Twins of the product with one safeguard taken out: what the simulation could not tell from the real one, it would not be testing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
from tests.simulation.gateways import Fleet, Worker

import flyball.control.commands as commands_module
import flyball.control.releases as releases_module
import flyball.control.traffic as traffic_module
import flyball.release.decide as decide_module
import flyball.release.state as states_module
from flyball.adapters.clock import SystemClock
from flyball.adapters.ledger.head_file import HeadFile
from flyball.adapters.ledger.memory import MemoryLedger
from flyball.adapters.ledger.sqlite import SqliteLedger
from flyball.control.releases import Releases
from flyball.control.world import World
from flyball.records.evidence import Outcome
from flyball.records.routing import RoutingTable

Patch = Callable[[Any, str, Any], None]


def no_epoch_check(patch: Patch) -> None:
    """Whoever was taken over from goes on writing."""
    patch(World, "record", lambda self, *drafts: self.ports.ledger.transact(drafts))


def a_stale_table_wins_at_a_worker(patch: Patch) -> None:
    patch(Worker, "goes_back", lambda _self: True)


def a_stale_table_wins_on_the_disk(patch: Patch) -> None:
    patch(Fleet, "overwrites", lambda _self: True)


def a_state_without_its_event(patch: Patch) -> None:
    """Routing is put into the projection past the entry that should say so."""
    place = MemoryLedger._place

    def placed(self: MemoryLedger, texts: Any) -> Any:
        kept = [put for put in msgspec.json.decode(texts.puts) if put["kind"] != "routing"]
        before = dict(self.projection)
        entry = place(self, texts._replace(puts=msgspec.json.encode(kept).decode()))
        assert before is not self.projection
        return entry

    patch(MemoryLedger, "_place", placed)


def an_event_without_its_state(patch: Patch) -> None:
    """The entry is there, what it puts is lost: a transaction that was torn."""
    place = MemoryLedger._place

    def placed(self: MemoryLedger, texts: Any) -> Any:
        return place(self, texts._replace(states=texts.states[:-1] if len(self.entries) % 17 == 16 else texts.states))

    patch(MemoryLedger, "_place", placed)


def two_transactions_instead_of_one(patch: Patch) -> None:
    """The release moves, and the routing that follows from it is written afterwards."""

    def recorded(self: World, *drafts: Any) -> Any:
        events: list[Any] = []
        for each in drafts:
            for parts in ([p for p in each.puts if p.kind != "routing"], [p for p in each.puts if p.kind == "routing"]):
                if parts or not each.puts:
                    key = each.key if not events else None
                    events += self.ports.ledger.transact(
                        [msgspec.structs.replace(each, puts=tuple(parts), key=key)], epoch=self.epoch
                    )
        return tuple(events)

    patch(World, "record", recorded)


def published_before_it_is_recorded(patch: Patch) -> None:
    def recorded(self: World, *drafts: Any) -> Any:
        for each in drafts:
            for put in each.puts:
                if put.kind == "routing":
                    self.ports.gateways.publish(msgspec.convert(put.value, RoutingTable))
        return self.ports.ledger.transact(drafts, epoch=self.epoch)

    patch(World, "record", recorded)


def believed_without_looking(patch: Patch) -> None:
    """What was published counts as served."""

    def reconcile(world: World) -> Any:
        table = traffic_module.wanted(world)
        if table is None:
            return traffic_module.SwitchReading("none", (), "nothing is released yet")
        world.ports.gateways.publish(table)
        return traffic_module.SwitchReading("verified", (), "it was published")

    patch(traffic_module, "reconcile", reconcile)


def the_workers_word_is_enough(patch: Patch) -> None:
    """The digest of the table without the fingerprints of the loaded bytes."""
    patch(traffic_module, "serves", lambda report, table: not report.error and report.digest == table.digest)


def one_worker_is_enough(patch: Patch) -> None:
    look = traffic_module._look

    def replaced(world: World, table: RoutingTable) -> Any:
        reading = look(world, table)
        some = reading.state == "pending" and len(reading.behind) < len(reading.reports)
        return msgspec.structs.replace(reading, state="verified") if some else reading

    patch(traffic_module, "_look", replaced)


def no_gateway_counts_as_served(patch: Patch) -> None:
    look = traffic_module._look

    def hopeful(world: World, table: RoutingTable) -> Any:
        reading = look(world, table)
        return msgspec.structs.replace(reading, state="verified") if reading.state == "none" else reading

    patch(traffic_module, "_look", hopeful)


def a_rollback_is_done_when_it_is_ordered(patch: Patch) -> None:
    situation = Releases._situation

    def trusting(self: Releases, release: Any, switch: Any) -> Any:
        seen = situation(self, release, switch)
        return msgspec.structs.replace(seen, switch="verified") if release.phase == "rolling_back" else seen

    patch(Releases, "_situation", trusting)


def orders_without_a_key(patch: Patch) -> None:
    """An order that is carried out and not yet marked so when its controller dies is carried out again."""

    def anonymous(*arguments: Any, **named: Any) -> Any:
        return original(*arguments, **{**named, "key": None} if str(named.get("key", "")).startswith("command:") else named)

    original = releases_module.draft
    patch(releases_module, "draft", anonymous)
    patch(commands_module.jobs, "draft", anonymous)


def no_data_is_a_pass(patch: Patch) -> None:
    judge = decide_module.judge

    def lenient(*arguments: Any) -> Any:
        verdict = judge(*arguments)
        return msgspec.structs.replace(verdict, outcome=Outcome.PASS) if verdict.outcome is Outcome.INCONCLUSIVE else verdict

    patch(decide_module, "judge", lenient)
    patch(decide_module, "_too_early", lambda _view, _verdict: False)


def harm_is_a_pass(patch: Patch) -> None:
    judge = decide_module.judge

    def blind(*arguments: Any) -> Any:
        verdict = judge(*arguments)
        return msgspec.structs.replace(verdict, outcome=Outcome.PASS) if verdict.outcome is Outcome.FAIL else verdict

    patch(decide_module, "judge", blind)


def no_deadline(patch: Patch) -> None:
    give_up = decide_module._wait_or_give_up
    patch(
        decide_module, "_wait_or_give_up", lambda view, rule, waits, _deadline: give_up(view, rule, waits, timedelta(days=9999))
    )


def no_waiting_time(patch: Patch) -> None:
    patch(decide_module, "_waits_for_time", lambda _view, _at_least: [])


def a_decision_of_the_moment(patch: Patch) -> None:
    """Its words hold something that was not recorded."""
    counter = iter(range(10**9))
    hold_ = decide_module._plan

    def fickle(view: Any, actions: Any, rule: str, rationale: str) -> Any:
        return hold_(view, actions, rule, f"{rationale} (look {next(counter)})")

    patch(decide_module, "_plan", fickle)


def the_clock_is_believed(patch: Patch) -> None:
    """A clock that is set by hours moves a phase by hours."""
    patch(SystemClock, "now", lambda self: max(self._last, self._wall()))


def the_phase_of_a_wrong_clock_is_kept(patch: Patch) -> None:
    """A phase that began ten years from now, before a clock was set right, ends ten years from now."""
    patch(
        states_module, "verified", lambda seen, now: seen if seen.verified_at else msgspec.structs.replace(seen, verified_at=now)
    )


def the_head_stays_behind(patch: Patch) -> None:
    """The head outside the database is not moved."""
    patch(HeadFile, "write", lambda _self, _head: None)


def the_epoch_is_not_kept(patch: Patch) -> None:
    """On the files: the fence is asked for and not compared."""
    transact = SqliteLedger.transact
    patch(SqliteLedger, "transact", lambda self, drafts, **_epoch: transact(self, drafts))


class Mutant(NamedTuple):
    """What is taken out, and the worlds in which it ought to show soonest."""

    take_out: Callable[[Patch], None]
    always: tuple[str, ...] = ()
    """Kinds of trouble."""
    on_disk: bool = False


MUTANTS = {
    mutant.take_out.__name__: mutant
    for mutant in (
        Mutant(no_epoch_check), Mutant(a_stale_table_wins_at_a_worker, ("disk",)),
        Mutant(a_stale_table_wins_on_the_disk, ("old publish",)), Mutant(a_state_without_its_event), Mutant(an_event_without_its_state),
        Mutant(two_transactions_instead_of_one), Mutant(published_before_it_is_recorded), Mutant(believed_without_looking, ("publish",)),
        Mutant(the_workers_word_is_enough, ("bytes",)), Mutant(one_worker_is_enough, ("deaf",)),
        Mutant(no_gateway_counts_as_served, ("fleet",)), Mutant(a_rollback_is_done_when_it_is_ordered, ("deaf",)),
        Mutant(orders_without_a_key), Mutant(no_data_is_a_pass, ("labels",)), Mutant(harm_is_a_pass), Mutant(no_deadline),
        Mutant(no_waiting_time), Mutant(a_decision_of_the_moment), Mutant(the_clock_is_believed, ("clock",)),
        Mutant(the_phase_of_a_wrong_clock_is_kept, ("clock",)), Mutant(the_head_stays_behind, (), on_disk=True),
        Mutant(the_epoch_is_not_kept, (), on_disk=True),
    )
}  # fmt: skip


@contextmanager
def mutated(name: str) -> Iterator[None]:
    undo = SimpleNamespace(steps=[])

    def patch(owner: Any, attribute: str, value: Any) -> None:
        undo.steps.append((owner, attribute, getattr(owner, attribute)))
        setattr(owner, attribute, value)

    MUTANTS[name].take_out(patch)
    try:
        yield
    finally:
        for owner, attribute, value in reversed(undo.steps):
            setattr(owner, attribute, value)
