"""When a release is given up, and when it is not."""

from datetime import timedelta

from flyball.records.release import Phase, ReleaseState
from flyball.release.policy import ReleasePolicy
from flyball.release.situation import ReleaseSituation


def deadline_of(release: ReleaseState, rules: ReleasePolicy) -> timedelta:
    """Of a shadow or a canary step; of all traffic, and where the policy was changed meanwhile, the longest that it knows."""
    if release.phase is Phase.SHADOW:
        return rules.shadow.at_most if rules.shadow is not None else rules.longest
    step = release.step if release.phase is Phase.CANARY else len(rules.steps)
    return rules.steps[step].at_most if step < len(rules.steps) else rules.longest


def waited(elapsed: timedelta, release: ReleaseState, deadline: timedelta) -> timedelta:
    """Of its deadline. Time in which gateways held its canary at 0 is none of it, but no more than the deadline is long: one that stays at 0 ends, too."""
    return elapsed - min(release.withheld, deadline)


def has_no_end(release: ReleaseState) -> bool:
    """All traffic that some gateways have taken and some have not, with a unit to go back to."""
    return release.phase is Phase.FULL and release.verified_at is None and release.champion is not None


def spared_for(situation: ReleaseSituation) -> str:
    """Why it is not given up at this look, whatever is missing at it; empty: it is."""
    if situation.blind:
        return "it is not given up while what gateways captured cannot be read"
    if situation.approval in {"open", "approved"}:
        # It was asked about since nothing was waited for: what is not there now was there then.
        return "it is not given up once a person was asked"
    return ""
