"""What is asked of joined predictions and labels, and what is answered."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Span(NamedTuple):
    """Which rows: start ≤ event time < end, and mature: `delay` has passed since the event time by `now`.

    Labels that come fast are a biased sample (a flight that never arrives is known last), so rows are used from an age on, not from their label on."""

    start_us: int
    end_us: int
    now_us: int
    delay_us: int = 0


class LabelledRows(NamedTuple):
    """Mature labelled rows of one unit, in the order in which they became usable (label there and mature): later looks only append to it."""

    at_us: Ints
    scores: Floats
    """(n_rows, n_scores)"""
    labels: Floats
    """Class index, or the value for regression. (n_rows,)"""


class Pairs(NamedTuple):
    """Mature labelled rows that two units scored, in the order in which they became usable.

    The label is the one that came first: a sequence that was looked at must not change afterwards, so revisions count in metrics only."""

    rows: Ints
    """Numbers of the rows in this join: the same row keeps its number, whatever is forgotten."""
    at_us: Ints
    first: Floats
    second: Floats
    labels: Floats


class Outcomes(NamedTuple):
    """Rows that one unit answered, with or without a label, in an order that their arrival does not decide."""

    at_us: Ints
    received_us: Ints
    """When the first label came; -1: none yet."""
    scores: Floats
    """(n_rows, n_scores)"""
    labels: Floats
    """Class index or number; NaN: none yet. (n_rows,)"""
    ids: list[str]


class JoinCounts(NamedTuple):
    """What came, exactly: of what is held, predictions and labels that are joined or wait; all else since this join was begun."""

    predictions: int
    duplicate_predictions: int
    """Repeats of an id that was there; the first answer counts."""
    labels_received: int
    labels_joined: int
    """Predictions that have a label."""
    labels_repeated: int
    """Received again for a prediction that had one, with the same value."""
    labels_revised: int
    """Received again with another value."""
    labels_unknown: int
    """Waiting for a prediction that has not been seen."""
    labels_invalid: int
    """Not a class of the model, or not a number."""
    labels_from_future: int = 0
    """Said to be observed after they were received: a sender's clock is wrong. They count as observed when they were received."""
    labels_before_prediction: int = 0
    """Of the joined ones: received before the prediction was made. Their age counts as none."""
    records_of_others: int = 0
    """Of another model: never joined."""
    labels_given_up: int = 0
    """Waited for a prediction until they were as old as what is forgotten."""
    records_too_old: int = 0
    """Made before what is forgotten: not taken."""
