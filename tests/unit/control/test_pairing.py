"""The sequence that a release is judged by only grows."""

import numpy as np

from flyball.capture.joined import Pairs
from flyball.control.pairing import PairLog, SliceLog


def pairs(rows: list[int], labels: list[float]) -> Pairs:
    n = len(rows)
    scores = np.array(rows, dtype=np.float64)[:, None] / 10
    return Pairs(np.array(rows), np.zeros(n, dtype=np.int64), scores, scores + 0.05, np.array(labels))


def test_a_row_that_turns_up_between_others_is_appended() -> None:
    log = PairLog()
    first = log.extend("r-1", pairs([2, 4], [0.0, 1.0]))
    later = log.extend("r-1", pairs([2, 3, 4], [0.0, 1.0, 1.0]))
    assert later.rows.tolist() == [2, 4, 3]
    assert later.first[:2].tolist() == first.first.tolist()
    assert (later.first[2, 0], later.labels[2]) == (0.3, 1.0)


def test_what_was_looked_at_keeps_its_label_whatever_it_becomes() -> None:
    log = PairLog()
    first = log.extend("r-1", pairs([2], [0.0]))
    assert log.extend("r-1", pairs([2], [1.0])).labels.tolist() == first.labels.tolist() == [0.0]


def test_another_release_begins_anew() -> None:
    log = PairLog()
    log.extend("r-1", pairs([2, 4], [0.0, 1.0]))
    assert len(log.extend("r-2", pairs([4], [1.0])).rows) == 1


def test_of_each_row_it_is_asked_once_whether_it_lies_in_a_slice() -> None:
    log, asked = SliceLog(), []

    def even(rows: np.ndarray) -> np.ndarray:
        asked.extend(rows.tolist())
        return rows % 2 == 0

    assert log.extend("r-1", pairs([1, 2, 4], [0.0] * 3), even).rows.tolist() == [2, 4]
    assert log.extend("r-1", pairs([1, 2, 4], [0.0] * 3), even).rows.tolist() == [2, 4]
    assert log.extend("r-1", pairs([1, 2, 4, 3, 0], [0.0] * 5), even).rows.tolist() == [2, 4, 0]
    assert asked == [1, 2, 4, 3, 0]
    assert log.extend("r-2", pairs([6, 7], [0.0] * 2), even).rows.tolist() == [6]
