"""Dependence that breaks, and margins that move while it stays: real rows, judged by drift under its budget of one alarm in 90 windows."""

import re

import msgspec
import numpy as np
import pytest
from monitored_world import POLICY, day
from real_rows import columns as real_columns
from real_rows import divided, draw, kinds

from flyball.errors import DataError
from flyball.monitoring import blocks, joint, joint_rows, joint_words, reference
from flyball.monitoring.drift import DriftState, judge
from flyball.monitoring.joint_reference import with_joint
from flyball.monitoring.window_counts import profile_of
from flyball.records import codec
from flyball.records.findings import FindingKind
from flyball.records.signature import Column, ColumnType, Signature


class Watched:
    """A reference of real rows with its joint streams."""

    def __init__(self, columns, n, rest=None, rng=None):
        self.rest, self.rng, self.n, self.kinds = rest, rng, n, kinds(columns)
        size = len(next(iter(columns.values())))
        types = {"number": ColumnType.NUMBER, "category": ColumnType.CATEGORY}
        listed = tuple(Column(name=name, type=types[kind], missing=True) for name, kind in self.kinds.items())
        windows = blocks.cut(size, None, n).windows
        self.directions = joint.build(self.kinds, columns, windows)
        plain = reference.build(Signature(task="binary", classes=("0", "1"), columns=listed), columns, None, None, n, None)
        self.reference = with_joint(plain, self.directions, columns, windows)

    @classmethod
    def of_table(cls, name, rows, n, seed=1):
        used, rest, rng = divided(real_columns(name), rows, seed)
        return cls(used, n, rest, rng)

    def draw(self, weights=None):
        return draw(self.rest, self.n, self.rng, weights)

    def judge(self, window, state=None):
        profile = profile_of(self.reference, window | joint_rows.project(self.directions, window), None)
        return judge(self.reference, state or DriftState(), profile, day(state.windows if state else 0), POLICY)

    def found(self, window):
        """All findings as told; names of features that drifted alone; whether a joint stream raised an alarm."""
        findings = self.judge(window).findings
        drifted = [each.subject for each in findings if each.kind is FindingKind.FEATURE_DRIFT]
        told = joint_words.tell(self.directions, joint_rows.observe(self.directions, window).pairs, findings, drifted)
        return told, drifted, any(each.kind is FindingKind.JOINT_DRIFT for each in findings)

    def told(self, window):
        return [each for each in self.found(window)[0] if each.kind is FindingKind.JOINT_DRIFT]


@pytest.mark.parametrize(
    ("table", "rows", "broken"),
    [
        ("adult_iid_pool", 5000, ["age", "education", "marital_status", "occupation", "relationship", "sex"]),
        ("hotel_booking", 5000, ["hotel", "market_segment", "reserved_room_type", "agent", "company", "adr"]),
        ("gas_sensor_drift", 2000, ["f1", "f20", "f77", "f128"]),
    ],
)
def test_a_column_shuffled_against_the_rest_is_told_in_one_window_and_named(table, rows, broken):
    world, named = Watched.of_table(table, rows, 500), []
    for name in broken:
        window = world.draw()
        window[name] = world.rng.permutation(window[name])
        told, drifted, _ = world.found(window)
        assert not drifted  # no margin moved
        named.append(any(each.kind is FindingKind.JOINT_DRIFT and re.search(rf"\b{name}\b", each.words) for each in told))
    assert np.mean(named) >= 0.9


@pytest.mark.parametrize(
    ("table", "rows", "most"), [("adult_iid_pool", 5000, 6), ("hotel_booking", 5000, 10), ("gas_sensor_drift", 2000, 3)]
)
def test_margins_that_move_while_dependence_stays_are_no_joint_drift(table, rows, most):
    world, told, alarmed = Watched.of_table(table, rows, 500), 0, 0
    numbers = [name for name, kind in world.kinds.items() if kind == "number"][:most]
    for name in numbers:
        mapped = world.draw()
        mapped[name] = 1.3 * mapped[name] + 0.3 * np.nanstd(mapped[name])
        ranks = np.argsort(np.argsort(np.nan_to_num(world.rest[name]))) / len(world.rest[name])
        for moved in (mapped, world.draw(np.exp(ranks) / np.exp(ranks).sum())):
            found, drifted, joined = world.found(moved)
            alarmed += bool(drifted) or joined
            told += any(each.kind is FindingKind.JOINT_DRIFT for each in found)
    assert alarmed >= len(numbers)  # it is not that nothing moved
    assert told <= 0.1 * 2 * len(numbers)


def test_without_drift_joint_streams_keep_the_budget_over_draws_of_small_references_too():
    windows, alarms = 0, 0
    for seed in range(6):
        used, rest, rng = divided(real_columns("adult_iid_pool"), 1000, seed)
        world, state = Watched(used, 300, rest, rng), DriftState()
        alone = tuple(stream for stream in world.reference.streams if stream.role == "joint")
        world.reference = msgspec.structs.replace(world.reference, streams=alone)
        for _ in range(20):
            reading = world.judge(world.draw(), state)
            state, windows = reading.state, windows + 1
            alarms += any(each.kind is FindingKind.JOINT_DRIFT for each in reading.findings)
    level = 1.0 / POLICY.drift_run_length
    assert alarms <= windows * level + 2.0 * np.sqrt(windows * level)


