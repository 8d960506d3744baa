"""An id that is asked for twice, at two workers: the first answer counts, in whatever order the workers' segments are read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.capture.join import LabelJoin, join
from flyball.capture.joined import Outcomes, Span
from flyball.records.captured import Captured, LabelBatch, PredictionBatch
from flyball.stats.age_grid import COHORT_US

EVER = 1 << 62
SPAN = Span(0, EVER, EVER >> 1)
UNITS = ("u1", "u2", "u3")


def predictions(ids: list[str], at_us: int, unit: str = "u1", role: str = "champion", score: float = 0.25) -> PredictionBatch:
    return PredictionBatch(
        at_us=at_us, model="m", unit=unit, role=role, revision=1, ids=ids, keys=ids, columns={},
        scores=[[score] for _ in ids], latency_us=1,
    )  # fmt: skip


def labels(ids: list[str], at_us: int, value: str = "1") -> LabelBatch:
    return LabelBatch(at_us=at_us, model="m", ids=ids, values=[value] * len(ids), observed_us=[None] * len(ids))


def joined(records: list[Captured]) -> LabelJoin:
    return join(records, "binary", ("0", "1"), 1)


def told(found: Outcomes) -> tuple[object, ...]:
    return (*(part.tolist() for part in found[:4]), found.ids)


def bits(found: LabelJoin) -> tuple[object, ...]:
    outcomes = tuple(repr(told(found.outcomes(unit, 0, EVER))) for unit in UNITS)
    pairs = tuple(
        repr((found.ids(each.rows), *(part.tolist() for part in each[1:])))
        for each in (found.pairs(one, other, SPAN, labelled=False) for one, other in (("u1", "u2"), ("u1", "u3"), ("u2", "u3")))
    )
    late = tuple(repr(told(found.outcomes(unit, COHORT_US, 2 * COHORT_US))) for unit in UNITS)
    ages = tuple(part.tolist() for part in found.label_ages(0))
    return outcomes, pairs, late, ages, found.counts()._replace(labels_repeated=0, labels_revised=0)


@pytest.mark.parametrize("at_us", [100, 3 * COHORT_US])
def test_the_first_answer_counts_whichever_is_read_first(at_us: int) -> None:
    first, again = predictions(["a"], at_us, score=0.2), predictions(["a"], 2 * at_us, score=0.9)
    one, other = (joined([*order, labels(["a"], 5 * at_us)]) for order in ((first, again), (again, first)))
    assert told(one.outcomes("u1", 0, EVER))[:3] == ([at_us], [5 * at_us], [[0.2]])
    assert bits(one) == bits(other)


def test_of_two_answers_of_one_moment_the_same_one_counts_always() -> None:
    made = [predictions(["a"], 100, unit, score=score) for unit, score in (("u2", 0.1), ("u1", 0.9), ("u1", 0.7))]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        found = joined([made[each] for each in order])
        assert (found.answers(0, EVER)[2].tolist(), found.scored("u2", 0, EVER)) == ([[0.7]], 0)


def test_windows_of_both_moments_are_told_when_an_earlier_answer_comes() -> None:
    found = joined([predictions(["a"], 5_000_000), labels(["a"], 9_000_000)])
    assert found.changed().tolist() == [5_000_000]
    found.add(predictions(["a"], 1_000_000, score=0.4))
    assert sorted({*found.changed().tolist()}) == [1_000_000, 5_000_000]
    found.add(predictions(["a"], 2_000_000, score=0.5))
    assert found.changed().tolist() == []


def test_rows_that_moved_are_found_in_their_own_time() -> None:
    """What is looked at is bounded by the largest time so far: one that moved there and back must not be passed over."""
    made = [predictions([f"r{number}"], 100 * number) for number in range(50)]
    late = [predictions(["r40"], 5, score=0.5), predictions(["s"], 6_000, "u2", "shadow"), predictions(["s"], 9_000)]
    found = joined([*made, *late])
    assert found.outcomes("u1", 0, 50).ids == ["r0", "r40"]
    assert found.outcomes("u1", 3_950, 4_050).ids == []
    assert found.outcomes("u1", 8_000, 10_000).ids == ["s"]


def test_of_an_id_asked_for_across_what_is_forgotten_a_repetition_goes_with_the_first_and_after_a_start_it_counts() -> None:
    """The one exception to "whenever it was forgotten" that the module names for predictions."""
    first, again, label = (
        predictions(["a"], 1 * COHORT_US, score=0.2),
        predictions(["a"], 5 * COHORT_US, score=0.9),
        labels(["a"], 6 * COHORT_US),
    )
    running = joined([first, again, label])
    running.forget(3 * COHORT_US)
    started = LabelJoin("binary", ("0", "1"), 1)
    started.forget(3 * COHORT_US)
    for record in (first, again, label):
        started.add(record)
    assert running.counts().predictions == 0
    assert (started.counts().predictions, started.counts().labels_joined, started.counts().records_too_old) == (1, 1, 1)


def lived(draw: np.random.Generator, workers: int) -> list[list[Captured]]:
    """Each worker's records as it wrote them: a shadow after the answer that was shown. Asks of one id are minutes apart, or two of them tenths of a second."""
    made: list[list[Captured]] = [[] for _ in range(workers)]
    for number in range(30):
        halves = draw.choice(4, int(draw.integers(1, 4)), replace=False).tolist()
        for half in [*halves, *halves[: int(draw.integers(0, 2))]]:
            moment_us = (1 + half) * COHORT_US // 2 + int(draw.integers(0, 3)) * 100_000
            mine, order = made[int(draw.integers(0, workers))], draw.permutation(UNITS)
            ids, score = [f"p{number}"], draw.integers(1, 9, 3) / 10
            mine.append(predictions(ids, moment_us, str(order[0]), "champion" if draw.random() < 0.7 else "canary", score[0]))
            for unit, each in zip(order[1:], score[1:], strict=True):
                if draw.random() < 0.5:
                    mine.append(predictions(ids, moment_us + int(draw.integers(0, 100_000)), str(unit), "shadow", each))
        if draw.random() < 0.7:
            came = labels([f"p{number}"], int(draw.integers(1, 6)) * COHORT_US, str(draw.integers(0, 2)))
            mine = made[int(draw.integers(0, workers))]
            mine.insert(int(draw.integers(0, len(mine) + 1)), came)
    return made


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(2, 3))
def test_any_order_of_the_workers_gives_the_same_bits(seed: int, workers: int) -> None:
    draw = np.random.default_rng(seed)
    made = lived(draw, workers)
    whole = bits(joined([record for each in made for record in each]))
    for _ in range(4):
        turns = draw.permutation([worker for worker, records in enumerate(made) for _ in records]).tolist()
        left = [iter(records) for records in made]
        assert bits(joined([next(left[worker]) for worker in turns])) == whole
    by_time = sorted((record for each in made for record in each if isinstance(record, PredictionBatch)), key=lambda r: r.at_us)
    others = [record for each in made for record in each if isinstance(record, LabelBatch)]
    assert bits(joined([*by_time, *others]))[0] == whole[0]
