"""The guards, and the error rates of whole releases by simulation with fixed seeds."""

from datetime import timedelta

import msgspec
import numpy as np
import pytest
from release_cases import POLICY, START

from flyball.records.evidence import Evidence, Outcome
from flyball.records.release import TERMINAL, Phase
from flyball.release.decide import ReleaseSituation, decide
from flyball.release.guards import FAILURES, QUALITY, failures, judge, labels_needed, quality
from flyball.release.state import advance, open_release, verified

RELEASES = 120
BATCHES = 25
BATCH = 200


def released(champion, challenger, policy=POLICY):
    """A whole release in which labels come in batches, four a day, and every batch is looked at: the phases it went through, and why the last."""
    release, now = verified(open_release("r-0001", "shop", "u2", "u1", START, "user:ada"), START), START
    phases = [release.phase]
    for n in range(BATCH, champion.size + 1, BATCH):
        now += timedelta(days=0.25)
        evidence = (quality(champion[:n], challenger[:n], policy), failures(0, n, 0, n, policy))
        facts = ReleaseSituation(release=release, requests_in_phase=BATCH, labels=n, evidence=evidence, switch="verified")
        for action in decide(facts, policy, now).actions:
            release = verified(advance(release, action, now), now)
            phases.append(release.phase)
        if release.phase in {Phase.ROLLING_BACK, *TERMINAL}:
            break
    return phases, release.reason


def losses(rng, harm):
    """Two models' Brier losses on the same rows, which share each day's luck; the challenger's are worse by `harm` in expectation, row by row:
    a forecast that errs by ±e costs e² more than the truth does."""
    n = BATCHES * BATCH
    p = np.clip(rng.beta(4, 6, n) + np.repeat(rng.normal(0, 0.05, BATCHES), BATCH), 0.3, 0.7)
    y = rng.random(n) < p
    errs = rng.choice([-0.06, 0.06], n), rng.choice([-1, 1], n) * np.sqrt(0.06**2 + harm)
    return (p + errs[0] - y) ** 2, (p + errs[1] - y) ** 2


def test_identical_challengers_are_rarely_rolled_back_for_harm_and_mostly_promoted():
    rng = np.random.default_rng(11)
    ends = [released(*losses(rng, 0.0)) for _ in range(RELEASES)]
    assert sum("harm" in reason for _, reason in ends) / RELEASES <= POLICY.alpha
    assert sum(Phase.FULL in phases for phases, _ in ends) / RELEASES > 0.9


def test_at_the_very_margin_identical_challengers_are_still_rarely_rolled_back():
    """The hardest case for the error rate: the truth lies on the border that the guard judges."""
    policy = msgspec.structs.replace(POLICY, margin=0.0)
    rng = np.random.default_rng(14)
    ends = [released(*losses(rng, 0.0), policy) for _ in range(RELEASES)]
    assert sum("harm" in reason for _, reason in ends) / RELEASES <= POLICY.alpha


@pytest.mark.parametrize("harm", [0.0105, 0.02])
def test_challengers_worse_than_the_margin_are_rarely_promoted(harm):
    rng = np.random.default_rng(12)
    ends = [released(*losses(rng, harm)) for _ in range(RELEASES)]
    assert sum(Phase.CANARY in phases for phases, _ in ends) / RELEASES <= POLICY.alpha


def test_a_challenger_that_is_much_worse_is_rolled_back_for_harm():
    rng = np.random.default_rng(13)
    ends = [released(*losses(rng, 0.06)) for _ in range(30)]
    assert all("harm" in reason for _, reason in ends)


def test_quality_is_the_challengers_loss_minus_the_champions():
    found = quality([0.2, 0.4], [0.3, 0.5], POLICY)
    assert found.name == QUALITY
    assert found.value == pytest.approx(0.1)
    assert (found.alpha, found.anytime, found.n, found.unit) == (0.04, True, 2, "pairs")
    assert found.lower < 0.1 < found.upper
    assert len(found.inputs) == 64


def test_no_pairs_are_inconclusive_and_broken_pairs_an_error():
    assert judge((quality([], [], POLICY),), QUALITY, 0.01).outcome is Outcome.INCONCLUSIVE
    broken = judge((quality([0.1, 0.2], [0.1, np.nan], POLICY),), QUALITY, 0.01)
    assert broken.outcome is Outcome.ERROR
    assert "1 of 2 losses are not finite" in broken.words
    assert judge((), QUALITY, 0.01).outcome is Outcome.ERROR


def test_losses_of_different_rows_are_refused():
    with pytest.raises(ValueError, match="2 losses of the champion and 1"):
        quality([0.1, 0.2], [0.1], POLICY)


def test_failures_are_rates_and_their_difference():
    found = failures(1, 1000, 31, 1000, POLICY)
    assert found.name == FAILURES
    assert found.value == pytest.approx(0.03)
    assert "champion 1 of 1000, challenger 31 of 1000" in found.note
    assert judge((failures(0, 0, 0, 10, POLICY),), FAILURES, 0.01).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("failed", "n", "outcome"),
    [(0, 100, Outcome.INCONCLUSIVE), (0, 5000, Outcome.PASS), (40, 40, Outcome.FAIL), (300, 5000, Outcome.FAIL)],
)
def test_a_challenger_that_does_not_answer_is_found(failed, n, outcome):
    assert judge((failures(0, n, failed, n, POLICY),), FAILURES, 0.01).outcome is outcome


def test_how_many_more_labels_follows_the_square_root_law():
    found = Evidence(name=QUALITY, value=0.0, lower=-0.02, upper=0.02, n=500)
    assert labels_needed(found, 0.01) == 1500
    assert labels_needed(Evidence(name=QUALITY, value=0.03, lower=0.0, upper=0.06, n=500), 0.01) == 625
    assert labels_needed(Evidence(name=QUALITY, value=0.01, lower=0.0, upper=0.02, n=500), 0.01) is None
    assert labels_needed(quality([], [], POLICY), 0.01) is None
