"""What to do next with a release: go on, wait, ask, or roll back.

Harm beyond the margin rolls back from every phase, at once. Going on needs time, data and (in shadow) a pass; what is inconclusive or could not be
measured holds, and gives up at the phase's deadline. No data never promotes.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from flyball.records import codec
from flyball.records.decisions import Action, Plan
from flyball.records.evidence import Outcome, Verdict, worst
from flyball.records.release import Phase, ReleaseState
from flyball.release.bandit import weight_of
from flyball.release.deadlines import deadline_of, has_no_end, spared_for, waited
from flyball.release.guards import judge
from flyball.release.policy import GuardRule, ReleasePolicy, ReplayRule, policy_of
from flyball.release.question import question_of
from flyball.release.situation import ReleaseSituation
from flyball.release.waiting import moment, place, span, waits_for_pass, waits_for_rows, whoever_agrees

__all__ = [
    "JUDGED",
    "ReleasePolicy",
    "ReleaseSituation",
    "decide",
    "is_proven",
    "newly_passed",
    "passes",
    "policy_of",
    "question_of",
    "rules_of",
]

JUDGED = frozenset({Phase.SHADOW, Phase.CANARY, Phase.FULL, Phase.WATCHING})
"""Phases in which the challenger scores traffic, so that it can do harm and be compared."""


class _View(NamedTuple):
    situation: ReleaseSituation
    policy: ReleasePolicy
    now: datetime
    verdicts: tuple[Verdict, ...]
    elapsed: timedelta
    """Since the gateways were seen to serve this phase, as far as somebody looked after it."""
    before: tuple[str, ...]
    """Guards that passed at an earlier look, by these rules."""

    @property
    def release(self) -> ReleaseState:
        return self.situation.release

    @property
    def served(self) -> timedelta:
        """Of it, the time in which the challenger was asked."""
        return self.elapsed - self.release.withheld

    @property
    def subject(self) -> str:
        """As in the ledger's events."""
        return f"release:{self.situation.release.id}"

    def verdict(self, name: str) -> Verdict | None:
        return next((verdict for verdict in self.verdicts if verdict.rule == name), None)

    def passed(self, rule: GuardRule) -> bool:
        """At this look or an earlier one."""
        verdict = self.verdict(rule.name)
        return rule.name in self.before or (
            verdict is not None and verdict.outcome is Outcome.PASS and not _too_early(self, rule) and not _unripe(self, rule)
        )


def decide(situation: ReleaseSituation, policy: ReleasePolicy, now: datetime) -> Plan:
    """At most one action on the release: `enter`, `weigh`, `ask`, `settle`, `roll_back` or `finish_rollback`. None: the rationale says what is waited for."""
    view = _view(situation, policy, now)
    release = situation.release
    harm = list(_harm(view))
    if harm:
        return _roll_back(view, harm[0].rule, f"harm is shown: {'; '.join(v.words for v in harm)} ({policy.words})")
    if situation.tripped and release.phase in JUDGED:
        # Not a rate: five failures in a row happen to a unit that fails once in a hundred rows in one of 10¹⁰ places, and a guard that has seen
        # a hundred thousand good rows would want a thousand more.
        return _roll_back(view, "circuit", f"it fails again and again, so that it is not asked any more: {situation.tripped}")
    if release.phase in JUDGED:
        # What is watched was seen to be served by all of them: where it was stopped and does not come back, a person must look.
        if situation.switch == "failed" and release.verified_at is None and release.phase is not Phase.WATCHING:
            return _roll_back(view, "switch", f"the gateways could not be brought to serve {place(release)}")
        if situation.switch != "verified" or release.verified_at is None:
            return _unserved(view)
    return _HANDLERS[release.phase](view)


def newly_passed(situation: ReleaseSituation, policy: ReleasePolicy, now: datetime) -> tuple[str, ...]:
    """Guards that pass at this look and did not before: of a phase that was seen at every gateway."""
    if situation.release.verified_at is None:
        return ()
    view = _view(situation, policy, now)
    return tuple(rule.name for rule in policy.guards if rule.name not in view.before and view.passed(rule))


