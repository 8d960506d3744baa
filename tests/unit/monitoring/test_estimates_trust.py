import doctest

import numpy as np
import pytest
from estimated_world import binary, reference
from monitored_world import day

from flyball.errors import DataError
from flyball.monitoring import estimates
from flyball.monitoring.allowance import Allowance
from flyball.monitoring.estimates import AlarmState, Estimates, Increase, Labelled, Trust, estimate
from flyball.monitoring.estimates.intervals import Sample, interval, moments
from flyball.monitoring.estimates.parts import Part
from flyball.monitoring.estimates.trust import MISS
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.findings import FindingKind, RowLosses

TIGHT = Allowance(run_length=90.0, share=1.0, min_rows=20, tolerance=0.0)


def told(value=0.1, half=0.02):
    return Evidence(name="bounded_loss", value=value, lower=value - half, upper=value + half, alpha=0.05)


def test_estimates_that_keep_their_word_are_seldom_called_void():
    """40 versions of 100 mature windows, each missing its interval as often as it says: 400 windows or more lie between false voids."""
    rng, voids = np.random.default_rng(71), 0
    for _ in range(40):
        trust = Trust()
        for window in range(100):
            trust = estimates.learn(trust, str(window), told(), float(0.1 + 0.02 / 1.96 * rng.normal()))
        voids += bool(trust.void)
    assert voids <= 10  # 4,000 windows; measured: 0


def part(day, luck):
    """The loss of rows in days that have luck of their own, known to vary and else unexplained."""
    values = 0.2 + luck[day]
    return Part(float(values.mean()), np.zeros(300), 0.0, values - values.mean(), 0.0, 300.0)


@pytest.mark.parametrize("days", [3, 4, 8])
def test_the_interval_that_voids_misses_as_rarely_as_it_says_though_few_days_show_how_they_differ(days):
    """2,000 references of so many days, whose mean loss varies by 0.02, and a window of one more day each."""
    rng, missed, by_the_normal_law, n = np.random.default_rng(79), 0, 0, 2000
    day = np.repeat(np.arange(days), 30)
    for _ in range(n):
        found = moments(part(day, rng.normal(0.0, 0.02, days)), Sample(np.ones(day.size), day, 300, 300))
        realised = float(np.clip(0.2 + rng.normal(0.0, 0.02), 0.0, 1.0))
        (_, *ends), (value, lower, upper) = interval("bounded_loss", found, MISS), interval("bounded_loss", found)
        estimated = Evidence(name="bounded_loss", value=value, lower=lower, upper=upper, alpha=0.05)
        missed += estimates.learn(Trust(), "w", estimated, realised, tuple(ends)).misses
        by_the_normal_law += estimates.learn(Trust(), "w", estimated, realised).misses
    most = MISS + 3 * (MISS * (1 - MISS) / n) ** 0.5
    assert missed / n <= most
    if days < 8:
        assert by_the_normal_law / n > most


def test_a_window_keeps_the_ends_that_labels_are_held_against():
    rng = np.random.default_rng(80)
    ref = reference("binary", binary(rng, 1000, luck=np.repeat(rng.normal(0, 0.5, 4), 250)), days=4)
    found = estimates.estimate(ref, *binary(rng, 400)[:2], day(0))
    loss = found.metrics["bounded_loss"]
    lower, upper = found.loss_within
    assert lower < estimates.interval_of(loss)[0] < loss.lower < loss.value < loss.upper < estimates.interval_of(loss)[1] < upper
    assert estimates.interval_of(loss, found.loss_within) == found.loss_within
    assert codec.decode(codec.encode(found), Estimates) == found


def test_a_concept_that_flips_is_void_after_two_labelled_windows():
    rng = np.random.default_rng(72)
    ref, trust = reference("binary", binary(rng, 2000)), Trust()
    for number in range(2):
        columns, scores, labels = binary(rng, 500)
        found = estimates.estimate(ref, columns, scores, day(number), trust)
        assert not found.void
        flipped = float(((scores[:, 0] - (1 - labels)) ** 2).mean())
        trust = estimates.learn(trust, found.window, found.metrics["bounded_loss"], flipped, found.loss_within)
    assert "concept shift suspected: labels of 2 of 2 mature windows" in trust.void
    found = estimates.estimate(ref, columns, scores, day(2), trust)
    assert found.void == trust.void
    assert codec.decode(codec.encode(trust), Trust) == trust


def test_a_window_counts_once_and_a_void_one_not_at_all():
    once = estimates.learn(Trust(), "w", told(), 0.9)
    assert estimates.learn(once, "w", told(), 0.9) == once
    assert estimates.learn(once, "v", Evidence(name="bounded_loss", value=None), 0.9) == once
    with pytest.raises(DataError, match="a number in"):
        estimates.learn(once, "u", told(), float("nan"))


def test_so_many_labels_tell_a_rise_from_none_as_often_as_said():
    rng, n = np.random.default_rng(73), estimates.labels_needed(0.04, 0.03)
    found = (rng.normal(0.03, 0.2, (2000, n)).mean(axis=1) > 1.645 * 0.2 / np.sqrt(n)).mean()
    assert found == pytest.approx(0.8, abs=0.03)


def imagined(rng, number, *, rise=0.0, blocks=7, usual=0.02, drawn=0.0):
    seen = Increase(value=rise + drawn + rng.normal(0, usual), deviation=0.005, usual=usual, blocks=blocks)
    return Estimates(window=day(number).id, metrics={"bounded_loss": told()}, increase=seen)


