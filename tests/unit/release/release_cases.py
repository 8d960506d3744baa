"""Building blocks of the release tests: a policy, evidence by outcome, a state in any phase."""

from datetime import UTC, datetime, timedelta

from flyball.records.evidence import Evidence
from flyball.records.release import Phase, ReleaseState
from flyball.release.decide import ReleaseSituation
from flyball.release.metrics import FAILURE_RATE, LOSS, METRICS
from flyball.release.policy import GuardRule, ReleasePolicy, ShadowRule, StepRule

START = datetime(2013, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def rule(metric, margin=0.01, alpha=0.01, must="not_fail", **more):
    """A guard's rule as the policy makes it."""
    known = METRICS[metric]
    return GuardRule(
        name=metric, metric=metric, margin=margin, alpha=alpha, must=must, labels=known.labels, shown=known.shown, **more
    )


POLICY = ReleasePolicy(
    shadow=ShadowRule(at_least=HOUR, at_most=7 * DAY, min_labels=200),
    steps=(
        StepRule(traffic=0.1, at_least=HOUR, at_most=2 * DAY, min_requests=50),
        StepRule(traffic=0.5, at_least=2 * HOUR, at_most=2 * DAY, min_requests=80),
    ),
    watch=7 * DAY,
    watch_at_most=14 * DAY,
    alpha=0.05,
    guards=(rule(LOSS, alpha=0.04, must="pass"), rule(FAILURE_RATE, alpha=0.01)),
    approval=False,
)


def guard_of(policy, metric):
    """The first of that metric."""
    return next(each for each in policy.guards if each.metric == metric)


def measured(name, value, lower, upper, n=1000):
    return Evidence(name=name, value=value, lower=lower, upper=upper, alpha=0.04, anytime=True, n=n, unit="pairs")


def evidence(name, outcome):
    """Evidence that the guard `name` judges as `outcome`; `absent`: none at all, `no data`: nothing to measure yet."""
    match outcome:
        case "pass":
            return (measured(name, 0.0, -0.005, 0.005),)
        case "fail":
            return (measured(name, 0.05, 0.02, 0.08),)
        case "inconclusive":
            return (measured(name, 0.004, -0.014, 0.022),)
        case "no data":
            return (Evidence(name=name, value=None, n=0, note="no labelled row has both scores yet"),)
        case "error":
            return (Evidence(name=name, value=None, n=10, note="3 of 10 losses are not finite"),)
    return ()


def state(phase, step=0, champion="u1", verified=True, passed=()):
    return ReleaseState(
        id="r-0001", model="shop", challenger="u2", champion=champion, phase=Phase(phase), step=step,
        opened_at=START, entered_at=START, verified_at=START if verified else None, passed=passed,
    )  # fmt: skip


def situation(phase, quality="pass", failures="pass", **changed):
    """In `phase` with guards of these outcomes; `step`, `champion`, `verified`, `passed` and the situation's own fields may be given."""
    release = state(phase, **{name: changed.pop(name) for name in ("step", "champion", "verified", "passed") if name in changed})
    facts = {"requests_in_phase": 1000, "labels": 1000, "switch": "verified", "approval": "none", **changed}
    return ReleaseSituation(release=release, evidence=evidence(LOSS, quality) + evidence(FAILURE_RATE, failures), **facts)