def passes(release: ReleaseState, policy: ReleasePolicy) -> tuple[str, ...]:
    """Guards that passed by these very rules: a margin that is drawn tighter while a release is under way has not been kept yet."""
    return release.passed if release.rules in {"", rules_of(policy)} else ()


def rules_of(policy: ReleasePolicy) -> str:
    """Their digest."""
    return codec.digest(policy.guards)


def is_proven(release: ReleaseState, policy: ReleasePolicy) -> bool:
    """All that it must pass has passed: with late labels it may be watched already and not be."""
    passed = passes(release, policy)
    asked = (rule for rule in policy.guards if rule.must == "pass" and not (rule.labels and policy.labels == "never"))
    return all(rule.name in passed for rule in asked)


def _view(situation: ReleaseSituation, policy: ReleasePolicy, now: datetime) -> _View:
    release = situation.release
    verdicts: tuple[Verdict, ...] = ()
    if release.phase in JUDGED and release.champion is not None:
        verdicts = tuple(judge(situation.evidence, rule) for rule in _asked(policy, release))
    elapsed = now - release.verified_at - release.unwatched if release.verified_at is not None else timedelta(0)
    return _View(situation, policy, now, verdicts, elapsed, passes(release, policy))


def _asked(policy: ReleasePolicy, release: ReleaseState) -> Iterable[GuardRule]:
    """The guards that have an answer in this phase: in the shadow no user sees one of the challenger's."""
    return (rule for rule in policy.guards if not (rule.shown and release.phase is Phase.SHADOW))


def _harm(view: _View) -> Iterable[Verdict]:
    for rule in _asked(view.policy, view.release):
        verdict = view.verdict(rule.name)
        if verdict is not None and verdict.outcome is Outcome.FAIL and not _too_early(view, rule):
            yield verdict


def _too_early(view: _View, guard: GuardRule) -> bool:
    """In shadow nobody is harmed by waiting: quality is judged, either way, on the sample that was asked for and not on the first hour's weather."""
    rule = view.policy.shadow
    if view.release.phase is not Phase.SHADOW or rule is None or not guard.labels:
        return False
    return view.served < rule.at_least or view.situation.labels < rule.min_labels


def _unripe(view: _View, guard: GuardRule) -> str:
    """Why it cannot pass yet: of labels that came first alone nobody knows what the others will say. Empty: it can."""
    return view.situation.unripe if guard.ripens else ""


def _proposed(view: _View) -> Plan:
    if view.release.champion is None:
        return _to_full(
            view, "first", "it is the first of this model: there is nobody to compare with, and its gates were passed"
        )
    if view.policy.replay is not None:
        stopped = _stopped_by_replay(view, view.policy.replay)
        if stopped is not None:
            return stopped
    if view.policy.shadow is not None:
        return _enter(view, "shadow", Phase.SHADOW, 0, "it was proposed and is compared in the shadow of the champion first")
    return _from_shadow(view, "no shadow is asked for")


def _stopped_by_replay(view: _View, rule: ReplayRule) -> Plan | None:
    """None: captured requests showed no harm, or there were none."""
    replayed = view.situation.replayed
    if replayed is None:
        waits = [f"for its answers to the last {rule.rows} captured rows"]
        return _wait_or_give_up(view, "replay", waits, view.policy.longest)
    asked = {each.name for each in replayed.evidence}
    verdicts = [judge(replayed.evidence, each) for each in rule.guards if each.name in asked]
    harm = [verdict for verdict in verdicts if verdict.outcome is Outcome.FAIL]
    if not harm:
        return None
    return _roll_back(
        view, harm[0].rule, f"harm is shown before any live request: {'; '.join(v.words for v in harm)} ({view.policy.words})"
    )


