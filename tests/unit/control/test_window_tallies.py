"""What is counted of a window, whoever answered and in whatever order it is read."""

import numpy as np

from flyball.control.tallies import MOST_LATENCIES, Tallies, Tally
from flyball.records.captured import Captured, FailureBatch, LabelBatch, PredictionBatch, RefusalBatch, Refused


def answers(n: int, role: str = "champion", latency_us: int = 100, at_us: int = 7) -> PredictionBatch:
    ids = [f"{role}{latency_us}-{number}" for number in range(n)]
    return PredictionBatch(
        at_us=at_us, model="shop", unit="u", role=role, revision=1, ids=ids, keys=ids, columns={"x": [None, *[1.0] * (n - 1)]} if role != "shadow" else {},
        scores=[[0.5]] * n, latency_us=latency_us,
    )  # fmt: skip


def failure(n: int, answered_by: str | None, role: str = "champion") -> FailureBatch:
    return FailureBatch(at_us=7, model="shop", unit="u", role=role, n=n, reason="crash", answered_by=answered_by)


RECORDS: list[Captured] = [
    answers(5), answers(3, "canary", 200), answers(5, "shadow", 9_999), failure(2, None), failure(4, "u0"), failure(9, None, "shadow"),
    LabelBatch(at_us=7, model="shop", ids=["a", "b"], values=["yes", "no"], observed_us=[None, None]),
]  # fmt: skip


def tally_of(records: list[Captured]) -> Tally:
    tally = Tally()
    for record in records:
        tally.add(record)
    return tally


def test_what_was_asked_answered_failed_missing_and_labelled_is_counted_and_shadows_are_not() -> None:
    tally = tally_of(RECORDS)
    assert (tally.answered, tally.failed, tally.missing, tally.values, tally.labels) == (8, 2, 2, 8, 2)
    assert [round(value, -1) for value in tally.latencies_us()] == [100, 200]
    backwards = tally_of(RECORDS[::-1])
    assert (backwards.answered, backwards.failed, backwards.latencies_us()) == (8, 2, tally.latencies_us())


def test_what_was_refused_is_told_apart_by_who_has_to_mend_it() -> None:
    text = ("age", "type", "text", "a number")
    refusals: list[Captured] = [
        RefusalBatch(at_us=at, model="shop", revision=1, refused=[Refused("RequestError", 422, 2, 20, *text), Refused("Overloaded", 429, 3, 3)])
        for at in (9, 7, 8)
    ]  # fmt: skip
    refusals.append(RefusalBatch(at_us=5, model="shop", revision=1, refused=[Refused("RequestError", 422, 1, 1, "", "form")]))
    tally = tally_of(RECORDS + refusals)
    assert (tally.answered, tally.failed, tally.turned_away) == (8, 2, 9)
    assert tally.invalid == {text: (6, 60, 7), ("", "form", "", ""): (1, 1, 5)}
    assert tally.asked == 8 + 2 + 9 + 60 + 1


def test_requests_that_are_at_fault_as_a_whole_are_told_apart_by_status() -> None:
    told = [Refused("RequestError", 422, 2, 2, fault="form"), Refused("HttpRefused", 413, 3, 3, fault="form")]
    tally = tally_of([RefusalBatch(at_us=5, model="shop", revision=1, refused=told)])
    assert tally.invalid == {("", "form", "", ""): (2, 2, 5), ("", "form", "413", ""): (3, 3, 5)}


def test_many_latencies_are_thinned_out_and_keep_their_quantiles() -> None:
    draw = np.random.default_rng(1)
    latencies = np.exp(draw.normal(7, 0.7, 30_000)).astype(int)
    tally = tally_of([answers(1, latency_us=int(value)) for value in latencies])
    told = np.array(tally.latencies_us())
    assert abs(told.size - MOST_LATENCIES) <= 1
    for share in (0.5, 0.9, 0.99):
        assert abs(np.quantile(told, share) / np.quantile(latencies, share) - 1) < 0.06


def test_a_record_counts_for_the_window_that_it_was_made_in_until_that_is_judged() -> None:
    tallies = Tallies(3_600)
    assert tallies.first_us is None
    for at_us in (7_200, 7_199, 10_800):
        tallies.add(answers(2, at_us=at_us))
    assert tallies.first_us == 3_600
    assert [tallies.of(start).answered for start in (3_600, 7_200, 10_800)] == [2, 2, 2]
    tallies.forget_until(7_200)
    tallies.add(answers(9, at_us=3_700))
    assert tallies.of(3_600) is None
    assert tallies.first_us == 7_200
