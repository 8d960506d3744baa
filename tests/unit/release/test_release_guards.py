"""The guards, and the error rates of whole releases by simulation with fixed seeds."""

from datetime import timedelta

import msgspec
import numpy as np
import pytest
from release_cases import POLICY, START, guard_of, rule

from flyball.records.evidence import Evidence, Outcome
from flyball.records.release import TERMINAL, Phase
from flyball.release.decide import ReleaseSituation, decide
from flyball.release.guards import calibration, disagreement, failure_rate, judge, latency, loss, reward, score_shift, shape
from flyball.release.metrics import FAILURE_RATE, LOSS, METRICS
from flyball.release.state import advance, open_release, verified
from flyball.release.waiting import needed, waits_for_pass
from flyball.spec.release import SHOWN
from flyball.stats.two_samples import two_samples

QUALITY, FAILURES = guard_of(POLICY, LOSS), guard_of(POLICY, FAILURE_RATE)
RELEASES = 120
BATCHES = 25
BATCH = 200


def released(champion, challenger, policy=POLICY):
    """A whole release in which labels come in batches, four a day, and every batch is looked at: the phases it went through, and why the last."""
    release, now = verified(open_release("r-0001", "shop", "u2", "u1", START, "user:ada"), START), START
    phases = [release.phase]
    for n in range(BATCH, champion.size + 1, BATCH):
        now += timedelta(days=0.25)
        evidence = (
            loss(champion[:n], challenger[:n], guard_of(policy, LOSS)),
            failure_rate((0, n), (0, n), guard_of(policy, FAILURE_RATE)),
        )
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
    strict = tuple(msgspec.structs.replace(each, margin=0.0) if each.name == LOSS else each for each in POLICY.guards)
    policy = msgspec.structs.replace(POLICY, guards=strict)
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
    found = loss([0.2, 0.4], [0.3, 0.5], QUALITY)
    assert found.name == LOSS
    assert found.value == pytest.approx(0.1)
    assert (found.alpha, found.anytime, found.n, found.unit) == (0.04, True, 2, "pairs")
    assert found.lower < 0.1 < found.upper
    assert len(found.inputs) == 64


def test_no_pairs_are_inconclusive_and_broken_pairs_an_error():
    assert judge((loss([], [], QUALITY),), QUALITY).outcome is Outcome.INCONCLUSIVE
    broken = judge((loss([0.1, 0.2], [0.1, np.nan], QUALITY),), QUALITY)
    assert broken.outcome is Outcome.ERROR
    assert "1 of 2 values are not finite" in broken.words
    assert judge((), QUALITY).outcome is Outcome.ERROR


def test_losses_of_different_rows_are_refused():
    with pytest.raises(ValueError, match="2 of the champion and 1"):
        loss([0.1, 0.2], [0.1], QUALITY)


def test_failures_are_rates_and_their_difference():
    found = failure_rate((1, 1000), (31, 1000), FAILURES)
    assert found.name == FAILURE_RATE
    assert found.value == pytest.approx(0.03)
    assert "champion 1 of 1000, challenger 31 of 1000" in found.note
    assert judge((failure_rate((0, 0), (0, 10), FAILURES),), FAILURES).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("failed", "n", "outcome"),
    [(0, 100, Outcome.INCONCLUSIVE), (0, 5000, Outcome.PASS), (40, 40, Outcome.FAIL), (300, 5000, Outcome.FAIL)],
)
def test_a_challenger_that_does_not_answer_is_found(failed, n, outcome):
    assert judge((failure_rate((0, n), (failed, n), FAILURES),), FAILURES).outcome is outcome


def test_how_many_more_labels_would_settle_it_is_a_range_and_sometimes_not_known():
    found = Evidence(name=LOSS, value=0.0, lower=-0.02, upper=0.02, n=500)
    more = needed(found, QUALITY)
    assert more is not None
    assert more.least < more.likely < more.most
    assert 500 < more.likely < 2500
    assert needed(Evidence(name=LOSS, value=0.01, lower=0.0, upper=0.02, n=500), QUALITY) is None
    assert needed(loss([], [], QUALITY), QUALITY) is None