def _shadow(view: _View) -> Plan:
    rule = view.policy.shadow
    if rule is None:  # the policy was changed while the release stood in shadow
        return _from_shadow(view, "no shadow is asked for any more")
    waits = _waits_for_time(view, rule.at_least)
    if view.situation.labels < rule.min_labels and view.policy.labels == "before_full":
        so_far = f"{view.situation.labels} of {rule.min_labels}{_which_count(view)}"
        waits.append(f"for {rule.min_labels - view.situation.labels} more labels ({so_far})")
    waits += waits_for_rows(view.situation.requests_in_phase, rule.min_requests or 0) + _waits_for_guards(view, to_pass=True)
    if waits:
        return _wait_or_give_up(view, "shadow", waits, rule.at_most)
    # Where labels come later, or never, it may be that nothing has passed.
    proven = any(view.passed(each) for each in _asked(view.policy, view.release) if each.must == "pass")
    words = "the shadow passed" if proven else "no harm was shown in the shadow"
    return _from_shadow(view, f"{words}: {_said(view)} ({view.policy.words})")


def _canary(view: _View) -> Plan:
    step = view.release.step
    if step >= len(view.policy.steps):  # the policy was changed while the release stood in this step
        waits = _waits_for_guards(view, to_pass=True)
        if waits:
            return _wait_or_give_up(view, "canary", waits, view.policy.longest)
        return _to_full(view, "canary", "its canary step is not asked for any more")
    rule = view.policy.steps[step]
    waits = _waits_for_time(view, rule.at_least)
    answered = view.situation.requests_in_phase
    waits += waits_for_rows(answered, rule.min_requests)
    # All traffic goes only to who has passed at some look of the release: in the shadow, or here where there was none. No label never promotes.
    waits += _waits_for_guards(view, to_pass=step + 1 == len(view.policy.steps))
    if waits:
        plan = _wait_or_give_up(view, "canary", waits, rule.at_most)
        return plan if plan.actions else _weighed(view) or plan
    share = rule.traffic if view.release.weight is None else view.release.weight
    words = f"the step at {share:.0%} was held for {span(view.served)} over {answered} rows: {_said(view)}"
    if step + 1 < len(view.policy.steps):
        return _enter(view, "canary", Phase.CANARY, step + 1, words)
    return _to_full(view, "canary", words)


def _full(view: _View) -> Plan:
    return _enter(view, "watch", Phase.WATCHING, 0, f"every gateway serves it; it is watched for {span(view.policy.watch)}")


def _watching(view: _View) -> Plan:
    open_guards = _waits_for_guards(view, to_pass=True)
    waits, longest = _waits_for_time(view, view.policy.watch) + open_guards, view.policy.watch_at_most
    if waits and view.elapsed < longest:
        end = f"; it is rolled back at {moment(view.now + longest - view.elapsed)}" if open_guards else ""
        return _hold(view, "watch", f"waits {', and '.join(waits)}{end}")
    if waits and view.situation.blind:
        return _hold(view, "watch", f"waits {', and '.join(waits)}; {spared_for(view.situation)}")
    if waits:
        return _roll_back(view, "watch", f"{span(view.elapsed)} of watch were not enough: waits {', and '.join(waits)}")
    action = Action(kind="settle", subject=view.subject, arguments={"reason": "the watch passed"})
    words = f"{view.release.challenger} is settled as champion: no harm was shown in {span(view.policy.watch)} of watch: {_said(view)}"
    return _plan(view, (action,), "watch", words)


def _rolling_back(view: _View) -> Plan:
    back = view.release.champion or "no unit (it was the first release)"
    if view.situation.switch == "verified":
        action = Action(kind="finish_rollback", subject=view.subject, arguments={"reason": f"every gateway serves {back} again"})
        return _plan(view, (action,), "switch", f"{view.release.id} is rolled back: every gateway is seen to serve {back}")
    trouble = (
        "a gateway cannot serve it, a person must look" if view.situation.switch == "failed" else "not all gateways are seen to"
    )
    return _hold(view, "switch", f"waits until every gateway serves {back}: {trouble}")