def test_a_slight_slip_between_sensors_is_seen_by_the_components():
    world = Watched.of_table("gas_sensor_drift", 4000, 500)
    found = []
    for name in list(world.kinds)[::16]:
        window = world.draw()
        some = np.flatnonzero(world.rng.random(world.n) < 0.2)
        window[name][some] = world.rng.permutation(window[name][some])
        found.append(any("component" in each.subject for each in world.judge(window).findings))
    assert np.mean(found) >= 0.5


def small(rng, n):
    a = rng.normal(size=n)
    return {"a": a, "b": a + 0.5 * rng.normal(size=n), "c": np.where(a > 0, "x", "y").astype(object), "d": rng.normal(size=n)}


SMALL = {"a": "number", "b": "number", "c": "category", "d": "number"}


def test_independent_columns_make_no_directions_at_their_level():
    rng, made = np.random.default_rng(3), 0
    for _ in range(20):
        columns = {f"x{i}": rng.normal(size=3000) for i in range(20)}
        made += len(joint.build(dict.fromkeys(columns, "number"), columns, [np.arange(3000)]).pairs)
    assert made <= 8  # of 3,800 pairs, one in 500


def test_a_column_that_nothing_depends_on_is_in_no_direction():
    directions = joint.build(SMALL, small(np.random.default_rng(4), 2000), [np.arange(2000)])
    assert {name for stream in directions.names for name in joint.columns_of(directions, stream)} == {"a", "b", "c"}


def test_no_columns_have_no_directions():
    directions = joint.build({}, {"a": [1.0, 2.0]}, [np.arange(2)])
    assert directions.names == ()
    assert joint_rows.project(directions, {"a": [1.0]}) == {}


def test_projections_are_the_same_row_by_row_and_counts_merge_to_the_same():
    rng = np.random.default_rng(5)
    directions = joint.build(SMALL, small(rng, 2000), [np.arange(2000)])
    rows = small(rng, 300)
    rows["a"][:20] = np.nan
    rows["c"][:10] = ""
    whole = joint_rows.project(directions, rows)
    parts = [
        joint_rows.project(directions, {name: values[part] for name, values in rows.items()})
        for part in (slice(0, 7), slice(7, None))
    ]
    for name, values in whole.items():
        assert np.array_equal(values, np.concatenate([part[name] for part in parts]))
        assert np.all(np.isfinite(values))
    counted = [
        joint_rows.observe(directions, {name: values[part] for name, values in rows.items()}).pairs
        for part in (slice(0, 7), slice(7, None))
    ]
    assert joint_rows.merge(*counted) == joint_rows.observe(directions, rows).pairs


def test_what_is_stored_projects_as_what_was_built():
    rng = np.random.default_rng(6)
    directions = joint.build(SMALL, small(rng, 2000), [np.arange(2000)])
    read = codec.decode(codec.encode(directions), joint.Directions)
    rows = small(rng, 100)
    assert all(
        np.array_equal(values, joint_rows.project(read, rows)[name])
        for name, values in joint_rows.project(directions, rows).items()
    )


def test_a_direction_without_one_of_its_columns_is_left_out():
    rng = np.random.default_rng(7)
    directions = joint.build(SMALL, small(rng, 2000), [np.arange(2000)])
    rows = small(rng, 100)
    rows["c"] = rows["c"][:50]  # captured of half of the rows
    assert set(joint_rows.project(directions, rows)) == {
        name for name in directions.names if "c" not in joint.columns_of(directions, name)
    }
    assert () in joint_rows.observe(directions, rows).pairs.counts


def test_a_feature_that_is_called_like_a_direction_keeps_its_name():
    rng = np.random.default_rng(8)
    columns = {"joint.a": rng.normal(size=500), "a": rng.normal(size=500)}
    columns["joint.a"] = columns["a"] + 0.01 * columns["joint.a"]
    directions = joint.build(dict.fromkeys(columns, "number"), columns, [np.arange(500)])
    assert directions.names
    assert not set(directions.names) & set(columns)


@pytest.mark.parametrize(
    ("columns", "windows", "found"), [({"a": [1.0]}, [np.arange(1)], "without b"), ({"a": [1.0], "b": [2.0]}, [], "no rows")]
)
def test_what_cannot_be_built_is_said(columns, windows, found):
    with pytest.raises(DataError, match=found):
        joint.build({"a": "number", "b": "number"}, columns, windows)


def test_directions_of_128_columns_are_tens_of_kilobytes():
    reference, _, _ = divided(real_columns("gas_sensor_drift"), 2000, 9)
    directions = joint.build(kinds(reference), reference, [np.arange(2000)])
    assert len(codec.encode(directions)) < 100_000
    assert len(directions.names) <= joint.MOST_DIRECTIONS