def test_rows_that_are_alike_are_said_to_be_and_blocks_of_them_keep_the_error_rate():
    """An AR(1) of 0.8: the running average is not the long run's, and blocks are."""
    rng, wrong, told = np.random.default_rng(18), {"rows": 0, "blocks": 0}, 0
    sharp = rule(LOSS, margin=0.0, alpha=0.05)
    for _ in range(60):
        wander = np.zeros(6000)
        for at, step in enumerate(rng.normal(0.0, 0.06, 6000)):
            wander[at] = 0.8 * wander[at - 1] + step
        base = rng.uniform(0.3, 0.7, 6000)
        other = np.clip(base + wander, 0.0, 1.0)
        looks = range(1000, 6001, 1000)
        for name, blocks in (("rows", False), ("blocks", True)):
            seen = [loss(base[:n], other[:n], sharp, blocks=blocks) for n in looks]
            wrong[name] += any(judge((each,), sharp).outcome is Outcome.FAIL for each in seen)
        told += "independent ones" in loss(base, other, sharp).note
    assert told == 60
    assert wrong["blocks"] <= 3 < wrong["rows"], wrong


def test_independent_rows_are_seldom_said_to_be_alike():
    rng = np.random.default_rng(19)
    notes = [loss(rng.uniform(0, 1, 600), rng.uniform(0, 1, 600), QUALITY).note for _ in range(200)]
    assert sum(bool(note) for note in notes) <= 10


REWARD = rule("reward", margin=0.0, between=(0.0, 10.0))


def test_calibration_is_how_far_scores_lie_from_outcomes_compared_with_the_champion():
    rng = np.random.default_rng(15)
    p = rng.uniform(0.2, 0.8, 4000)
    y = rng.random(4000) < p
    same = calibration(p, p, y, rule("calibration", margin=0.1))
    high = calibration(p, p + 0.2, y, rule("calibration", margin=0.1))
    assert judge((same,), rule("calibration", margin=0.1)).outcome is Outcome.PASS
    assert judge((high,), rule("calibration", margin=0.1)).outcome is Outcome.FAIL
    # off by as much in the other direction is as bad, and no better than the champion's
    assert calibration(p + 0.2, p - 0.2, y, rule("calibration")).value == pytest.approx(0.0, abs=0.05)


def test_disagreement_and_shift_are_sizes_and_never_negative():
    decided = np.array([0.0, 1.0] * 500)
    assert disagreement(decided, 1.0 - decided, rule("disagreement")).value == 1.0
    assert disagreement(decided, decided, rule("disagreement")).lower == 0.0
    down = score_shift(np.full(2000, 0.6), np.full(2000, 0.4), rule("score_shift"))
    assert down.value == pytest.approx(0.2)
    assert 0.1 < down.lower < 0.2 < down.upper
    assert score_shift([], [], rule("score_shift")).note == "no row has both answers yet"


def test_a_reward_is_what_the_champion_earns_more_and_what_is_cut_off_is_said():
    arms, looks = [False, True] * 500, np.repeat(np.arange(50), 20)
    found = reward([1.0, 50.0, *[1.0] * 998], arms, looks, REWARD)
    assert found.value == pytest.approx(-9.0 / 500, abs=0.01)
    assert "cut off: 0.0% of the champion's (+0 of its mean), 0.2% of the challenger's (+0.08 of its mean)" in found.note
    assert judge((reward([1.0], [True], [0], REWARD),), REWARD).outcome is Outcome.INCONCLUSIVE