def _held(view: _View) -> Plan:
    return _hold(view, "held", "is held until a person lets it start again or rolls it back")


def _over(view: _View) -> Plan:
    return _hold(view, "over", f"is {view.release.phase.value}: nothing is left to do")


def _unserved(view: _View) -> Plan:
    """A gateway that restarts under a phase that it did serve is no fault of the challenger; one that stays away does not prolong the phase. So it is given
    up when it would be with that gateway there, and where it was never seen to be served, when it has had its time."""
    release, rules = view.release, view.policy
    held = ": a gateway holds the canary at 0" if view.situation.withheld else ""
    waits = f"until every gateway is seen to serve {place(release)}{held}"
    if release.phase in (Phase.SHADOW, Phase.CANARY) and release.verified_at is not None:
        plan = _HANDLERS[release.phase](view)
        if any(action.kind == "roll_back" for action in plan.actions):
            return plan
    elif release.phase in (Phase.SHADOW, Phase.CANARY) or has_no_end(release):
        deadline, elapsed = deadline_of(release, rules), view.now - release.entered_at - release.unwatched
        if waited(elapsed, release, deadline) >= deadline:
            return _roll_back(view, "switch", f"{_gave_up(view, elapsed, deadline)}, still waiting {waits}")
    return _hold(view, "switch", f"waits {waits}")


_HANDLERS: dict[Phase, Callable[[_View], Plan]] = {
    Phase.PROPOSED: _proposed,
    Phase.SHADOW: _shadow,
    Phase.CANARY: _canary,
    Phase.FULL: _full,
    Phase.WATCHING: _watching,
    Phase.ROLLING_BACK: _rolling_back,
    Phase.HELD: _held,
    Phase.SETTLED: _over,
    Phase.ROLLED_BACK: _over,
}


def _from_shadow(view: _View, why: str) -> Plan:
    if view.policy.steps:
        return _enter(view, "shadow", Phase.CANARY, 0, why)
    return _to_full(view, "shadow", f"{why}, and no canary step is asked for")


def _to_full(view: _View, rule: str, why: str) -> Plan:
    """The last step up, where a person may have to agree."""
    if not view.policy.approval or view.situation.approval == "approved":
        agreed = ", and a person agreed" if view.policy.approval else ""
        return _enter(view, rule, Phase.FULL, 0, why + agreed)
    if view.situation.approval == "refused":
        return _roll_back(view, "approval", "a person refused that it takes all traffic")
    who = whoever_agrees(view.release, another=view.policy.approval == "another")
    if view.situation.approval == "open":
        return _hold(view, "approval", f"waits for {who} to agree that it takes all traffic; {why}")
    ask = question_of(view.release, view.situation.rules)
    return _plan(view, (ask,), "approval", f"A{who[1:]} is asked whether {view.release.challenger} may take all traffic: {why}")


def _enter(view: _View, rule: str, phase: Phase, step: int, why: str) -> Plan:
    arguments: dict[str, Any] = {"phase": phase.value, "step": step, "reason": why}
    share = f" at {view.policy.steps[step].traffic:.0%} of the keys" if phase is Phase.CANARY else ""
    words = f"{view.release.challenger} goes from {place(view.release)} to {phase.value}{share}: {why}"
    return _plan(view, (Action(kind="enter", subject=view.subject, arguments=arguments),), rule, words)


def _roll_back(view: _View, rule: str, why: str) -> Plan:
    arguments: dict[str, Any] = {"to": view.release.champion, "reason": why}
    words = f"{view.release.challenger} is rolled back from {place(view.release)} to {view.release.champion or 'no unit'}: {why}"
    return _plan(view, (Action(kind="roll_back", subject=view.subject, arguments=arguments),), rule, words)


