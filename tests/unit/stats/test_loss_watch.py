"""Simulations with fixed seeds: alarms per 20,000 stationary values at a stated mean run length of 20,000, so one at most on average."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier
from stationary_series import stationary, table

from flyball.records import codec
from flyball.stats.loss_watch import LEAST_BASELINE, LossWatch, advance, advance_all, start

RUN_LENGTH = 20_000


def first_alarm(watch, values):
    """(values until the alarm, the watch at it), or None."""
    before = watch.alarms
    for count, value in enumerate(values, start=1):
        watch = advance(watch, float(value))
        if watch.alarms > before:
            return count, watch
    return None


@pytest.mark.parametrize(
    ("kind", "runs"),
    [("errors", 10), ("normal", 3), ("heavy", 3), ("ar1", 24), ("ar1_heavy", 24), ("ar1_errors", 24), ("costs", 10)],
)
def test_stationary_values_alarm_no_more_often_than_stated(kind, runs):
    rng, alarms = np.random.default_rng(71), 0
    for _ in range(runs):
        values = stationary(kind, rng, 1_000 + RUN_LENGTH)
        alarms += advance_all(start(values[:1000], RUN_LENGTH), values[1000:].tolist()).alarms
    # Were the mean just one per run, more than this would come in 2.5 % of the cases. Measured per 20,000 values: see docs/monitoring/concept-drift.md
    assert alarms <= runs + 2.0 * np.sqrt(runs)


@pytest.mark.parametrize(
    ("kind", "within"), [("errors", 120), ("normal", 60), ("heavy", 60), ("ar1", 500), ("ar1_heavy", 600), ("costs", 300)]
)
def test_a_rise_by_one_standard_deviation_is_soon_found(kind, within):
    rng, delays = np.random.default_rng(72), []
    for _ in range(8):
        values = stationary(kind, rng, 4_000)
        rest = values[2000:] + np.std(np.minimum(values[:1000], np.quantile(values[:1000], 0.99)))
        if kind == "errors":
            rest = (rng.random(2_000) < 0.3).astype(float)
        if kind == "costs":  # ten times as often
            rest = np.where(rng.random(2_000) < 0.05, rng.lognormal(3.0, 1.0, 2_000), 0.0)
        found = first_alarm(advance_all(start(values[:1000], RUN_LENGTH), values[1000:2000].tolist()), rest)
        assert found is not None
        delays.append(found[0])
    assert np.median(delays) <= within


def test_where_nearly_all_values_are_the_same_the_others_are_seen():
    """Of 1,000 transactions five cost something: the 99 % quantile of all of them is 0."""
    baseline = [0.0] * 1_000
    for place, cost in zip(range(100, 1_000, 200), (1.0, 2.0, 3.0, 4.0, 5.0), strict=True):
        baseline[place] = cost
    watch = start(baseline, RUN_LENGTH)
    count, alarmed = first_alarm(watch, [5.0] * 50)
    assert count <= 5
    assert alarmed.change.lower <= 0 <= alarmed.change.upper
    assert not advance_all(watch, [0.0] * 2 * RUN_LENGTH).alarms


def test_where_the_commonest_value_is_the_largest_none_is_cut():
    assert start([0.5, 0.7, *[1.0] * 998], RUN_LENGTH).cap is None


def test_the_interval_of_since_when_covers_at_alarms():
    rng, covered, alarms = np.random.default_rng(73), 0, 0
    for _ in range(20):
        values = rng.normal(size=1_500)
        values[800:] += 0.7
        found = first_alarm(start(values[:500], RUN_LENGTH), values[500:])
        if found is not None and found[0] > 300:
            alarms += 1
            covered += found[1].change.lower <= 300 <= found[1].change.upper
    assert alarms >= 18
    assert covered >= alarms - 4  # 0.3 % of a binomial(20, 0.95)


def test_an_alarm_is_told_once_and_what_follows_becomes_normal():
    rng = np.random.default_rng(74)
    errors = np.concatenate([rng.random(3_000) < 0.1, rng.random(8_000) < 0.4]).astype(float)
    watch = advance_all(start(errors[:1000], RUN_LENGTH), errors[1000:].tolist())
    assert watch.alarms == 1
    assert watch.change.lower <= 2_000 <= watch.change.upper


@pytest.mark.parametrize("block", [1, 4])
def test_what_follows_an_alarm_is_cut_where_it_is_large_itself(block):
    """Cut where the first baseline's values were large, all of it is one value, and no rise of it is seen."""
    rng = np.random.default_rng(77)
    watch = advance_all(start(1.0 + 0.1 * rng.normal(size=300), RUN_LENGTH, block), (3.0 + 0.1 * rng.normal(size=200)).tolist())
    assert watch.alarms == 1
    assert 3.0 < watch.cap < 3.6
    assert not watch.since_alarm
    count, again = first_alarm(watch, 300.0 + rng.normal(size=200))
    assert count <= 60
    assert again.change.lower <= 200 <= again.change.upper
    later = advance_all(again, (300.0 + rng.normal(size=150)).tolist())
    assert later.cap > 300.0
    assert advance_all(later, (300.0 + rng.normal(size=400)).tolist()).alarms == later.alarms
    assert codec.decode(codec.encode(later), LossWatch) == later