def test_windows_that_only_have_their_usual_luck_alarm_within_the_budget():
    """120 versions of 45 windows, whose references know usual luck from 7 blocks and err by their own standard error: 60 alarms are the budget."""
    rng, alarms = np.random.default_rng(74), 0
    for _ in range(120):
        state, drawn = AlarmState(), rng.normal(0, 0.005)
        usual = 0.02 * np.sqrt(rng.chisquare(6) / 6)
        for number in range(45):
            found = imagined(rng, number, drawn=drawn)
            seen = Increase(value=found.increase.value, deviation=0.005, usual=usual, blocks=7)
            reading = estimates.judge(
                state, Estimates(window=str(number), metrics=found.metrics, increase=seen), day(number), TIGHT
            )
            state, alarms = reading.state, alarms + len(reading.findings)
    assert alarms <= 60  # measured: 4


@pytest.mark.parametrize(("rise", "within"), [(0.05, 12), (0.15, 2)])
def test_a_rise_that_is_estimated_alarms_without_a_label(rise, within):
    rng, state = np.random.default_rng(75), AlarmState()
    for number in range(within):
        reading = estimates.judge(state, imagined(rng, number, rise=rise), day(number), TIGHT)
        state = reading.state
        if reading.findings:
            break
    (finding,) = reading.findings
    assert finding.kind is FindingKind.ESTIMATED_PERFORMANCE
    assert finding.share_of_budget == 1.0
    assert finding.effect > 0.0
    assert "without labels" in finding.words
    assert set(state.detectors) == {0.0}
    assert codec.decode(codec.encode(state), AlarmState) == state


def test_stationary_rows_are_silent_and_a_harmful_shift_is_found_end_to_end():
    rng = np.random.default_rng(76)
    ref, state = reference("binary", binary(rng, 2000), days=8), AlarmState()
    for number in range(12):
        reading = estimates.judge(state, estimates.estimate(ref, *binary(rng, 300)[:2], day(number)), day(number), TIGHT)
        state = reading.state
        assert not reading.findings
    for number in range(12, 16):
        reading = estimates.judge(state, estimates.estimate(ref, *binary(rng, 600, 0.8)[:2], day(number)), day(number), TIGHT)
        state = reading.state
        if reading.findings:
            return
    pytest.fail("no alarm in four windows whose loss is far above the reference's")


def test_void_estimates_and_windows_seen_before_move_nothing():
    state = estimates.judge(AlarmState(), imagined(np.random.default_rng(77), 0), day(0), TIGHT).state
    assert estimates.judge(state, imagined(np.random.default_rng(78), 0), day(0), TIGHT).state == state
    void = Estimates(window="v", metrics={}, increase=None, void="out of support")
    assert estimates.judge(state, void, day(1), TIGHT).state == state


def test_the_examples_in_the_docstrings_run():
    from importlib import import_module

    assert doctest.testmod(import_module(estimate.__module__))[0] == 0


def losses_of(losses, n):
    return Labelled(RowLosses(mean=float(losses[:n].mean()), spread=float(losses[:n].std()), n=n), losses.size)


@pytest.mark.parametrize("n", [60, 150, 2500])
@pytest.mark.parametrize("kind", ["brier", "rare", "often", "flat"])
def test_labels_of_some_rows_miss_the_interval_of_all_as_rarely_as_it_says(kind, n):
    """Draws from 5,000 rows, of whose mean the estimate is sure to the fourth place."""
    rng, missed, draws = np.random.default_rng(81), 0, 2000 if n < 1000 else 600
    flips = {"brier": 0.0, "rare": 0.01, "often": 0.9, "flat": 0.0}[kind]
    losses = (
        (rng.random(5000) < flips).astype(float)
        if flips
        else (rng.beta(0.5, 2.5, 5000) if kind == "brier" else rng.normal(0.3, 0.01, 5000))
    )
    mean = float(losses.mean())
    for _ in range(draws):
        drawn = losses[rng.integers(0, 5000, n)] if n < 1000 else rng.permutation(losses)[:n]
        some = RowLosses(mean=float(drawn.mean()), spread=float(drawn.std()), n=n)
        lower, upper = estimates.interval_of(told(mean, 0.0001), None, Labelled(some, 5000))
        missed += not lower <= some.mean <= upper
    assert missed / draws <= MISS + 3 * (MISS * (1 - MISS) / draws) ** 0.5


@pytest.mark.parametrize("seed", range(4))
def test_few_labels_drawn_at_random_make_no_estimate_void(seed):
    rng, trust = np.random.default_rng(seed), Trust()
    for window in range(14):
        _, scores, labels = binary(rng, 5000)
        losses = (scores[:, 0] - labels) ** 2
        labelled = losses_of(losses, 60)
        trust = estimates.learn(trust, str(window), told(0.183, 0.01), labelled.losses.mean, None, labelled)
    assert trust.windows == 14
    assert not trust.void


@pytest.mark.parametrize("n", [300, 5000])
def test_a_concept_that_flips_is_void_by_labels_of_a_part_of_the_rows_too(n):
    rng, trust = np.random.default_rng(82), Trust()
    for window in range(2):
        _, scores, labels = binary(rng, 5000)
        labelled = losses_of((scores[:, 0] - (1 - labels)) ** 2, n)
        trust = estimates.learn(trust, str(window), told(0.183, 0.01), labelled.losses.mean, None, labelled)
    assert trust.void


def test_where_all_rows_have_a_label_the_interval_is_as_it_was():
    labelled = Labelled(RowLosses(mean=0.2, spread=0.3, n=400), 400)
    assert estimates.interval_of(told(), None, labelled) == pytest.approx(estimates.interval_of(told()), abs=1e-12)
    assert estimates.interval_of(told(), (0.05, 0.2), labelled) == pytest.approx((0.05, 0.2), abs=1e-12)
