"""The autopilot's turn: look at the signals under the policies, decide, and see to it that what was decided is done once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

import flyball.autopilot.decide as autopilot
from flyball.autopilot import actions
from flyball.autopilot.past import kept, needed
from flyball.control import bounds, decisions, diagnoses, jobs, questions, tournaments
from flyball.control.releases import Releases
from flyball.control.standing import standing
from flyball.control.stopping import Stopping
from flyball.control.todos import OPENED, QUESTION, Todo
from flyball.control.traffic import stop_of
from flyball.control.unforeseen import tell_first
from flyball.control.windows import SignalHistory, Signalled, SignalsAt
from flyball.control.world import World, draft, put
from flyball.errors import Conflict, Fenced
from flyball.records import codec
from flyball.records.decisions import VOID, Action, Approval, Decision
from flyball.records.events import Put
from flyball.records.findings import Finding, FindingKind
from flyball.records.release import Champion

FINDINGS_TOLD, LONGEST_TOLD = 3, 200
"""In a notification: how many of the standing findings, and characters of each."""

_OF_NO_MODEL = frozenset({FindingKind.OPERATIONS, FindingKind.SERVING, FindingKind.DATA_QUALITY})
"""Findings that say nothing of whether the model is still right."""
_OF_DRIFT = frozenset({FindingKind.FEATURE_DRIFT, FindingKind.PREDICTION_DRIFT, FindingKind.JOINT_DRIFT})
APPROVED = ".approved"
"""Behind the question's id: what a person said yes to."""
REPLAY_LOOKS = timedelta(hours=1)
"""How often the autopilot's turn comes in a replay."""


class Acts(msgspec.Struct, frozen=True, kw_only=True):
    """What policies did."""

    past: tuple[autopilot.PastAction, ...] = ()
    last_nothing: str = ""
    """What the last recorded decision to do nothing was about: it is recorded when it changes, not at every window."""


class _Came(NamedTuple):
    """What something to do came to."""

    words: str
    acted: bool = True
    tell: bool = False
    """A person has to know of it."""


