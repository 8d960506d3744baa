"""Panels: the same entities in the same order, a row each a day. Nothing moves, so nothing is to be told, however the reference takes its samples."""

from datetime import timedelta

import msgspec
import numpy as np
import pytest
from monitored_world import DAY_US, POLICY, day

from flyball.monitoring import blocks, exchangeable, joint, joint_rows, reference, streams
from flyball.monitoring.drift import DriftState, judge
from flyball.monitoring.joint_reference import with_joint
from flyball.monitoring.window_counts import profile_of
from flyball.records.signature import Column, ColumnType, Signature

SIGNATURE = Signature(
    task="binary", classes=("0", "1"), columns=(Column(name="store", type=ColumnType.CATEGORY), Column(name="sales", type=ColumnType.NUMBER))
)  # fmt: skip
ANYTHING = msgspec.structs.replace(POLICY, min_rows=5)


def panel(rng, stores, rounds):
    """So many rounds of all stores; what one sells is its own."""
    number = np.tile(np.arange(stores), rounds)
    names = np.array([f"s{each:04d}" for each in range(stores)], dtype=object)[number]
    return {"store": names, "sales": np.round(np.sin(number) + 0.3 * rng.normal(size=number.size), 3)}


def lived(stores, rounds, days, windows, seed=1):
    """(windows with a finding, whether features alone): of a reference of `days` with `rounds` of all stores each."""
    rng = np.random.default_rng(seed)
    columns, times = panel(rng, stores, rounds * days), np.repeat(np.arange(days), stores * rounds) * DAY_US
    cut = blocks.cut(times.size, times, timedelta(days=1))
    plain = reference.build(SIGNATURE, columns, times, None, timedelta(days=1), None)
    directions = joint.build({"store": "category", "sales": "number"}, columns, cut.windows)
    watched, state, found = with_joint(plain, directions, columns, cut.windows), DriftState(), []
    for number in range(windows):
        seen = panel(rng, stores, rounds)
        profile = profile_of(watched, seen | joint_rows.project(directions, seen), None)
        reading = judge(watched, state, profile, day(number), ANYTHING)
        state = reading.state
        found += [finding.subject for finding in reading.findings]
    return found


@pytest.mark.parametrize(("stores", "rounds"), [(300, 1), (24, 1), (7, 3), (24, 12), (7, 48), (144, 1), (377, 1)])
def test_a_panel_in_order_raises_no_alarm(stores, rounds):
    assert lived(stores, rounds, days=30, windows=30) == []


@pytest.mark.parametrize("stores", [7, 13, 24, 144, 300, 377])
def test_every_entity_of_a_panel_has_its_turn_in_what_is_dealt(stores):
    days = 60
    windows = tuple(np.arange(stores * days).reshape(days, stores))
    turns = blocks.dealt(3, stores * days, windows).reshape(days, stores).mean(axis=0)
    assert 0.25 < turns.min() <= turns.max() < 0.42
    assert np.array_equal(blocks.dealt(3, 7, ()), blocks.one_in(3, 7, 0))


@pytest.mark.parametrize(("n", "every"), [(0, 1), (1, 3), (20_001, 2), (300 * 60, 3), (300 * 60, 10)])
def test_a_sample_has_one_of_each_few_neighbours_and_of_every_place(n, every):
    picked = blocks.sampled(n, every)
    assert (picked // every).tolist() == list(range(-(-n // every)))
    assert picked.max(initial=-1) < n
    if n > 300:
        stores = np.bincount(picked % 300, minlength=300) * every / (n / 300)
        assert stores.min() > 0.3


@pytest.mark.parametrize("restless", range(7))
def test_the_windows_of_a_slot_that_are_looked_at_are_of_all_weekdays(restless):
    """Of 364 days every seventh was: one weekday stood for all. One of them is restless here, the others differ by chance."""
    rng = np.random.default_rng(6)
    warmer = np.where(np.arange(364) % 7 == restless, rng.normal(size=364), 0.0)
    values = warmer[:, None] + rng.normal(size=(364, 100))
    stream = streams.bins_for_numbers("x", "feature", values.ravel())
    per_window = np.array([streams.bin_of(stream, each) for each in values])
    everything, some = (exchangeable._squares(stream, per_window, most).squares for most in (None, exchangeable.MOST_A_SLOT))
    assert len(some) <= exchangeable.MOST_A_SLOT
    assert np.mean([row[0] for row in some]) == pytest.approx(np.mean([row[0] for row in everything]), rel=0.6)
    short = per_window[: exchangeable.MOST_A_SLOT]
    assert exchangeable._squares(stream, short, exchangeable.MOST_A_SLOT) == exchangeable._squares(stream, short)


def test_a_pairs_spread_is_of_all_weekdays():
    """The dependence of two columns breaks on Thursdays. Of 70 days ten Mondays stood for all."""
    rng, n = np.random.default_rng(5), 300
    first = rng.normal(size=70 * n)
    thursday = np.arange(70).repeat(n) % 7 == 3
    second = np.where(thursday, rng.normal(size=first.size), first + 0.3 * rng.normal(size=first.size))
    windows = tuple(np.arange(70 * n).reshape(70, n))
    directions = joint.build({"a": "number", "b": "number"}, {"a": first, "b": second}, windows)
    assert directions.pairs[0].spread > 2.0
