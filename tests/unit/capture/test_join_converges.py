"""Labels as untidy as they come: whatever the order, the same labels, and metrics equal to the bit."""

import numpy as np
import pytest
from bench.late_labels import SHARES, batches, converged, ending, lived, story

from flyball.records.captured import Captured

N = 100_000


@pytest.mark.slow
@pytest.mark.timeout(900)  # fifty take a minute or two on a machine of its own
@pytest.mark.parametrize("orders", [10, pytest.param(50, marks=pytest.mark.nightly)])
def test_any_order_of_100_000_untidy_labels_gives_the_same_bits(orders: int) -> None:
    """Whatever is repeated, contradicted, unknown or from the future; and each prediction has the label that a single sorted pass gives it."""
    found = converged(orders=orders, labels=N)
    assert abs(found.labels - N) < 5
    assert (found.alike, found.as_sorted) == (orders, True)


def test_a_hundredth_of_it_for_every_run() -> None:
    found = converged(orders=8, labels=1_000)
    assert (found.alike, found.as_sorted) == (8, True)


def test_what_is_untidy_is_counted() -> None:
    told = story(19, 2_000)
    counts = lived([*told.predictions, *batches(told.labels)]).counts()
    assert counts.labels_joined == counts.predictions
    assert counts.labels_unknown == counts.labels_from_future == int(counts.predictions * SHARES["unknown"])
    assert counts.labels_received == len(told.labels)
    assert counts.labels_revised > 0
    assert counts.labels_repeated >= int(counts.predictions * SHARES["repeated"])


def test_labels_that_come_again_change_nothing_but_the_counts_of_what_came() -> None:
    told = story(19, 1_000)
    labels = batches(told.labels)
    once = ending(lived([*told.predictions, *labels]))
    records: list[Captured] = [*told.predictions, *labels, *labels[:300]]
    again = ending(lived([records[at] for at in np.random.default_rng(0).permutation(len(records))]))
    assert again._replace(counts=once.counts) == once
    future = sum(label.observed_us is not None and label.observed_us > label.received_us for label in told.labels[:300])
    assert again.counts.labels_received == once.counts.labels_received + 300
    assert again.counts.labels_from_future == once.counts.labels_from_future + future
