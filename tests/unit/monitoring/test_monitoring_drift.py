"""Simulations with fixed seeds. Budget: one false alarm in 90 windows, half of it for drift: mean run length 180 windows or more."""

from datetime import timedelta

import msgspec
import numpy as np
import pytest
from monitored_world import POLICY, day, rows, watched

from flyball.monitoring.drift import DriftState, accept, begin_anew, judge, weights_of
from flyball.monitoring.reference import build
from flyball.monitoring.window_counts import profile_of
from flyball.records import codec
from flyball.records.findings import FindingKind
from flyball.records.signature import Column, ColumnType, Signature


def any_size(rng):
    return int(np.exp(rng.uniform(np.log(100), np.log(4000))))


def live(reference, windows, *, state=None):
    """Findings per window, and the last state."""
    state, found = state or DriftState(), []
    for number, (columns, scores) in enumerate(windows):
        reading = judge(reference, state, profile_of(reference, columns, scores), day(number), POLICY)
        state = reading.state
        found.append(reading.findings)
    return found, state


def test_without_drift_alarms_stay_within_the_budget_for_windows_of_every_size():
    rng, alarms, windows = np.random.default_rng(21), 0, 0
    for _ in range(3):
        found, _ = live(watched(rng, n=400), (rows(rng, any_size(rng))[:2] for _ in range(120)))
        alarms += sum(bool(findings) for findings in found)
        windows += len(found)
    assert alarms / windows <= 1 / POLICY.drift_run_length + 2 * np.sqrt(1 / POLICY.drift_run_length / windows)


@pytest.mark.parametrize(
    ("shift", "moved"), [({"warmer": 0.2}, "temp"), ({"more_a": 0.08}, "carrier"), ({"missing": 0.04}, "temp")]
)
def test_a_jump_in_a_window_of_a_thousand_rows_is_found_in_that_window(shift, moved):
    rng, at_once = np.random.default_rng(22), 0
    reference = watched(rng, n=800)
    _, state = live(reference, (rows(rng, 1000)[:2] for _ in range(5)))
    for _ in range(10):
        (findings,), _ = live(reference, [rows(rng, 1000, **shift)[:2]], state=msgspec.structs.replace(state, last_window=""))
        at_once += bool(findings) and findings[0].subject == moved
    assert at_once >= 8


def test_a_shift_is_found_alike_in_small_and_large_windows_and_its_effect_is_told():
    rng = np.random.default_rng(23)
    reference = watched(rng)
    sizes = {}
    for n in (500, 20_000):
        found, _ = live(reference, (rows(rng, n, warmer=1.0)[:2] for _ in range(12)))
        finding = next(finding for findings in found for finding in findings if finding.subject == "temp")
        assert finding.kind is FindingKind.FEATURE_DRIFT
        sizes[n] = finding.effect
    assert sizes[500] == pytest.approx(sizes[20_000], rel=0.15)
    assert "of rows are at least" in finding.words
    assert ", before " in finding.words
    assert finding.effects["wasserstein"] == pytest.approx(1.0, abs=0.1)
    assert finding.effects["js"] == finding.effect
    assert {"psi", "share_points"} < set(finding.effects)


def test_a_lasting_shift_is_told_once_and_a_further_one_again():
    rng = np.random.default_rng(24)
    shifts = [1.0] * 50 + [2.0] * 30
    found, state = live(watched(rng), (rows(rng, 1000, warmer=shift)[:2] for shift in shifts))
    raised = [number for number, findings in enumerate(found) if any(f.subject == "temp" for f in findings)]
    assert len(raised) == 2
    assert raised == [0, 50]
    assert state.streams["temp"].alarms == 2


def test_the_predictions_hold_a_fifth_of_the_budget_at_least():
    weights = weights_of(watched(np.random.default_rng(1), days=10, n=100))
    assert sum(weights.values()) == pytest.approx(1.0)
    assert weights["prediction"] == pytest.approx(0.2)


def test_moved_predictions_are_a_finding_of_their_own():
    rng = np.random.default_rng(26)
    windows = [(columns, np.clip(scores + shift, 0, 1)) for shift in (0.0, 0.15) for columns, scores, _ in (rows(rng, 1000),)]
    found, _ = live(watched(rng), windows)
    kinds = {(finding.kind, finding.subject) for findings in found for finding in findings}
    assert (FindingKind.PREDICTION_DRIFT, "prediction") in kinds


def test_the_same_window_judged_again_changes_nothing():
    rng = np.random.default_rng(27)
    reference = watched(rng, days=10, n=100)
    columns, scores, _ = rows(rng, 500)
    profile = profile_of(reference, columns, scores)
    first = judge(reference, DriftState(), profile, day(0), POLICY)
    second = judge(reference, first.state, profile, day(0), POLICY)
    assert second.state == first.state
    assert second.distances == first.distances


