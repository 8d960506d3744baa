"""Declared slices. Simulations with fixed seeds: five slices of 3 to 40 % of the rows, days with luck of their own, 400 labelled rows each, 20 days of holdout."""

import numpy as np
import pytest
from monitored_world import day

from flyball.monitoring import declared
from flyball.monitoring.allowance import Allowance
from flyball.monitoring.declared import Chosen, DeclaredState
from flyball.records.findings import FindingKind
from flyball.records.signature import ColumnType
from flyball.spec.slice_conditions import compile_slice

ALLOWANCE = Allowance(run_length=360.0, share=0.05, min_rows=50, tolerance=0.01)
SHARES = {"a": 0.03, "b": 0.05, "c": 0.1, "d": 0.2, "e": 0.4}


def losses_of(rng, u, rise, named):
    """Loss of a row by where it lies; a slice is all rows with `u` below its share."""
    p = 0.1 + 0.1 * u + np.clip(rng.normal(0.0, 0.02), -0.05, 0.05)
    p = p + np.where(u < SHARES[named], rise, 0.0)
    return (rng.random(u.size) < p) * rng.uniform(0.2, 1.0, u.size)


def run(rng, windows, rise=0.0, named="c", holdout_days=20, rows=400, holdout_rows=200):
    """(window, slice) of each alarm."""
    before = [(u := rng.random(holdout_rows), losses_of(rng, u, 0.0, named)) for _ in range(holdout_days)]
    u0, l0 = np.concatenate([u for u, _ in before]), np.concatenate([losses for _, losses in before])
    blocks = np.repeat(np.arange(holdout_days), holdout_rows)
    baselines = {name: declared.baseline_of(l0, blocks, u0 < share) for name, share in SHARES.items()}
    state, alarms = DeclaredState(), []
    for number in range(windows):
        u = rng.random(rows)
        losses = losses_of(rng, u, rise, named)
        chosen = {name: Chosen("x", baselines[name], u < share) for name, share in SHARES.items()}
        reading = declared.judge(chosen, losses, state, day(number), ALLOWANCE)
        state = reading.state
        alarms += [(number + 1, finding.subject) for finding in reading.findings]
    return alarms


def test_without_harm_all_declared_slices_together_keep_to_the_run_length():
    rng = np.random.default_rng(5)
    alarms = sum(len(run(rng, 60)) for _ in range(100))
    assert alarms <= 16  # 6,000 windows at one in 360; measured: 0


def test_slices_keep_to_the_run_length_beside_a_holdout_of_two_windows_too():
    """Stretches of rows do not show how days differ: two days of it never would."""
    rng = np.random.default_rng(7)
    alarms = sum(len(run(rng, 60, holdout_days=2, holdout_rows=2_000)) for _ in range(6))
    assert alarms <= 3  # 360 windows at one in 360; measured: 0, and 6 in 6,000 beside two days of 500 rows


@pytest.mark.parametrize(("named", "rise", "within"), [("a", 0.5, 25), ("c", 0.3, 15), ("e", 0.2, 15)])
def test_a_worse_loss_in_one_of_them_is_found_and_named(named, rise, within):
    rng = np.random.default_rng(6)
    found = [run(rng, within, rise, named) for _ in range(6)]
    assert all(alarms for alarms in found)
    assert all(
        f"slice {named}" in [subject for _, subject in alarms] for alarms in found
    )  # larger ones hold it, and may alarm, too


def test_rows_are_gathered_until_a_stretch_is_full_in_the_holdout_and_in_traffic():
    losses, blocks = np.full(200, 0.1), np.repeat(np.arange(10), 20)
    inside = np.arange(200) % 4 == 0  # 5 of each block
    baseline = declared.baseline_of(losses, blocks, inside)
    assert len(baseline.window_means) == 2  # 20 and 30: the rest is no stretch of its own
    assert baseline.n == 50
    state = DeclaredState()
    for number in range(4):
        few = Chosen("x", declared.baseline_of(losses, blocks, inside | True), np.arange(7) >= 0)
        state = declared.judge({"s": few}, np.full(7, 0.1), state, day(number), ALLOWANCE).state
    assert state.slices["s"].judged.windows == 1
    assert state.slices["s"].judged.n == 21
    assert state.slices["s"].open_rows == 7