def _wait_or_give_up(view: _View, rule: str, waits: list[str], deadline: timedelta) -> Plan:
    spared, left = spared_for(view.situation), deadline - waited(view.elapsed, view.release, deadline)
    if left > timedelta(0):
        return _hold(view, rule, f"waits {', and '.join(waits)}; it gives up at {moment(view.now + left)}")
    if spared:
        return _hold(view, rule, f"waits {', and '.join(waits)}; {spared}")
    return _roll_back(view, rule, f"{_gave_up(view, view.elapsed, deadline)}, still waiting {', and '.join(waits)}")


def _gave_up(view: _View, elapsed: timedelta, deadline: timedelta) -> str:
    withheld = view.release.withheld
    held = f" (gateways held the canary at 0 for {span(withheld)} of them)" if withheld else ""
    return f"gave up after {span(elapsed)}{held}, allowed are {span(deadline)}"


def _hold(view: _View, rule: str, words: str) -> Plan:
    return _plan(view, (), rule, f"{view.release.challenger} in {place(view.release)} {words}")


def _plan(view: _View, actions: tuple[Action, ...], rule: str, rationale: str) -> Plan:
    outcome = worst(tuple(verdict.outcome for verdict in view.verdicts)) if view.verdicts else None
    return Plan(actions=actions, rule=rule, rationale=f"{rationale}.", outcome=outcome, verdicts=view.verdicts)


def _waits_for_time(view: _View, at_least: timedelta) -> list[str]:
    # A moment and not a span: the words are kept, and read later.
    return [f"until {moment(view.now + at_least - view.served)}"] if view.served < at_least else []


def _which_count(view: _View) -> str:
    delay = view.policy.label_delay
    return f"; a label counts once its row is {span(delay)} old (data.label_delay)" if delay else ""


def _waits_for_guards(view: _View, *, to_pass: bool) -> list[str]:
    """Every guard must be measurable, before all traffic at the latest; those that must pass are waited for where `to_pass`."""
    waits = []
    for rule in _asked(view.policy, view.release):
        verdict = view.verdict(rule.name)
        if verdict is None or view.passed(rule):
            continue
        if to_pass and rule.must == "pass" and not _comes_later(view, rule):
            if verdict.outcome is not Outcome.PASS:  # one that passes, too early, waits for what it is too early for
                waits.append(waits_for_pass(rule, verdict, view.now - view.release.opened_at))
            elif unripe := _unripe(view, rule):
                waits.append(f"for {rule.name} until it is known how long labels take ({unripe})")
        elif verdict.outcome is Outcome.ERROR or (
            verdict.evidence.n == 0 and not (_comes_later(view, rule) if to_pass else rule.labels)
        ):
            waits.append(f"for a measurement ({verdict.words})")
    return waits


def _comes_later(view: _View, rule: GuardRule) -> bool:
    """Its labels may come when it has all traffic, or not at all."""
    late = view.policy.labels
    return rule.labels and (late == "never" or (late == "while_watching" and view.release.phase is not Phase.WATCHING))


def _weighed(view: _View) -> Plan | None:
    """Where a bandit divides the traffic: the share that the rewards so far ask for, when it is time and it differs."""
    rule, release = view.policy.bandit, view.release
    since = release.weighed_at or release.verified_at
    if rule is None or since is None or view.now - since < rule.every:
        return None
    standing = release.weight if release.weight is not None else view.policy.steps[release.step].traffic
    wanted = weight_of(view.situation.rewards, rule)
    if wanted is None or wanted.weight == standing:
        return None
    reason = f"{wanted.words}; its share goes from {standing:.0%} to {wanted.weight:.0%}"
    action = Action(kind="weigh", subject=view.subject, arguments={"weight": wanted.weight, "reason": reason})
    return _plan(view, (action,), "bandit", f"{release.challenger} in {place(release)}: {reason}")


def _said(view: _View) -> str:
    return "; ".join(verdict.words for verdict in view.verdicts) or "there is no champion to compare with"
