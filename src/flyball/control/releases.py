"""Releases: open one, look at its evidence, move it on, and believe only what the gateways are seen to serve."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Literal

import msgspec

import flyball.release.decide as release_room
from flyball.control import decisions, looks, openings, questions, tenure, way_back
from flyball.control.attending import Attending, blind
from flyball.control.drills import standing_drill
from flyball.control.measuring import Measuring
from flyball.control.observe import Observation
from flyball.control.replaying import Replaying
from flyball.control.standing import puts_of
from flyball.control.traffic import SwitchReading, Unserved, routing_put, stop_of, tripped, wanted
from flyball.control.units import UnitShelf
from flyball.control.world import World, draft, micros, put
from flyball.errors import ArtifactDamaged, Conflict, Fenced, NotFound
from flyball.records import codec
from flyball.records.decisions import Action
from flyball.records.events import Draft, Put
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.records.release import TERMINAL, Champion, Phase, ReleaseState, Replayed
from flyball.release import state as states

UPWARD = frozenset({"enter", "weigh", "settle"})
"""Moves that need the challenger's package."""


class Releases:
    """The releases of one model, reconciled."""

    def __init__(self, world: World, shelf: UnitShelf, observation: Observation) -> None:
        self._world = world
        self._shelf = shelf
        self._observation = observation
        self._unserved = Unserved()
        self._measuring = Measuring(world, shelf, observation)
        self._replaying = Replaying(world, shelf, observation)
        self._trouble: Exception | None = None
        self.attending = Attending(world)
        self.waiting_for = ""
        """Why the open release does not move, in words."""
        self._unmoved: dict[str, datetime] = {}
        """The open release, and when a look did not move it: its own look at the end of its watch comes before a newer one."""

    def active(self) -> ReleaseState | None:
        """The release under way."""
        open_ones = [release for release in self._world.all("release", ReleaseState) if release.phase not in TERMINAL]
        return open_ones[-1] if open_ones else None

    def champion(self) -> Champion | None:
        return self._world.get("champion", self._world.model, Champion)

    def propose(self, unit: str, cause: str, job: str = "") -> ReleaseState | None:
        """Open a release of `unit`, the result of `job`. None: it answers already, no route can hold it beside the champion, or another release has not ended
        (one that was watched for as long as it must be, or whose successor a person made, is settled for it, and a first one that no gateway serves gives way)."""
        champion, active = self.champion(), self.active()
        if (champion is not None and champion.unit == unit) or openings.is_apart(self._world, self._shelf, champion, unit):
            return None
        if active is not None:
            if openings.gives_way(self._world, active, unit):
                # The newer one follows when it is seen to be gone, as after any way back: a gateway may start from the table that names it.
                words = f"superseded by version {self._shelf.unit(unit).version}, before any gateway served it"
                self._apply(msgspec.structs.replace(active, superseded=True), way_back.order(active, words), (), words)
                return None
            of_person, looked = openings.is_of_person(self._world, job), self._unmoved.get(active.id)
            if active.challenger == unit or not openings.may_be_followed(self._world, active, looked, by_person=of_person):
                return None
            why = openings.followed(self._world, active, job)
            self._apply(active, Action(kind="settle", subject=f"release:{active.id}"), (), why)
        now = self._world.now()
        number, counter = self._world.number("release")
        found = states.open_release(f"r-{number:04d}", self._world.model, unit, champion.unit if champion else None, now, cause)
        opened = msgspec.structs.replace(found, job=job)
        self._world.record(
            draft(now, "release.opened", f"release:{opened.id}", codec.plain(opened), (counter, put("release", opened.id, opened)))
        )  # fmt: skip
        openings.tell_narrower(self._world, self._shelf, champion, unit)
        self.follow()  # it is looked at in this very tick, and not by what was counted for the one before
        return opened

    def follow(self) -> None:
        """Let what is captured from here on be counted for the release under way."""
        active, policy = self.active(), release_room.policy_of(self._world.spec)
        opened_us = micros(active.opened_at) if active else 0
        # Where no guard asks what users got of both, nothing is kept of it.
        compared = active if any(rule.shown for rule in policy.guards) else None
        self._observation.release_tally.follow(compared, opened_us, policy.both_answer)
        self._observation.members.follow(active, opened_us)

    def tell_trouble(self) -> None:
        """Raise what kept a release from being measured, once it was looked after in spite of it."""
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble
        self._measuring.tell_trouble()

    def advance(self, switch: SwitchReading) -> bool:
        """One look. True: something moved, so that another look at once may move more."""
        self.attending.note(self.active(), switch)
        release = self.active()
        self._count_look(release, switch)
        if release is None:
            return False
        if stop_of(self._world) is not None:
            self.waiting_for = (
                f"{release.challenger} waits in {release.phase.value}: the model is stopped, so that nobody is seen to answer."
            )
            return False
        switch = self.attending.seen(release, switch)
        seen = self._note_switch(release, switch)
        if seen is not release or self._turned_late(release):
            return True
        situation = self._situation(release, switch)
        release = situation.release
        policy = release_room.policy_of(self._world.spec)
        now = self._world.now()
        plan = decisions.decide("release", situation, policy, now)
        self.waiting_for = plan.rationale
        noted = looks.noted(self._world, (situation, policy, now), plan)
        if not plan.actions:
            self._unmoved = {release.id: now}
            if noted is not None:
                self._world.record(noted)
            return False
        if noted is not None:  # before the decision, in its transaction: what has passed must be known where it moves on
            release = codec.revive(noted.puts[-1].value, ReleaseState)
        action = plan.actions[0]
        try:
            states_after = self._puts(release, action, plan.rationale)
        except (ArtifactDamaged, NotFound):
            instead = self._instead(release, action)
            if instead is None:
                raise
            if noted is not None:
                self._world.record(noted)
            return instead()
        made = decisions.prepare(self._world, "release", (situation, policy, now), plan, states_after)
        approval = questions.opened(self._world, made.decision, action, made.decision.id) if action.kind == "ask" else ()
        move = msgspec.structs.replace(made.draft, puts=(*made.draft.puts, *approval))
        self._world.record(*((noted, move) if noted is not None else (move,)), *self._voided(release, action, plan.rationale))
        self._world.say("decision", f"{made.decision.id} release {release.id}: {plan.rationale}")
        self._unserved.forget()
        return True

    def _instead(self, release: ReleaseState, action: Action) -> Callable[[], bool] | None:
        """What to do where a package is lacking for a move. None: a person must look."""
        gone = self._gone(release)
        if action.kind in UPWARD and gone:
            words = f"the package of {release.challenger} is not whole: {gone}"
            return partial(self._give_up, release, way_back.order(release, words), words)
        if action.kind != "roll_back" or release.phase not in way_back.ALL_TRAFFIC:
            return None
        why = str(action.arguments["reason"])
        turned = way_back.turned(release, self.earlier(self.champion()), why)
        if turned is not None:
            return partial(self._give_up, turned, way_back.order(turned, turned.reason, release.champion), turned.reason)
        return None if gone else partial(self._stay, release, why)

    def _turned_late(self, release: ReleaseState) -> bool:
        """Where gateways cannot load what they are to go back to, and its package is seen to be lost: it would never end."""
        stuck = release.phase is Phase.ROLLING_BACK and self._unserved.stuck
        if not stuck or not way_back.is_out_of_reach(self._world, self._shelf, release):
            return False
        turned = way_back.turned(release, self.earlier(self.champion()), release.reason)
        if turned is not None:
            return self._give_up(turned, way_back.order(turned, turned.reason, release.champion), turned.reason)
        # A challenger that not all gateways had taken was never champion, and becomes none like this.
        return self._answers(release) and not self._gone(release) and self._stay(release, release.reason)

    def _stay(self, release: ReleaseState, why: str) -> bool:
        """Nobody is there to go back to: it is told, and the release ends with its challenger, if that is seen to answer already."""
        words = way_back.stays(release, why)
        finding = way_back.finding(release, words, self._world.now())
        if self._world.get("finding", finding.id, Finding) is None:
            self._raise(finding, f"release {release.id}")
        if not self._answers(release):
            self.waiting_for = words
            return False
        self._apply(msgspec.structs.replace(release, reason=words), way_back.end(release, words), (), words)
        self._unserved.forget()
        return True

    def _answers(self, release: ReleaseState) -> bool:
        champion = self.champion()
        return champion is not None and champion.unit == release.challenger

    def _gone(self, release: ReleaseState) -> str:
        """Why the challenger cannot be served; empty: it can, or it is the first of its model, and there is nobody to go back to."""
        if release.champion is None and self.champion() is not None:
            return ""
        try:
            self._shelf.served(release.challenger)
        except (ArtifactDamaged, NotFound) as error:
            return error.message
        return ""

    def _give_up(self, release: ReleaseState, action: Action, words: str) -> bool:
        """It could never move on, and nothing newer would be released."""
        self._apply(release, action, (), words, f"given up:{release.id}:{release.champion}")
        self._world.say("bad", f"{release.id} is rolled back: {words}")
        self._unserved.forget()
        return True

    def earlier(self, champion: Champion | None) -> tuple[str, ...]:
        """Verified units that it could be gone back to, newest last: what is not whole on this machine answers nobody."""
        verified = champion.verified if champion is not None else ()
        return tuple(unit for unit in verified if champion is not None and unit != champion.unit and self._shelf.holds(unit))

    def roll_back(self, reason: str, cause: str, *, key: str | None = None, to: str = "") -> ReleaseState | None:
        """Roll the open release back, or, when all is settled, open one that goes back to the last verified unit. None: there is none to go to.

        `cause`: the person or the decision that says so, and the actor of the move.
        `to`: the only one that may be gone to in place of one that has lost its package; empty: any. Raises Conflict where that has, and none is whole."""
        if key is not None and (done := self.moved_by(key)) is not None:
            return done
        active, champion = self.active(), self.champion()
        # A first release that was never seen at the gateways goes back to nobody; once it is champion there must be an earlier one.
        if active is not None and (active.champion is not None or champion is None):
            return self._back(active, way_back.order(active, reason, by=cause), key, to)
        if champion is None:
            return None
        earlier = self.earlier(champion)
        if not earlier:
            return None
        number, counter = self._world.number("release")
        now = self._world.now()
        opened = states.open_release(f"r-{number:04d}", self._world.model, champion.unit, earlier[-1], now, cause)
        return self._apply(opened, way_back.order(opened, reason, by=cause), (counter,), reason, key)

    def _back(self, active: ReleaseState, order: Action, key: str | None, to: str) -> ReleaseState:
        reason, by = str(order.arguments["reason"]), str(order.arguments["by"])
        try:
            # Also where it goes back already: the order is noted, so that it is not taken for a new one once this release has ended.
            return self._apply(active, order, (), reason, key)
        except (ArtifactDamaged, NotFound):
            if active.phase not in way_back.ALL_TRAFFIC:
                raise
            turned = way_back.turned(active, self.earlier(self.champion()), reason)
            if turned is None or to not in {"", turned.champion}:
                raise way_back.refusal(active, turned) from None
            return self._apply(turned, way_back.order(turned, turned.reason, active.champion, by=by), (), turned.reason, key)

    def hold(self, reason: str, by: str, *, key: str) -> ReleaseState:
        """Stop the open release where it is: the champion answers alone. Raises Conflict when there is none, or it is too late to be held."""
        return self._ordered("hold", {"reason": f"held by {by}: {reason}".removesuffix(": "), "by": by}, key)

    def resume(self, reason: str, by: str, *, key: str) -> ReleaseState:
        """Let a held release start again: what was seen so far still counts, its phases begin anew. Raises Conflict."""
        words = f"let start again by {by}: {reason}".removesuffix(": ")
        return self._ordered("enter", {"phase": Phase.PROPOSED.value, "reason": words, "by": by}, key)

    def _ordered(self, kind: str, arguments: dict[str, str], key: str) -> ReleaseState:
        if (done := self.moved_by(key)) is not None:
            return done
        active = self.active()
        if active is None:
            raise Conflict("no release is under way", next_step="flyball release list")
        if kind == "hold" and active.phase is Phase.HELD:
            raise Conflict(f"{active.id} is held already", next_step="flyball release resume, or flyball rollback")
        if kind == "enter" and active.phase is not Phase.HELD:
            raise Conflict(f"{active.id} is not held: it is in {active.phase.value}", next_step="flyball release status")
        action = Action(kind=kind, subject=f"release:{active.id}", arguments=arguments)
        return self._apply(active, action, (), arguments["reason"], key)

    def moved_by(self, key: str) -> ReleaseState | None:
        """The release that an order with this key has moved already."""
        for event in self._world.ports.ledger.events(kinds=("release.moved",)):
            if event.key == key:
                return self._world.get("release", event.subject.removeprefix("release:"), ReleaseState)
        return None

    def _apply(
        self, release: ReleaseState, action: Action, puts: tuple[Put, ...], reason: str, key: str | None = None
    ) -> ReleaseState:
        """Carry out a move that somebody ordered, without a judgement of evidence."""
        payload = {"action": codec.plain(action), "reason": reason, "from": release.phase.value}
        states_after, by = (*puts, *self._puts(release, action, reason)), str(action.arguments.get("by", "control"))
        self._world.record(
            draft(self._world.now(), "release.moved", f"release:{release.id}", payload, states_after, key=key, actor=by),
            *self._voided(release, action, reason),
        )  # fmt: skip
        return self._world.get("release", release.id, ReleaseState) or release

    def _voided(self, release: ReleaseState, action: Action, reason: str) -> tuple[Draft, ...]:
        """What it has asked so far and nobody answered. Another share within a step (`weigh`) leaves the question as it is."""
        if action.kind == "weigh":
            return ()
        told = {
            "ask": f"it is asked under other rules: {reason}",
            "hold": f"{release.id} is {reason}",
            "roll_back": f"{release.id} is rolled back: {reason}",
        }
        return questions.voided(self._world, release.id, told.get(action.kind, f"{release.id} goes on: {reason}").rstrip("."))

    def _puts(self, release: ReleaseState, action: Action, reason: str) -> tuple[Put, ...]:
        """The states after an action, with the routing that follows from them: one transaction."""
        if action.kind == "ask":
            return ()
        now = self._world.now()
        # Why it was taken back is worth more to who reads it later than that it was seen to be gone.
        lasting = release.reason if release.phase is Phase.ROLLING_BACK and release.reason else reason
        moved = msgspec.structs.replace(states.advance(release, action, now), reason=lasting)
        champion = self.champion()
        puts: list[Put] = [put("release", moved.id, moved)]
        if moved.phase is Phase.ROLLED_BACK and moved.champion is not None:
            champion = self._gone_back(champion, moved)
            puts += tenure.puts_of(self._world, champion)
        return (*puts, *routing_put(self._world, self._shelf, champion, moved))

    def _gone_back(self, champion: Champion | None, release: ReleaseState) -> Champion:
        """The champion after a rollback: the unit that was taken back is no longer among the verified ones."""
        verified = tuple(unit for unit in (champion.verified if champion else ()) if unit != release.challenger)
        back = release.champion or ""
        since = champion.since if champion and champion.unit == back else self._world.now()
        return Champion(model=self._world.model, unit=back, since=since, release=release.id, verified=verified)

    def _note_switch(self, release: ReleaseState, switch: SwitchReading) -> ReleaseState:
        """Record that the gateways were seen to serve this phase, once; the champion changes hands here and nowhere else."""
        now = self._world.now()
        seen = states.verified(release, now)
        if switch.state != "verified" or seen is release:
            return release
        puts: list[Put] = [put("release", seen.id, seen)]
        if seen.phase is Phase.FULL and release.verified_at is None:
            champion = self.champion()
            verified = tuple(u for u in (champion.verified if champion else ()) if u != seen.challenger)
            taken = Champion(
                model=self._world.model, unit=seen.challenger, since=now, release=seen.id, verified=(*verified, seen.challenger)
            )  # fmt: skip
            puts += tenure.puts_of(self._world, taken)
        self._world.record(
            draft(now, "release.verified", f"release:{seen.id}", {"phase": seen.phase.value, "words": switch.words}, puts)
        )
        if seen.phase is Phase.FULL:
            self._world.say(
                "good", f"{seen.challenger} (version {self._shelf.unit(seen.challenger).version}) is champion: {switch.words}"
            )
        return seen

    def _count_look(self, release: ReleaseState | None, switch: SwitchReading) -> None:
        """Looks in a row at which what is served is not what is wanted, with a release under way or without. A drill counts its own."""
        harmless = release is None and (standing_drill(self._world) is not None or not switch.astray)
        if switch.state != "pending" or harmless:
            self._unserved.forget()
        elif self._unserved.count(switch):
            self._escalate(release, switch.words)

    def _escalate(self, release: ReleaseState | None, words: str) -> None:
        now, champion, table, looks = self._world.now(), self.champion(), wanted(self._world), self._unserved.looks
        unit = release.challenger if release else (champion.unit if champion else "")
        where = f"{release.id}-{release.phase.value}-{release.step}" if release else f"revision-{table.revision if table else 0}"
        to = release.phase.value if release else f"{unit} alone"
        finding = Finding(
            id=f"f-switch-{where}", kind=FindingKind.SERVING, model=self._world.model,
            unit=unit, subject="switch", window_start=release.entered_at if release else now, window_end=now, effect=1.0,
            effect_unit="switches", evidence=Evidence(name="switch_verified", value=0.0, n=looks, unit="looks"),
            share_of_budget=None, words=f"the switch to {to} was not seen at the gateways in {looks} looks: {words}",
        )  # fmt: skip
        self._raise(finding, f"release {release.id}" if release else f"model {self._world.model}")

    def _raise(self, finding: Finding, subject: str) -> None:
        puts = puts_of(self._world, (finding,))
        self._world.record(draft(finding.window_end, "finding.raised", f"finding:{finding.id}", {}, puts, key=finding.id))
        self._world.ports.notifier.notify(subject, finding.words)
        self._world.say("bad", finding.words)

    def _situation(self, release: ReleaseState, switch: SwitchReading) -> release_room.ReleaseSituation:
        seen: Literal["verified", "pending", "failed"] = "failed" if self._unserved.stuck else "pending"
        if switch.state == "verified" or (release.phase is Phase.ROLLING_BACK and wanted(self._world) is None):
            # A first release that was taken back before it had a route: nothing is wanted, so nothing needs to be seen.
            seen = "verified"
        policy = release_room.policy_of(self._world.spec)
        found = self._measuring.look(release, policy)
        replayed = self._replayed(release, policy)
        rules = codec.digest(policy) if policy.approval else ""
        if found.began_young or found.ripe_us is not None:
            release = msgspec.structs.replace(release, ripe_us=found.ripe_us, began_young=found.began_young)
        return release_room.ReleaseSituation(
            release=release, requests_in_phase=found.requests_in_phase, labels=found.labels, evidence=found.evidence, withheld=self.attending.withholds(release, switch),
            switch=seen, approval=questions.answer_to(self._world, release, rules), rules=rules, rewards=found.rewards,
            replayed=replayed, tripped=tripped(switch, release), unripe=found.unripe, blind=blind(self._observation.unread_since, self._world.now()),
        )  # fmt: skip

    def _replayed(self, release: ReleaseState, policy: release_room.ReleasePolicy) -> Replayed | None:
        """Of a release that is to be asked captured requests first; None, too, while it cannot be: that has a deadline."""
        if release.phase is not Phase.PROPOSED:
            return None
        try:
            return self._replaying.of(release, policy.replay)
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001 - told at the tick's end, and asked again at the next one
            self._trouble = error
            return None