class Remedies:
    def __init__(self, world: World, releases: Releases, stopping: Stopping) -> None:
        self._world = world
        self._releases = releases
        self._stopping = stopping
        self._policy = autopilot.policy_of(world.spec)
        self._settled: set[str] = set()
        """Approvals that nothing more follows from: of all that was ever agreed to, only what is new is looked for among the events."""

    def consider(self, signalled: Signalled | None) -> None:
        """Do what is still to be done; then, when a window of the champion closed, look anew."""
        self._close_what_is_pointless()
        self._take_answers()
        trouble = self._do_what_is_open()
        if signalled is not None:
            self._look(signalled)
            trouble = self._do_what_is_open()
        tell_first(trouble)

    def _look(self, signalled: Signalled) -> None:
        """The signals are recorded with what they led to: a crash leaves both or neither, so every window is looked at once."""
        situation, now = self._situation(signalled.history), self._world.now()
        plan = decisions.decide("autopilot", situation, self._policy, now)
        acts = self._world.get("acts", self._world.model, Acts) or Acts()
        done = [action for action in plan.actions if action.kind != "nothing"]
        nothing = (
            codec.digest([[a.arguments.get(name) for name in ("policy", "instead_of", "why")] for a in plan.actions])
            if plan.actions
            else ""
        )
        if not plan.actions or (not done and nothing == acts.last_nothing):
            self._world.record(signalled.draft)
            return
        past = tuple(
            autopilot.PastAction(
                policy=str(action.arguments["policy"]), action=action.kind, at=now, incidents=tuple(action.arguments.get("incidents", ()))
            )
            for action in done if action.kind != "open_breaker"
        )  # fmt: skip
        known = kept((*acts.past, *past), self._policy.rules, _numbers(situation.incidents), now)
        moved = Acts(past=known, last_nothing="" if done else nothing)
        inputs = (situation, self._policy, now)
        made = decisions.prepare(self._world, "autopilot", inputs, plan, (put("acts", self._world.model, moved),))
        puts: list[Put] = []
        for number, action in enumerate(done):
            asked_before = any(earlier.kind == "ask" for earlier in done[:number])
            puts += _puts_of(self._world, made.decision, (number, action), asked_before=asked_before)
            puts += bounds.opened(self._world, made.decision, action)
        self._world.record(signalled.draft, msgspec.structs.replace(made.draft, puts=(*made.draft.puts, *puts)))
        for line in plan.rationale.splitlines():
            self._world.say("decision", f"{made.decision.id} autopilot: {line}")

    def _situation(self, history: SignalHistory) -> autopilot.AutopilotSituation:
        world = self._world
        champion = world.get("champion", world.model, Champion)
        longest = max((rule.for_windows for rule in self._policy.rules), default=1)
        mine = [entry for entry in history.recent if champion is not None and _of_this_term(world, entry, champion)]
        running, release = jobs.active(world), self._releases.active()
        acts = world.get("acts", world.model, Acts) or Acts()
        did = {todo.decision: todo.action.kind for todo in world.all("todo", Todo) if todo.action.kind in autopilot.EXCLUSIVE}
        earlier = [unit for unit in champion.verified if unit != champion.unit] if champion else []
        incidents = diagnoses.open_incidents(world, champion)
        found, stop = _told(world, champion), stop_of(world)
        return autopilot.AutopilotSituation(
            signals_by_window=tuple(entry.signals for entry in _in_a_row(world, mine)[-longest:]),
            busy=running[0].id if running else (release.id if release else None),
            past=needed(acts.past, self._policy.rules, _numbers(incidents), world.now()),
            open_questions={
                str(each.action.arguments.get("policy", "")): each.approval.id for each in questions.of_policies(world)
            },
            champion=champion.unit if champion else None,
            previous_champion=earlier[-1] if earlier else None,
            breaker=bounds.breaker_of(world),
            ended=bounds.ended_acts(world, did),
            incidents=incidents,
            earlier=tournaments.earlier_units(world, champion),
            changed_since=_changed_since(found, mine),
            data_faults=_data_faults(found),
            stopped_since=stop.stopped_at if stop is not None else None,
            foreseen=mine[-1].foreseen if mine else None,
            most=bounds.autonomy_of(world).most,
            moves=bounds.champion_moves(world, did, self._policy.breaker, world.now()),
        )

    def _close_what_is_pointless(self) -> None:
        """Else its policy would wait for an answer for ever. It may ask anew at once, of whoever answers now: nothing was done."""
        world = self._world
        for asked in questions.of_policies(world):
            if why := questions.pointless(world, asked, self._policy):
                acts = world.get("acts", world.model, Acts) or Acts()
                past = tuple(act for act in acts.past if not _is_of(act, asked.approval, asked.action))
                moved = msgspec.structs.replace(acts, past=past)
                world.record(questions.closed(world, asked.approval, why, (put("acts", world.model, moved),)))

    def _take_answers(self) -> None:
        """An approved question becomes something to do, or an act of its policy where there is nothing to be done: once."""
        for approval in self._world.all("approval", Approval):
            if approval.answer != "approved" or approval.requested_by != "autopilot" or approval.id in self._settled:
                continue
            todo_id = f"{approval.id}{APPROVED}"
            if self._world.get("todo", todo_id, Todo) is None:
                self._take(approval, todo_id)
            self._settled.add(approval.id)

    def _take(self, approval: Approval, todo_id: str) -> None:
        decision, now = decisions.find(self._world, approval.decision), self._world.now()
        asked = decisions.asked_in(decision, approval) if decision is not None else None
        if asked is None:
            return
        nested: Any = asked.arguments.get("action")
        subject, payload = f"decision:{approval.decision}", {"decision": approval.decision, "by": approval.answered_by}
        if nested is not None:
            todo = Todo(id=todo_id, decision=approval.decision, action=codec.revive(nested, Action), asked=True, agreed_at=now)
            puts = (put("todo", todo_id, todo), put("acts", self._world.model, self._acted(approval, asked, now)))
            self._world.record(draft(now, "todo.opened", subject, payload, puts, key=f"opened:{todo_id}"))
        elif self._entered(approval, asked):
            # Of the answer's time: an earlier Flyball may have left it long ago without saying that the policy acted.
            acts = put("acts", self._world.model, self._acted(approval, asked, min(approval.answered_at or now, now)))
            self._world.record(draft(now, "approval.counted", subject, payload, (acts,), key=f"counted:{approval.id}"))

    def _entered(self, approval: Approval, asked: Action) -> bool:
        """Whether the question still counts from when it was asked."""
        acts = self._world.get("acts", self._world.model, Acts) or Acts()
        return any(_is_of(act, approval, asked) for act in acts.past)

    def _acted(self, approval: Approval, asked: Action, now: datetime) -> Acts:
        """The policy acts then, and not when it asked: people may take longer than a cooldown."""
        acts, said = self._world.get("acts", self._world.model, Acts) or Acts(), asked.arguments
        others = tuple(act for act in acts.past if not _is_of(act, approval, asked))
        act = autopilot.PastAction(
            policy=str(said.get("policy", "")),
            action=asked.kind,
            at=now,
            incidents=tuple(said.get("incidents", ())),
            agreed=True,
        )
        return msgspec.structs.replace(acts, past=(*others, act))

    def _not_acted(self, todo: Todo) -> tuple[Put, ...]:
        """Of a person's yes that led to nothing: its policy has not acted, as where a question is closed."""
        acts, policy = self._world.get("acts", self._world.model, Acts) or Acts(), todo.action.arguments.get("policy")
        past = tuple(act for act in acts.past if (act.policy, act.action, act.at) != (policy, "ask", todo.agreed_at))
        return (put("acts", self._world.model, msgspec.structs.replace(acts, past=past)),)

    def _do_what_is_open(self) -> list[Exception]:
        """What failed: it is tried again at the next tick, and keeps nothing else from its turn."""
        trouble: list[Exception] = []
        for todo in self._world.all("todo", Todo):
            try:
                came = None if todo.done else self._do(todo)
            except Fenced:
                raise
            except Exception as error:  # noqa: BLE001 - raised once all had their turn
                trouble.append(error)
                continue
            if came is not None:
                self._finish(todo, came)
        return trouble

    def _finish(self, todo: Todo, came: _Came) -> None:
        in_vain = todo.asked and not came.acted
        if in_vain or came.tell:
            self._world.ports.notifier.notify(todo.action.subject, came.words)
        finished = (put("todo", todo.id, msgspec.structs.replace(todo, done=True)), *(self._not_acted(todo) if in_vain else ()))
        payload = {"decision": todo.decision, "words": came.words}
        self._world.record(
            draft(self._world.now(), "todo.done", f"decision:{todo.decision}", payload, finished, key=f"done:{todo.id}")
        )  # fmt: skip

    def _do(self, todo: Todo) -> _Came | None:
        """Each with a key of its own: after a crash between the act and its mark, the act is found done. None: not now, look again later."""
        action = todo.action
        if action.kind in autopilot.EXCLUSIVE and not todo.asked and bounds.open_breaker(self._world) is not None:
            return _Came("it was not done: the breaker is open", acted=False)
        if action.kind in autopilot.TOURNAMENTS or action.kind == "retrain":
            # A person's yes may come while another one runs: one at a time.
            return None if todo.asked and jobs.active(self._world) else self._ask_for_a_job(todo)
        if action.kind == "roll_back":
            return self._go_back(todo)
        if action.kind == "stop":
            return self._stop(todo)
        said = str(action.arguments.get("message", "")) or self._why(todo)
        if QUESTION in action.arguments:
            return self._tell_of_question(todo, said)
        standing_now = _told(self._world, self._world.get("champion", self._world.model, Champion))
        found = "".join(f"; finding {each.number}: {each.words[:LONGEST_TOLD]}" for each in standing_now[-FINDINGS_TOLD:])
        self._world.ports.notifier.notify(action.subject, f"{said}{found}" + ("; see flyball findings --open" if found else ""))
        return _Came("a person was told")

    def _why(self, todo: Todo) -> str:
        """What a person is told where the policy has no message: its name, and what it saw."""
        decision = decisions.find(self._world, todo.decision)
        if decision is None:
            return f"decided by {todo.decision}"
        line = decisions.line_of(decision, str(todo.action.arguments.get("policy", "")))
        return f"{line.rstrip('.')} ({todo.decision})"

    def _tell_of_question(self, todo: Todo, said: str) -> _Came:
        """One that was answered before anybody could be told is none any more."""
        asked = self._world.get("approval", str(todo.action.arguments[QUESTION]), Approval)
        opened = todo.id.endswith(f".{OPENED}")
        if asked is not None and asked.answer is not None and (opened or asked.answer != VOID):
            return _Came("it was answered or closed already", acted=False)
        self._world.ports.notifier.notify(todo.action.subject, said)
        return _Came("a person was told of the question")

    def _ask_for_a_job(self, todo: Todo) -> _Came:
        said, champion, key = todo.action.arguments, self._releases.champion(), f"todo:{todo.id}"
        if faulty := self._may_not_fit(todo.action, champion, key):
            return _Came(f"{faulty}: nothing was done", acted=False)
        # An answer may come when that one is gone: of whoever answers then the policy decides anew. None: an earlier Flyball asked for a retraining.
        judged = said.get("champion")
        gone = judged is not None and (champion is None or champion.unit != judged)
        if gone and not self._was_asked_for(key):
            return _Came(f"{judged} is champion no more: nothing was to be done", acted=False)
        if todo.action.kind == "retrain":
            overrides: dict[str, Any] = {name: said[name] for name in ("history", "since") if name in said}
        else:
            overrides = tournaments.overrides_of(self._world, todo.action)
        job = jobs.request(self._world, todo.decision, overrides=overrides, key=key)
        return _Came(f"job {job.id} was asked for")

    def _may_not_fit(self, action: Action, champion: Champion | None, key: str) -> str:
        """Of an answer that comes when a fault is known that was not when it was asked for; empty: it may, or its job was asked for before a controller died."""
        if not actions.fits(action):
            return ""
        found = actions.faulty(diagnoses.open_incidents(self._world, champion), _data_faults(_told(self._world, champion)))
        return "" if found and self._was_asked_for(key) else found

    def _was_asked_for(self, key: str) -> bool:
        """A job, before a controller died that had no time to mark it."""
        return any(event.key == key for event in self._world.ports.ledger.events(kinds=("job.requested",)))

    def _stop(self, todo: Todo) -> _Came:
        said, champion, key = todo.action.arguments, self._releases.champion(), f"todo:{todo.id}"
        standing = stop_of(self._world)
        if champion is None or champion.unit != said["from"]:
            return _Came(f"{said['from']} is champion no more: nothing was to be done", acted=False)
        if standing is not None and standing.key != key:
            return _Came(f"it was stopped already, since {standing.stopped_at.isoformat()}", acted=False)
        return _Came(self._stopping.stop(str(said.get("message") or f"decided by {todo.decision}"), todo.decision, key=key))

    def _go_back(self, todo: Todo) -> _Came | None:
        """From the unit that was judged and from no other: an answer may come when that one is gone, or while another is being released."""
        key, judged = f"todo:{todo.id}", str(todo.action.arguments.get("from", ""))
        moved, champion, active = self._releases.moved_by(key), self._releases.champion(), self._releases.active()
        if moved is None:
            if champion is None or champion.unit != judged:
                return _Came(f"{judged} is champion no more: nothing was to be done", acted=False)
            if active is not None and active.challenger != judged:
                return None
            if active is None and (lacking := self._cannot_go_back(todo, champion)):
                return _Came(lacking, acted=False, tell=True)
            reason = str(todo.action.arguments.get("message") or f"decided by {todo.decision}")
            agreed = str(todo.action.arguments.get("to", "")) if todo.asked else ""
            try:
                moved = self._releases.roll_back(reason, todo.decision, key=key, to=agreed)
            except Conflict as conflict:
                return _Came(conflict.message, acted=False, tell=True)
        return _Came(f"release {moved.id} goes back") if moved else _Came("there was no unit to go back to", acted=False)

    def _cannot_go_back(self, todo: Todo, champion: Champion) -> str:
        """What a person has to be told instead; empty: it can be done. Whether a unit is whole is only asked now: its bytes are read for it."""
        whole, wanted = self._releases.earlier(champion), str(todo.action.arguments.get("to", ""))
        if not whole:
            told = f"{todo.decision} says to go back from {champion.unit} to {wanted}"
            return f"{told}, and no earlier unit is whole on this machine: a person must look"
        if todo.asked and whole[-1] != wanted:
            told = f"{wanted}, to which {todo.decision} was allowed to go back, is not whole on this machine any more"
            return f"{told}: nothing was done; flyball rollback goes to {whole[-1]}"
        return ""