def test_a_window_of_few_rows_is_shown_and_not_tested():
    rng = np.random.default_rng(28)
    reference = watched(rng, days=10, n=100)
    columns, scores, _ = rows(rng, 20, warmer=9.0)
    reading = judge(reference, DriftState(), profile_of(reference, columns, scores), day(0), POLICY)
    assert reading.state == DriftState()
    assert reading.distances["temp"] > 0.5
    assert "20 rows are fewer than min_rows 50" in reading.note


def test_judging_is_the_same_byte_for_byte_and_survives_storage():
    rng = np.random.default_rng(29)
    reference = watched(rng, days=10, n=100)
    windows = [rows(rng, 200, warmer=0.7)[:2] for _ in range(12)]
    found, state = live(reference, windows)
    again, once_more = live(reference, windows)
    assert codec.encode((found, state)) == codec.encode((again, once_more))
    assert codec.decode(codec.encode(state), DriftState) == state


def test_slow_drift_that_no_window_shows_is_found_in_blocks():
    rng = np.random.default_rng(35)
    drifting = [0.0] * 5 + list(np.linspace(0.0, 0.2, 20)) + [0.2] * 15
    found, _ = live(watched(rng, n=300), (rows(rng, 200, warmer=shift)[:2] for shift in drifting))
    told = [(number, finding) for number, findings in enumerate(found) for finding in findings if finding.subject == "temp"]
    assert told[0][0] < 36
    assert "windows together" in told[0][1].evidence.note


def test_an_outage_of_one_window_is_told_once_and_normal_is_normal_again():
    rng = np.random.default_rng(36)
    reference = watched(rng, n=600)
    shifts = [0.0, 2.0, 0.0, 0.0, 0.0, 2.0]
    found, state = live(reference, (rows(rng, 800, warmer=shift)[:2] for shift in shifts))
    assert [any(f.subject == "temp" for f in findings) for findings in found] == [False, True, False, False, False, True]
    assert state.streams["temp"].alarms == 2


@pytest.mark.parametrize("word", [begin_anew, accept])
def test_a_shift_that_was_seen_is_not_told_again_and_its_end_is(word):
    rng = np.random.default_rng(37)
    reference = watched(rng, n=600)
    _, state = live(reference, (rows(rng, 800, warmer=1.0)[:2] for _ in range(3)))
    assert state.streams["temp"].alarms == 1
    state = msgspec.structs.replace(word(state, "temp"), last_window="")
    found, state = live(reference, (rows(rng, 800, warmer=1.0)[:2] for _ in range(4)), state=state)
    assert not any(finding.subject == "temp" for findings in found for finding in findings)
    _, ended = live(reference, (rows(rng, 800)[:2] for _ in range(9)), state=msgspec.structs.replace(state, last_window=""))
    assert ended.streams["temp"].alarms == 2


@pytest.mark.parametrize(("word", "returns"), [(begin_anew, True), (accept, False)])
def test_the_reference_comes_back_by_itself_only_where_the_shift_was_not_taken_as_normal(word, returns):
    rng = np.random.default_rng(43)
    reference = watched(rng, n=600)
    _, state = live(reference, (rows(rng, 800, warmer=shift)[:2] for shift in (0.0, 2.0)))
    state = msgspec.structs.replace(word(state, "temp"), last_window="")
    _, state = live(reference, (rows(rng, 800)[:2] for _ in range(9)), state=state)
    assert state.streams["temp"].from_reference is returns


def test_what_is_like_the_reference_again_is_normal_already():
    rng = np.random.default_rng(41)
    reference = watched(rng, n=600)
    _, state = live(reference, (rows(rng, 800, warmer=shift)[:2] for shift in (0.0, 2.0, *[0.0] * 9)))
    assert state.streams["temp"].from_reference
    assert not accept(state, "temp").streams["temp"].accepted
    assert accept(state, "temp").streams["temp"].pool == state.streams["temp"].pool
    assert accept(state, "nobody") == state


def test_a_shift_of_a_third_of_a_point_is_no_alarm_however_many_rows_prove_it():
    rng = np.random.default_rng(38)
    reference = watched(rng, n=5_000)
    found, _ = live(reference, [rows(rng, 200_000, more_a=0.003)[:2], rows(rng, 200_000, more_a=0.02)[:2]])
    assert not any(f.subject == "carrier" for f in found[0])
    assert any(f.subject == "carrier" for f in found[1])


def test_drift_of_which_no_harm_is_known_pages():
    rng = np.random.default_rng(39)
    reference = watched(rng, n=400)
    columns, scores, _ = rows(rng, 1000, warmer=1.0)
    profile = profile_of(reference, columns, scores)
    (finding,) = judge(reference, DriftState(), profile, day(0), POLICY).findings
    assert (finding.harm, finding.pages) == (None, True)


