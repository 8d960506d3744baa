"""Dependence that breaks, and margins that move while it stays. Real rows; thresholds are the worst of 40 windows in which nothing changed."""

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from real_rows import columns as real_columns
from real_rows import divided, draw, kinds

from flyball.errors import DataError
from flyball.monitoring import joint, joint_words, streams
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def finding(name):
    return Finding(
        id=name, kind=FindingKind.FEATURE_DRIFT, model="m", unit="u", subject=name, window_start=NOW, window_end=NOW, effect=0.1,
        effect_unit="", evidence=Evidence(name="drift_detector", value=400.0), share_of_budget=0.5, words="",
    )  # fmt: skip


class Watched:
    """A reference, its streams, and the scores that no quiet window reached."""

    def __init__(self, name, rows, n, seed=1):
        self.reference, self.rest, self.rng = divided(real_columns(name), rows, seed)
        self.kinds, self.n = kinds(self.reference), n
        self.directions = joint.build(self.kinds, self.reference, np.array_split(np.arange(rows), 10))
        projected = joint.project(self.directions, self.reference)
        self.joint = [self.stream(name, values) for name, values in projected.items()]
        self.features = [self.stream(name, values) for name, values in self.reference.items()]
        quiet = [draw(self.rest, n, self.rng) for _ in range(40)]
        self.worst_joint = np.max([self.scores(self.joint, joint.project(self.directions, window)) for window in quiet], axis=0)
        self.worst_feature = np.max([self.scores(self.features, window) for window in quiet], axis=0)

    def stream(self, name, values):
        make = streams.bins_for_categories if self.kinds.get(name) == "category" else streams.bins_for_numbers
        stream = make(name, "joint" if name.startswith(joint.PREFIX) else "feature", values)
        return msgspec.structs.replace(stream, counts=tuple(streams.bin_of(stream, values).tolist()))

    @staticmethod
    def scores(watched, values):
        return np.array([streams.score(stream, streams.bin_of(stream, values[stream.name])) for stream in watched])

    def alarms(self, window):
        """Names of joint streams and of features that moved further than they ever did."""
        joined = self.scores(self.joint, joint.project(self.directions, window)) > 1.2 * self.worst_joint
        alone = self.scores(self.features, window) > 1.2 * self.worst_feature
        return (
            [stream.name for stream, moved in zip(self.joint, joined, strict=True) if moved],
            [stream.name for stream, moved in zip(self.features, alone, strict=True) if moved],
        )

    def told(self, window):
        """Columns that the first joint finding names, or None."""
        moved, drifted = self.alarms(window)
        counted = joint_words.count_pairs(self.directions, window)
        findings = joint_words.tell(self.directions, counted, tuple(finding(name) for name in moved), drifted)
        return [each for each in findings if each.kind is FindingKind.JOINT_DRIFT]


@pytest.mark.parametrize(
    ("table", "rows", "broken"),
    [
        ("adult_iid_pool", 5000, ["age", "education", "marital_status", "occupation", "relationship", "sex"]),
        ("hotel_booking", 5000, ["hotel", "market_segment", "reserved_room_type", "agent", "company", "adr"]),
        ("gas_sensor_drift", 2000, ["f1", "f20", "f77", "f128"]),
    ],
)
def test_a_column_shuffled_against_the_rest_is_told_and_named(table, rows, broken):
    world, named = Watched(table, rows, 500), []
    for name in broken:
        window = draw(world.rest, world.n, world.rng)
        window[name] = world.rng.permutation(window[name])
        assert name not in world.alarms(window)[1]  # its margin is what it was
        named.append(any(name in each.words for each in world.told(window)))
    assert np.mean(named) >= 0.9