def _is_of(act: autopilot.PastAction, approval: Approval, asked: Action) -> bool:
    """Whether it is the entry of that question."""
    return (act.policy, act.action, act.at) == (asked.arguments.get("policy"), asked.kind, approval.requested_at)


def _numbers(incidents: Sequence[autopilot.OpenIncident]) -> set[int]:
    """That they have, or had."""
    return {number for each in incidents for number in each.numbers}


def _told(world: World, champion: Champion | None) -> list[Finding]:
    """Findings that stand and of which people are told."""
    return [each for each in standing(world, champion) if each.pages]


def _data_faults(told: Sequence[Finding]) -> tuple[int, ...]:
    return tuple(each.number for each in told if each.kind is FindingKind.DATA_QUALITY and not diagnoses.is_of_few_requests(each))


def _changed_since(told: Sequence[Finding], mine: Sequence[SignalsAt]) -> datetime | None:
    """As the newest finding that stands says, one of the loss or the concept before one of drift, which may cost nothing; of a rise that none tells of, such as one
    under the champion before, since it began. Since when a service is slow, or refuses rows, is no time from which on a model could learn."""
    dated = [each for each in told if each.changed_since is not None and each.kind not in _OF_NO_MODEL]
    newest = max(dated, key=lambda each: (each.kind not in _OF_DRIFT, each.number), default=None)
    if newest is not None:
        return newest.changed_since
    return mine[-1].risen_since if mine else None