def test_a_watch_that_alarmed_before_values_were_kept_gets_a_cap_of_its_own_too():
    rng = np.random.default_rng(78)
    watch = advance_all(start(1.0 + 0.1 * rng.normal(size=300), RUN_LENGTH, 4), (3.0 + 0.1 * rng.normal(size=202)).tolist())
    stored = codec.plain(watch)
    old = {name: value for name, value in stored.items() if name not in ("since_alarm", "cap_alarms")} | {"cap": 1.2}
    kept = advance_all(codec.revive(old, LossWatch), (3.0 + 0.1 * rng.normal(size=40)).tolist())
    assert kept.cap > 3.0
    assert (kept.seen - 204) % 4 == kept.open_values


def test_a_rise_that_stays_below_the_cap_keeps_what_was_learned_of_it():
    rng = np.random.default_rng(79)
    baseline = np.where(rng.random(1_000) < 0.05, 9.0, 0.0) + rng.random(1_000)
    watch = advance_all(start(baseline, RUN_LENGTH, 1), (1.0 + rng.random(200)).tolist())
    assert (watch.alarms, watch.cap_alarms) == (1, 1)
    assert watch.cap > 9.0
    assert watch.normal.n > 190


def test_losses_that_never_vary_are_no_alarm_by_their_number():
    watch = advance_all(start([0.0] * 100, 1_000, block=1), [0.0] * 2_500)
    assert watch.alarms == 0
    assert watch.evidence >= 1.0
    assert advance_all(watch, [0.1]).alarms == 1  # what it waited for; without them one value tells as much


@pytest.mark.parametrize(
    ("name", "within"), [("mixed_0101_abrupto", 10), ("sine_0123_abrupto", 10), ("rt_2563789698568873_abrupto", 40)]
)
def test_known_change_points_are_found_at_once_and_nothing_before(name, within):
    features, labels = table(f"known_drift_synthetic/{name}")
    model = DecisionTreeClassifier(max_depth=8, random_state=0).fit(features[:2000], labels[:2000])
    errors = (model.predict(features[2000:12_000]) != labels[2000:12_000]).astype(float)
    # a budget that 7,000 values hardly touch
    count, watch = first_alarm(start(errors[:1000], 10 * RUN_LENGTH), errors[1000:])
    assert 7_000 < count <= 7_000 + within
    assert watch.change.lower <= 7_000 <= watch.change.upper


@pytest.mark.parametrize("kind", ["errors", "normal", "ar1"])
def test_a_watch_is_small_and_survives_storage(kind):
    values = stationary(kind, np.random.default_rng(75), 5_300)
    watch = advance_all(start(values[:300], RUN_LENGTH), values[300:].tolist())
    stored = codec.encode(watch)
    assert len(stored) < 12_000
    assert codec.decode(stored, LossWatch) == watch


def test_a_baseline_shorter_than_its_dependence_asks_for_learns_first():
    values = np.repeat(np.random.default_rng(76).normal(size=10), 10)
    watch = start(values, RUN_LENGTH, block=20)
    assert watch.learning
    assert not advance_all(watch, [0.0] * 140).learning


@pytest.mark.parametrize(
    ("baseline", "run_length"), [([0.1] * (LEAST_BASELINE - 1), 100), ([0.1] * 29 + [np.nan], 100), ([0.1, 0.2] * 50, 0.5)]
)
def test_a_baseline_that_says_nothing_is_refused(baseline, run_length):
    with pytest.raises(ValueError, match="expected"):
        start(baseline, run_length)


def test_a_loss_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="finite loss"):
        advance(start([0.0, 1.0] * 50, 1000), float("nan"))


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        ([float("nan")] * 100, "found 100 of 100 that are NaN or infinite"),
        ([0.0] * 99 + [float("inf")], "found 1 of 100 that are NaN or infinite"),
        ([0.0] * 29, "expected at least 30 finite values as a baseline, found 29"),
        ([[0.0, 1.0]] * 50, r"found an array of shape \(50, 2\)"),
        (["low", "high"] * 50, "found some that are no numbers"),
    ],
)
def test_a_baseline_that_is_none_is_told_by_what_was_found(baseline, words):
    with pytest.raises(ValueError, match=words):
        start(baseline, 1000)
