"""Past acts: since when cooldowns and budgets count them, and which are still to be known."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from flyball.autopilot.autonomy import OBSERVE
from flyball.autopilot.policy import Rule
from flyball.autopilot.situation import PastAction

NEWEST = 400
"""Acts kept in any case: enough for a policy that is written anew to go on with."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def counted_from(act: PastAction, rule: Rule) -> datetime:
    """By the end of the window that was looked at, which is seen some seconds late, now more and now less: a cooldown of two windows would end after the third.
    A question counts from its own moment, as a person's yes to it does, which comes when it comes."""
    return act.at if act.action == "ask" else _end(act.at, rule)


def ago(act: PastAction, rule: Rule, now: datetime) -> timedelta:
    """Since the act, as cooldowns and budgets of its policy count it at a look."""
    return (now if act.action == "ask" else _end(now, rule)) - counted_from(act, rule)


def _end(at: datetime, rule: Rule) -> datetime:
    """Of the newest window that was over then."""
    return at if rule.window is None else at - (at - EPOCH) % rule.window


def kept(past: Sequence[PastAction], rules: Sequence[Rule], incidents: Collection[int], now: datetime) -> tuple[PastAction, ...]:
    """In their order: the newest of all, and those of each policy by themselves, so that one that acts at every window makes nobody forget.

    `past` oldest first; `incidents`: numbers that those have, or had, that are open.
    """
    wanted = {id(act) for act in (*past[-NEWEST:], *needed(past, rules, incidents, now))}
    return tuple(act for act in past if id(act) in wanted)


def needed(
    past: Sequence[PastAction], rules: Sequence[Rule], incidents: Collection[int], now: datetime
) -> tuple[PastAction, ...]:
    """Of the same, in their order, what a decision of these policies can rest on: it is recorded with each of them."""
    wanted: set[int] = set()
    for rule in rules:
        for notes in (True, False):  # what was only noted counts apart from what was done
            mine = [act for act in past if act.policy == rule.name and (act.action == OBSERVE) is notes and act.at <= now]
            mine.sort(key=lambda act: act.at)  # a clock may have been ahead
            wanted |= {id(act) for act in mine[-1:]}
            if rule.budget_times is not None and rule.budget_per is not None:
                within = [act for act in mine if ago(act, rule, now) < rule.budget_per]
                wanted |= {id(act) for act in within[-rule.budget_times :]}
            wanted |= set({number: id(act) for act in mine for number in act.incidents if number in incidents}.values())
    return tuple(act for act in past if id(act) in wanted)