def _puts_of(world: World, decision: Decision, planned: tuple[int, Action], *, asked_before: bool) -> tuple[Put, ...]:
    """Something to do, or a question; the first question of a decision is found by the decision's own id."""
    number, action = planned
    if action.kind == "observe":
        return ()
    own_id = f"{decision.id}.{number}"
    if action.kind != "ask":
        return (put("todo", own_id, Todo(id=own_id, decision=decision.id, action=action)),)
    return questions.opened(world, decision, action, own_id if asked_before else decision.id)


def _in_a_row(world: World, entries: list[SignalsAt]) -> list[SignalsAt]:
    """Those up to the newest that follow one another: while control was down nobody looked, and what held then is not known."""
    window, starts = world.spec.monitor.window, [datetime.fromisoformat(entry.window) for entry in entries]
    # A replay looks once an hour, however short a window is: at the newest of as many as begin in that time.
    step = -(-REPLAY_LOOKS // window) * window if world.ports.clock.simulated else window
    # One that begins before the one before it is of a clock that was ahead then.
    gaps = [place for place, (one, next_one) in enumerate(pairwise(starts), 1) if not timedelta(0) < next_one - one <= step]
    return entries[gaps[-1] if gaps else 0 :]


def _of_this_term(world: World, entry: SignalsAt, champion: Champion) -> bool:
    """Seen since the champion took over: a unit that comes back after a rollback starts anew."""
    ended = datetime.fromisoformat(entry.window) + world.spec.monitor.window
    return entry.unit == champion.unit and ended > champion.since
