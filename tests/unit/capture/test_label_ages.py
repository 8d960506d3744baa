"""Ages are counted while labels are joined, and the counts are a projection of the records too."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.capture import join as joining
from flyball.capture.ages import FIRST_COHORTS
from flyball.capture.join import LabelJoin
from flyball.records.captured import LabelBatch, PredictionBatch
from flyball.stats.age_grid import COHORT_US, EDGES_US, completed_bins, merge
from flyball.stats.label_strata import LabelStrata

HOUR = COHORT_US


def predictions(ids, at_us=0, unit="u1", role="champion", score=0.25, model="m"):
    return PredictionBatch(
        at_us=at_us, model=model, unit=unit, role=role, revision=1, ids=ids, keys=ids, columns={}, scores=[[score]] * len(ids), latency_us=1
    )  # fmt: skip


def labels(pairs, at_us, observed_us=None, model="m"):
    return LabelBatch(
        at_us=at_us, model=model, ids=list(pairs), values=list(pairs.values()), observed_us=[observed_us] * len(pairs)
    )


def binary(*records, **options):
    joined = LabelJoin("binary", ("0", "1"), 1, **options)
    for record in records:
        joined.add(record)
    return joined


def test_a_label_is_counted_by_the_age_at_which_it_first_came():
    counts = binary(
        predictions(["a", "b"], at_us=5 * HOUR), labels({"a": "1"}, 7 * HOUR), labels({"a": "1"}, 99 * HOUR)
    ).label_ages(0)
    assert counts.start_us.tolist() == [5 * HOUR]
    assert counts.rows.tolist() == [[2, 0]]
    assert counts.labels.sum() == 1
    assert counts.labels[0, 1, 0, completed_bins(2 * HOUR)] == 1


def test_a_revision_moves_the_label_to_another_stratum_and_not_to_another_age():
    joined = binary(predictions(["a"]), labels({"a": "1"}, HOUR))
    assert joined.label_ages(0).labels[0, :, 0, completed_bins(HOUR)].tolist() == [0, 1]
    joined.add(labels({"a": "0"}, 9 * HOUR))
    counts = joined.label_ages(0)
    assert counts.labels[0, :, 0, completed_bins(HOUR)].tolist() == [1, 0]
    assert counts.labels.sum() == 1


def test_shadows_count_nothing_and_units_are_told_apart():
    joined = binary(
        predictions(["a"], unit="u2", role="shadow"), labels({"a": "1", "b": "1"}, HOUR), predictions(["a"]),
        predictions(["b"], unit="u2", role="canary", score=0.9),
    )  # fmt: skip
    assert joined.label_ages(0).rows.tolist() == [[1, 1]]
    assert joined.label_ages(0, "u2").rows.tolist() == [[0, 1]]
    assert joined.label_ages(0, "nobody").rows.size == 0


def test_only_cohorts_since_then_are_told():
    joined = binary(predictions(["a"], at_us=HOUR - 1), predictions(["b"], at_us=HOUR))
    assert joined.label_ages(1).start_us.tolist() == [HOUR]
    assert joined.label_ages(0).start_us.tolist() == [0, HOUR]


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(9)), st.integers(0, 8))
def test_any_order_and_any_look_in_between_gives_the_same_counts(order, looks):
    records = [
        predictions(["a", "b"], at_us=1), predictions(["c"], at_us=2 * HOUR, score=0.9), predictions(["a"], unit="u2", role="shadow"),
        labels({"a": "1"}, HOUR), labels({"a": "0"}, 9 * HOUR, 2 * HOUR), labels({"a": "0"}, HOUR // 2, 1),
        labels({"b": "1", "x": "1"}, HOUR), labels({"c": "1"}, HOUR), labels({"c": "0"}, 60 * HOUR),
    ]  # fmt: skip
    joined = LabelJoin("binary", ("0", "1"), 1)
    for number, place in enumerate(order):
        joined.add(records[place])
        if number == looks:
            joined.label_ages(0)
    found, wanted = joined.label_ages(0), binary(*records).label_ages(0)
    assert [part.tobytes() for part in found] == [part.tobytes() for part in wanted]


def test_more_hours_than_there_was_room_for_are_each_counted():
    hours = 2 * FIRST_COHORTS + 3
    told = [predictions([f"r{hour}"], at_us=hour * HOUR) for hour in reversed(range(hours))]
    joined = binary(*told, *(labels({f"r{hour}": "1"}, hour * HOUR + 1) for hour in range(0, hours, 2)))
    counts = joined.label_ages(0)
    assert counts.start_us.tolist() == [hour * HOUR for hour in range(hours)]
    assert counts.rows.sum(axis=1).tolist() == [1] * hours
    assert counts.labels.sum(axis=(1, 2, 3)).tolist() == [1 - hour % 2 for hour in range(hours)]


def test_counts_of_two_joins_add_up_to_those_of_one(monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(joining, "TOUCHED", 50)
    parts = []
    for part in range(2):
        ids = [f"{part}-{number}" for number in range(200)]
        made = [predictions([each], at_us=int(rng.integers(0, 40 * HOUR)), score=float(rng.random())) for each in ids]
        parts.append([*made, *(labels({each: "1"}, int(rng.integers(0, 90 * HOUR))) for each in ids[::2])])
    one, other = (binary(*part).label_ages(0) for part in parts)
    both = binary(*parts[0], *parts[1]).label_ages(0)
    assert [part.tobytes() for part in merge(one, other)] == [part.tobytes() for part in both]


def test_cohorts_are_added_up_in_the_groups_that_are_asked_for_whoever_answered():
    rng = np.random.default_rng(1)
    records = []
    for unit in ("u1", "u2"):
        for number in range(150):
            name = f"{unit}-{number}"
            records += [
                predictions([name], at_us=int(rng.integers(0, 40 * HOUR)), unit=unit),
                labels({name: "1"}, int(rng.integers(0, 90 * HOUR))),
            ]
    joined = binary(*records)
    hours, days = joined.label_ages(8 * HOUR), joined.label_ages(8 * HOUR, together=lambda start_us: start_us // (24 * HOUR))
    assert days.start_us.tolist() == [8 * HOUR, 24 * HOUR]
    for found, wanted in zip(days[1:], hours[1:], strict=True):
        assert found.tolist() == [wanted[:16].sum(axis=0).tolist(), wanted[16:].sum(axis=0).tolist()]
    assert joined.label_ages(90 * HOUR, together=lambda start_us: start_us).rows.size == 0


def test_a_label_from_the_future_counts_from_when_it_was_received_and_can_be_corrected():
    joined = binary(
        predictions(["a"]), labels({"a": "1"}, 10, observed_us=10**15), labels({"a": "0"}, 20), labels({"a": "1"}, 15, 12)
    )
    assert joined.outcomes("u1", 0, 9).labels.tolist() == [0.0]
    assert joined.counts().labels_from_future == 1


def test_a_label_from_before_its_prediction_is_joined_at_no_age_and_counted():
    joined = binary(labels({"a": "1"}, 3), predictions(["a"], at_us=HOUR))
    assert joined.counts().labels_before_prediction == 1
    assert joined.label_ages(0).labels[0, 1, 0, 0] == 1


def test_feedback_on_another_models_prediction_joins_nothing():
    joined = binary(
        predictions(["a"]),
        predictions(["b"], model="other"),
        labels({"a": "1"}, 5, model="other"),
        labels({"b": "1"}, 5),
        model="m",
    )
    assert joined.counts().labels_joined == 0
    assert joined.counts().predictions == 1
    assert joined.counts().records_of_others == 2
    assert joined.counts().labels_unknown == 1


def test_outcomes_are_all_rows_that_a_unit_answered_in_an_order_that_arrival_does_not_decide():
    records = [
        predictions(["b", "a"], at_us=7),
        predictions(["c"], at_us=3),
        predictions(["d"], unit="u2"),
        labels({"a": "1"}, 9),
    ]
    first, second = (binary(*part).outcomes("u1", 0, 9) for part in (records, records[::-1]))
    assert [part.tobytes() for part in first[:4]] == [part.tobytes() for part in second[:4]]
    assert first.ids == second.ids
    assert first.at_us.tolist() == [3, 7, 7]
    assert sorted(first.received_us.tolist()) == [-1, -1, 9]
    assert np.isnan(first.labels).sum() == 2


def test_edges_are_distinct_and_a_day_is_one_of_many():
    assert all(low < high for low, high in pairwise(EDGES_US))
    assert EDGES_US[-1] // (24 * HOUR) == 364


def test_strata_of_numbers_and_of_many_classes():
    numbers = LabelStrata("regression", score_bounds=(0.0, 1.0), label_bounds=(5.0,))
    assert numbers.of_labels(np.array([4.9, 5.0])).tolist() == [0, 1]
    assert numbers.of_scores(np.array([[-1.0], [0.0], [2.0]])).tolist() == [0, 1, 2]
    many = LabelStrata("multiclass", 400)
    assert many.n_labels == 1
    assert many.of_labels(np.array([0.0, 399.0])).tolist() == [0, 0]
    assert many.of_scores(np.array([[0.2, 0.8]])).tolist() == [1]
