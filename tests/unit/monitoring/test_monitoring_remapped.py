"""The same rows in the same bins, whatever rising map their scores are answered through."""

import numpy as np
import pytest
from monitored_world import watched

from flyball.monitoring import streams
from flyball.monitoring.reference import prediction_columns
from flyball.monitoring.remapped import remapped
from flyball.records.maps import ClassMap, ScoreMap
from flyball.stats import monotone

DRAW = np.random.default_rng(8)
HEAVY = np.where(DRAW.uniform(size=4000) < 0.3, 0.15, DRAW.uniform(0.01, 0.9, 4000))
"""Of 64 bits, as LightGBM's are: counted as the nearest of 32."""


def map_of(points: monotone.Points) -> ScoreMap:
    return ScoreMap(method="isotonic", scores=points[0], answers=points[1], rows=4000)


@pytest.mark.parametrize("way", [monotone.isotonic, monotone.sigmoid])
def test_mapped_scores_fall_into_the_bins_that_their_rows_fell_into(way) -> None:
    reference = watched(np.random.default_rng(2))
    (place,) = [at for at, stream in enumerate(reference.streams) if stream.role == "prediction"]
    plain = streams.bins_for_numbers("prediction", "prediction", HEAVY)
    assert plain.heavy == (0.15,)
    answers = map_of(way(HEAVY, (DRAW.uniform(size=4000) < HEAVY**2).astype(float)))
    listed = [*reference.streams]
    listed[place] = plain
    moved = remapped(
        type(reference)(**{name: getattr(reference, name) for name in reference.__struct_fields__} | {"streams": tuple(listed)}),
        answers,
    )
    (stream,) = [each for each in moved.streams if each.role == "prediction"]
    assert np.array_equal(streams.bin_of(stream, answers.of(HEAVY)), streams.bin_of(plain, HEAVY))
    assert [each for each in moved.streams if each.role != "prediction"] == [
        each for each in reference.streams if each.role != "prediction"
    ]
    assert moved.baseline == reference.baseline


def test_where_scores_become_one_their_counts_are_not_watched() -> None:
    reference = watched(np.random.default_rng(2))
    flat = ScoreMap(method="isotonic", scores=(0.0, 1.0), answers=(0.4, 0.4), rows=10)
    assert {each.role for each in remapped(reference, flat).streams} == {"feature"}
    assert {each.role for each in remapped(reference, ClassMap(classes=(flat, flat), rows=10)).streams} == {"feature"}
    assert "prediction" in prediction_columns("binary", ("no", "yes"), frozenset(), np.zeros((1, 1)))