def test_a_window_is_judged_once_and_another_condition_begins_anew():
    baseline = declared.baseline_of(np.full(100, 0.1), np.repeat(np.arange(5), 20), np.ones(100, dtype=bool))
    chosen, losses = {"s": Chosen("x > 1", baseline, np.ones(30, dtype=bool))}, np.full(30, 0.1)
    first = declared.judge(chosen, losses, DeclaredState(), day(0), ALLOWANCE)
    assert declared.judge(chosen, losses, first.state, day(0), ALLOWANCE).state == first.state
    other = {"s": Chosen("x > 2", baseline, np.ones(30, dtype=bool))}
    assert declared.judge(other, losses, first.state, day(1), ALLOWANCE).state.slices["s"].judged.windows == 1


def test_a_slice_that_the_holdout_hardly_has_is_not_judged_and_says_why():
    baseline = declared.baseline_of(np.full(59, 0.1), np.zeros(59, dtype=np.int64), np.ones(59, dtype=bool))
    reading = declared.judge(
        {"s": Chosen("x", baseline, np.ones(90, dtype=bool))}, np.ones(90), DeclaredState(), day(0), ALLOWANCE
    )
    assert reading.state.notes == {"s": "not judged: 59 rows of the holdout's sample are in it, fewer than 60"}
    assert not reading.findings
    assert reading.seen["s"].value == 1.0


@pytest.mark.parametrize("windows", [1, 2, 3, 20])
def test_a_slice_with_rows_enough_is_judged_however_many_windows_the_holdout_has(windows):
    """Two windows made two stretches at most, and no slice was ever judged."""
    blocks = np.arange(1_000) * windows // 1_000
    baseline = declared.baseline_of(np.full(1_000, 0.1), blocks, np.arange(1_000) % 2 == 0)
    reading = declared.judge({"s": Chosen("x", baseline, np.arange(90) >= 0)}, np.ones(90), DeclaredState(), day(0), ALLOWANCE)
    assert reading.state.notes == {}
    assert reading.state.slices["s"].judged.windows == 1


def test_a_slice_that_lies_in_two_of_many_windows_is_not_judged_and_its_rows_are_not_called_few():
    blocks = np.arange(2_000) // 100
    baseline = declared.baseline_of(np.full(2_000, 0.1), blocks, blocks < 2)
    reading = declared.judge({"s": Chosen("x", baseline, np.arange(90) >= 0)}, np.ones(90), DeclaredState(), day(0), ALLOWANCE)
    (note,) = reading.state.notes.values()
    assert note.startswith("not judged: its 200 rows of the holdout's sample lie in too few windows: they make 2 stretches")
    assert "fewer than 60" not in note


def test_a_finding_says_which_rows_how_much_and_how_much_of_all_that_is():
    baseline = declared.baseline_of(np.full(400, 0.1), np.repeat(np.arange(20), 20), np.ones(400, dtype=bool))
    state, found, number = DeclaredState(), (), 0
    while not found:
        inside = np.arange(200) < 50
        reading = declared.judge(
            {"vip": Chosen("spend > 9.0", baseline, inside)}, np.where(inside, 0.6, 0.1), state, day(number), ALLOWANCE
        )
        state, found, number = reading.state, reading.findings, number + 1
    (finding,) = found
    assert finding.kind is FindingKind.PERFORMANCE
    assert finding.words.startswith("vip (spend > 9.0): mean loss 0.6000 over its last ")
    assert "25 % of rows" in finding.words
    assert finding.effect == pytest.approx(0.5)
    assert finding.harm == pytest.approx(0.125)
    assert finding.share_of_budget == 0.05


def test_features_are_of_the_type_that_people_write():
    types = {"n": ColumnType.INTEGER, "b": ColumnType.BOOLEAN, "x": ColumnType.NUMBER, "c": ColumnType.CATEGORY}
    columns = {
        "n": np.array([2.0, 3.0, np.nan]), "b": np.array([1.0, 0.0, np.nan]), "x": np.array([0.5, np.inf, np.nan]),
        "c": np.array(["a", "", "b"], dtype=object),
    }  # fmt: skip
    for text, expected in {
        "n % 2 == 0": [True, False, False], "b": [True, False, False], "x < 1.0": [True, False, False], "c == null": [False, True, False],
        "n == null": [False, False, True],
    }.items():  # fmt: skip
        assert declared.inside(compile_slice(text, dict.fromkeys(types)), columns, types).tolist() == expected