@pytest.mark.parametrize(
    ("table", "rows", "most"), [("adult_iid_pool", 5000, 6), ("hotel_booking", 5000, 10), ("gas_sensor_drift", 2000, 4)]
)
def test_margins_that_move_while_dependence_stays_are_no_joint_drift(table, rows, most):
    world, told, alarmed = Watched(table, rows, 500), 0, 0
    numbers = [name for name, kind in world.kinds.items() if kind == "number"][:most]
    for name in numbers:
        window = draw(world.rest, world.n, world.rng)
        window[name] = 1.3 * window[name] + 0.3 * np.nanstd(window[name])
        ranks = np.argsort(np.argsort(np.nan_to_num(world.rest[name]))) / len(world.rest[name])
        tilted = draw(world.rest, world.n, world.rng, np.exp(ranks) / np.exp(ranks).sum())
        for moved in (window, tilted):
            alarmed += any(map(bool, world.alarms(moved)))
            told += bool(world.told(moved))
    assert alarmed >= len(numbers) / 2  # it is not that nothing moved
    assert told <= 0.1 * 2 * len(numbers)


def test_a_slight_slip_between_sensors_is_seen_by_the_components():
    world = Watched("gas_sensor_drift", 2000, 500)
    window = draw(world.rest, world.n, world.rng)
    some = np.flatnonzero(world.rng.random(world.n) < 0.1)
    window["f20"][some] = world.rng.permutation(window["f20"][some])
    assert any("component" in name for name in world.alarms(window)[0])


def small(rng, n):
    a = rng.normal(size=n)
    return {"a": a, "b": a + 0.5 * rng.normal(size=n), "c": np.where(a > 0, "x", "y").astype(object), "d": rng.normal(size=n)}


SMALL = {"a": "number", "b": "number", "c": "category", "d": "number"}


def test_independent_columns_make_no_directions_at_their_level():
    rng, made = np.random.default_rng(3), 0
    for _ in range(40):
        columns = {f"x{i}": rng.normal(size=1000) for i in range(20)}
        made += len(joint.build(dict.fromkeys(columns, "number"), columns, [np.arange(1000)]).pairs)
    assert made <= 15  # of 7,600 pairs, one in 500; measured 7


def test_a_column_that_nothing_depends_on_is_in_no_direction():
    directions = joint.build(SMALL, small(np.random.default_rng(4), 2000), [np.arange(2000)])
    assert {name for stream in directions.names for name in joint.columns_of(directions, stream)} == {"a", "b", "c"}


def test_projections_are_the_same_row_by_row_and_counts_merge_to_the_same():
    rng = np.random.default_rng(5)
    directions = joint.build(SMALL, small(rng, 2000), [np.arange(2000)])
    rows = small(rng, 300)
    rows["a"][:20] = np.nan
    rows["c"][:10] = ""
    whole = joint.project(directions, rows)
    parts = [
        joint.project(directions, {name: values[part] for name, values in rows.items()}) for part in (slice(0, 7), slice(7, None))
    ]
    for name, values in whole.items():
        assert np.array_equal(values, np.concatenate([part[name] for part in parts]))
        assert np.all(np.isfinite(values))
    counted = [
        joint_words.count_pairs(directions, {name: values[part] for name, values in rows.items()})
        for part in (slice(0, 7), slice(7, None))
    ]
    assert joint_words.merge(*counted) == joint_words.count_pairs(directions, rows)


def test_what_is_stored_projects_as_what_was_built():
    rng = np.random.default_rng(6)
    directions = joint.build(SMALL, small(rng, 2000), [np.arange(2000)])
    read = codec.decode(codec.encode(directions), joint.Directions)
    rows = small(rng, 100)
    assert all(
        np.array_equal(values, joint.project(read, rows)[name]) for name, values in joint.project(directions, rows).items()
    )


def test_a_direction_without_one_of_its_columns_is_left_out():
    rng = np.random.default_rng(7)
    directions = joint.build(SMALL, small(rng, 2000), [np.arange(2000)])
    rows = small(rng, 100)
    rows["c"] = rows["c"][:50]  # captured of half of the rows
    assert set(joint.project(directions, rows)) == {
        name for name in directions.names if "c" not in joint.columns_of(directions, name)
    }
    assert () in joint_words.count_pairs(directions, rows).counts


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