def test_guards_of_identical_units_seldom_fail_or_pass_a_margin_of_nothing():
    """Every guard that is a sequence, at the border of what it judges, looked at after every batch."""
    rng, wrong = np.random.default_rng(16), {"calibration": 0, "reward": 0, "score_shift": 0}
    rules = {name: rule(name, margin=0.0, alpha=0.05, between=(0.0, 1.0)) for name in wrong}
    for _ in range(100):
        p = rng.uniform(0.2, 0.8, 3000)
        y = rng.random(3000) < p
        noise = rng.choice([-0.1, 0.1], (2, 3000))
        earned = (rng.random((2, 3000)) < 0.3).astype(float)
        for n in range(200, 3001, 400):
            looks = {
                "calibration": calibration(p[:n] + noise[0, :n], p[:n] + noise[1, :n], y[:n], rules["calibration"]),
                "reward": reward(earned[:, :n].T.ravel(), np.tile([False, True], n), np.arange(2 * n) // 40, rules["reward"]),
                "score_shift": score_shift(p[:n] + noise[0, :n], p[:n] + noise[1, :n], rules["score_shift"]),
            }
            verdicts = {name: judge((found,), rules[name]).outcome for name, found in looks.items()}
            for name, outcome in verdicts.items():
                wrong[name] += outcome is Outcome.FAIL
    assert max(wrong.values()) <= 5, wrong


def test_what_has_no_upper_end_can_fail_and_never_pass():
    shape = rule("disagreement", margin=0.0)
    seen = Evidence(name="disagreement", value=-2.0, lower=-4.0, n=100)
    assert judge((seen,), shape).outcome is Outcome.INCONCLUSIVE
    assert judge((msgspec.structs.replace(seen, lower=0.5),), shape).outcome is Outcome.FAIL


def test_latency_is_a_quantile_and_few_calls_have_no_end():
    rng = np.random.default_rng(17)
    old, new = rng.lognormal(1.0, 0.5, 3000), rng.lognormal(1.0, 0.5, 3000) + 20.0
    p95 = rule("latency_p95_ms", margin=5.0)
    assert judge((latency(old, new, p95),), p95).outcome is Outcome.FAIL
    assert judge((latency(old, old + 0.01, p95),), p95).outcome is Outcome.PASS
    few = latency(old[:10], new[:10], p95)
    assert (judge((few,), p95).outcome, few.upper, "too few" in few.note) == (Outcome.INCONCLUSIVE, None, True)
    assert latency([], new, p95).n == 0


BIMODAL = [1, 100, 4, 101, 5, 102, 6, 103, 7, 104, 8, 105, 9, 106, 17]
COMPLAINTS = {
    "spinnaker 6278": ([1.0] * 10, [100.0] * 7 + [1.0] * 3, {Outcome.FAIL}),
    "kayenta 426": ([0.0] * 6, [0.0, 1.0, 2.0, 1.0, 0.0, 0.0], {Outcome.FAIL, Outcome.INCONCLUSIVE}),
    "kayenta 780": (BIMODAL, [10.0 + i / 10 for i in range(7)] + [17.0 + i / 10 for i in range(8)], {Outcome.FAIL}),
}


@pytest.mark.parametrize("case", COMPLAINTS)
def test_what_others_let_pass_fails_here_or_is_not_enough_to_tell(case):
    """Complaints about canary analyses that looked at one statistic: whichever way the canary's values are ordered."""
    control, canary, wanted = COMPLAINTS[case]
    asked = rule("latency_shape", margin=0.1, alpha=0.05)
    arms = [False] * len(control) + [True] * len(canary)
    for canary_values in (canary, canary[::-1]):
        found = shape(two_samples([*control, *canary_values], arms, [0] * len(arms)), [*control, *canary_values], arms, asked)
        assert judge((found,), asked).outcome in wanted


def test_what_flyball_yaml_takes_for_measurable_only_in_a_canary_is_so():
    assert {name for name, metric in METRICS.items() if metric.shown} == SHOWN


def test_a_shape_that_differs_by_less_than_the_margin_is_no_harm_however_sure_it_is():
    rng = np.random.default_rng(20)
    values = np.concatenate([rng.normal(0.0, 1.0, 6000), rng.normal(0.15, 1.0, 6000)])
    arms, blocks = np.repeat([False, True], 6000), np.tile(np.repeat(np.arange(60), 100), 2)
    order = np.argsort(blocks, kind="stable")
    asked = rule("score_shape", margin=0.1, alpha=0.01)
    found = shape(two_samples(values[order], arms[order], blocks[order]), values[order], arms[order], asked)
    assert judge((found,), asked).outcome is Outcome.INCONCLUSIVE
    assert 0.04 < found.lower == found.value < 0.1
    assert judge((found,), rule("score_shape", margin=0.0, alpha=0.01)).outcome is Outcome.FAIL


def test_a_guard_without_a_bound_says_no_more_than_that() -> None:
    p95 = rule("latency_p95_ms", margin=20.0)
    verdict = judge((latency([12.0], [12.138], p95),), p95)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.words == "latency_p95_ms +0.1380 over 1 call has no bound yet to hold against 20"


def test_a_forecast_of_one_number_has_no_range() -> None:
    found = Evidence(name="loss", value=0.0, lower=-0.05, upper=0.05, alpha=0.05, anytime=True, n=10, unit="pairs")
    asked = rule("loss", margin=0.01)
    more = needed(found, asked)
    assert more is not None
    assert more.least == more.most == more.likely
    words = waits_for_pass(asked, judge((found,), asked), timedelta(days=1))
    assert f"about {more.likely} more labels would make it pass" in words