def test_new_categories_and_missing_values_are_drift_like_any_other():
    rng = np.random.default_rng(40)
    reference = watched(rng, n=400)
    columns, scores, _ = rows(rng, 1000)
    columns["carrier"][:30] = "Z"
    columns["seats"][:40] = np.nan
    found, _ = live(reference, [(columns, scores)])
    words = {finding.subject: finding.words for finding in found[0]}
    assert "3.0 % of rows have a value never seen before" in words["carrier"]
    assert "4.0 % of rows are missing, before 0 %" in words["seats"]


def test_a_stream_is_remembered_in_a_kilobyte_or_two():
    rng = np.random.default_rng(41)
    reference = watched(rng, n=400)
    _, state = live(reference, (rows(rng, 3000)[:2] for _ in range(30)))
    assert len(codec.encode(state)) < 1500 * len(reference.streams)


def test_a_reference_of_thousands_of_windows_tells_how_single_ones_differ():
    """Hours of half a year, each with a luck of its own: joined by 25 they differ a fifth as much, and single ones alarmed four times the budget."""
    windows, rows_each, judged, alarms = 5000, 60, 300, 0
    signature = Signature(task="binary", columns=(Column(name="x", type=ColumnType.NUMBER),), classes=("no", "yes"))
    for seed in (31, 32):
        rng = np.random.default_rng(seed)
        number = np.repeat(np.arange(windows + judged), rows_each)
        x = rng.normal(size=number.size) + rng.normal(0.0, 0.3, windows + judged)[number]
        then = number < windows
        reference = build(signature, {"x": x[then]}, number[then] * 3_600_000_000, None, timedelta(hours=1), None)
        lived = ((({"x": x[number == windows + one]}), None) for one in range(judged))
        found, _ = live(reference, lived)
        alarms += sum(bool(findings) for findings in found)
    assert alarms / (2 * judged) <= 1 / POLICY.drift_run_length + 2 * np.sqrt(1 / POLICY.drift_run_length / (2 * judged))


def restless(rng, days=60, rows_each=600):
    """A reference of one number whose days differ by 0.3 standard deviations anyway; and a window that has moved by so much."""
    number = np.repeat(np.arange(days), rows_each)
    x = rng.normal(size=number.size) + rng.normal(0.0, 0.3, days)[number]
    signature = Signature(task="binary", columns=(Column(name="x", type=ColumnType.NUMBER),), classes=("no", "yes"))
    reference = build(signature, {"x": x}, number * 86_400_000_000, None, timedelta(days=1), None)
    assert not reference.exchangeable
    return reference, lambda shift: ({"x": rng.normal(shift + rng.normal(0.0, 0.3), 1.0, rows_each)}, None)


def test_the_reference_comes_back_after_an_outage_also_where_its_windows_differ_anyway():
    rng, returned = np.random.default_rng(44), []
    for outage in (1,) * 16:
        reference, window = restless(rng)
        _, state = live(reference, [window(4.0) for _ in range(outage)] + [window(0.0) for _ in range(9)])
        assert state.streams["x"].alarms >= 1
        returned.append(state.streams["x"].from_reference)
    assert np.mean(returned) >= 0.9


@pytest.mark.parametrize("broken", [1, 4], ids=["one window", "a while"])
def test_windows_that_were_broken_and_mended_hide_no_shift_that_comes_after(broken):
    rng = np.random.default_rng(46)
    reference, window = restless(rng)
    _, state = live(reference, [window(0.0)] * 3 + [window(400.0)] * broken + [window(0.0) for _ in range(9)])
    assert state.streams["x"].from_reference
    columns, scores = window(4.0)
    reading = judge(reference, state, profile_of(reference, columns, scores), day(99), POLICY)
    assert [finding.subject for finding in reading.findings] == ["x"]


def test_an_alarm_teaches_how_far_days_may_be_off_up_to_twice_the_furthest_before():
    """Nothing, and days that are seldom far off would be told each time: 0.9 alarms in 100 windows of storms or heavy tails, where 0.55 are allowed; so 0.35 to 0.55."""
    reference, window = restless(np.random.default_rng(47))
    _, before = live(reference, [window(0.0)] * 3)
    _, after = live(reference, [window(400.0)], state=msgspec.structs.replace(before, last_window=""))
    (was, *_), (now, *_) = before.streams["x"].spreads, after.streams["x"].spreads
    assert now.windows == was.windows + 1
    assert now.furthest[0] == pytest.approx(2.0 * was.furthest[0])


def test_a_shift_that_lasts_is_told_once_also_where_windows_differ_anyway():
    rng, alarms, returned = np.random.default_rng(45), [], 0
    for _ in range(10):
        reference, window = restless(rng)
        _, state = live(reference, [window(3.0) for _ in range(30)])
        alarms.append(state.streams["x"].alarms)
        returned += state.streams["x"].from_reference
    assert alarms == [1] * 10
    assert returned == 0
