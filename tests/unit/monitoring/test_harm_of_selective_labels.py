"""Simulated windows whose labels hang on the score, weighted by what they stand for: alarms without harm, and with it. Fixed seeds."""

import numpy as np
import pytest
from monitored_world import DAY_US, POLICY, day
from test_monitoring_performance import SIGNATURE

from flyball.monitoring import reference
from flyball.monitoring.live import WindowRows
from flyball.monitoring.performance import PerformanceState, advance, ended, is_alarm, judge, seen_of
from flyball.monitoring.selective import selection

SHARES = {
    "more of high scores": lambda p: np.where(p > 0.25, 0.9, 0.5),
    "few of the unsure": lambda p: np.where((p > 0.3) & (p < 0.7), 0.15, 0.95),
    "few of the sure": lambda p: np.where(p < 0.1, 0.15, 0.95),
    "the higher the more": lambda p: np.clip(0.15 + 1.2 * p, 0.0, 0.95),
}


def rows(rng, size, shift=0.0):
    p = rng.beta(1.0, 3.0, int(rng.integers(size, 3 * size)))
    return p, (rng.random(p.size) < np.clip(p + shift, 0.0, 1.0)).astype(float)


def holdout(rng, size, luck, days=20):
    parts = [rows(rng, size, rng.normal(0.0, luck)) for _ in range(days)]
    p, y = (np.concatenate(each) for each in zip(*parts, strict=True))
    times = np.repeat(np.arange(days), [len(each) for _, each in parts]) * DAY_US
    held = reference.HoldoutScores(p[:, None], (p - y) ** 2, times)
    return reference.build(SIGNATURE, {"x": p}, times, held, day(0).end - day(0).start, None)


def labelled(rng, p, y, share, known):
    has = rng.random(p.size) < share(p)
    asked = WindowRows(np.zeros(p.size, dtype=np.int64), np.where(has, 1, -1), p[:, None], np.where(has, y, np.nan))
    told, weighting = selection("binary", asked, known=known)
    return has, told, weighting


def alarms(rng, share, size, luck, windows):
    """(alarms, windows judged) of one life without harm; no tolerance hides any."""
    known = holdout(rng, size, luck)
    state, hang_on, told, judged = PerformanceState(), [], 0, 0
    for number in range(windows):
        p, y = rows(rng, size, rng.normal(0.0, luck))
        before = tuple({name for names in hang_on[-8:] for name in names})
        has, found, weighting = labelled(rng, p, y, share, before)
        hang_on.append(found.hang_on)
        if found.kind == "refused":
            continue
        seen = seen_of((p[has] - y[has]) ** 2, day(number), None if weighting is None else weighting.weights)
        if seen.n < POLICY.min_rows:
            continue
        judged += 1
        state = advance(known.baseline, state, seen, seen.mean * seen.n, 0.0)
        if is_alarm(known.baseline, state, POLICY):
            told, state = told + 1, ended(state)
    return told, judged


@pytest.mark.parametrize("lives", [1, pytest.param(20, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("size", [100, 300])
@pytest.mark.parametrize("luck", [0.0, 0.04])
def test_weighted_windows_without_harm_keep_to_the_run_length(lives, size, luck):
    rng = np.random.default_rng(40)
    found = [alarms(rng, share, size, luck, 60) for share in SHARES.values() for _ in range(lives)]
    told, judged = (sum(each) for each in zip(*found, strict=True))
    expected = judged / POLICY.harm_run_length
    assert judged > 120 * lives
    assert told <= expected + 3.0 * expected**0.5


def test_a_harm_is_found_in_weighted_windows_that_count_as_their_effective_rows():
    rng = np.random.default_rng(41)
    known, share = holdout(rng, 300, 0.0), SHARES["more of high scores"]
    state, found = PerformanceState(), ()
    for number in range(20):
        p, y = rows(rng, 300, 0.06)
        has, told, weighting = labelled(rng, p, y, share, ())
        assert told.kind == "corrected"
        reading = judge(known, state, (p[has][:, None], y[has]), day(number), POLICY, weighting)
        state, found = reading.state, (*found, *reading.findings)
        weights = weighting.weights
        assert state.past[-1].n == int(weights.sum() ** 2 / (weights**2).sum()) < has.sum()
        assert state.past[-1].mean == pytest.approx(np.average((p[has] - y[has]) ** 2, weights=weights))
    assert found


def test_few_rows_of_a_plain_sample_s_worth_are_not_tested():
    rng = np.random.default_rng(42)
    known = holdout(rng, 300, 0.0)
    p, y = rows(rng, 40)
    _, _, weighting = labelled(rng, *rows(rng, 300), SHARES["few of the sure"], ())
    steep = weighting._replace(weights=np.where(np.arange(p.size) < 5, 20.0, 1.0), groups=np.zeros(p.size, dtype=np.int64))
    reading = judge(known, PerformanceState(), (p[:, None], y), day(0), POLICY, steep)
    assert reading.state.windows == 0
    assert "of a plain sample, are fewer than min_rows" in reading.note
