"""What was taken is known by its number, and takes as much room as it reaches."""

import numpy as np

from flyball.capture.taken import Taken


def test_numbers_are_known_once_they_were_taken_however_they_came() -> None:
    draw, taken, known = np.random.default_rng(0), Taken(), set[int]()
    asked = np.arange(9_000_000, 9_000_400)
    for _ in range(30):
        numbers = 9_000_100 + draw.integers(0, 200, 7)
        taken.add(numbers)
        known.update(numbers.tolist())
        assert taken.has(asked).tolist() == [each in known for each in asked.tolist()]
    taken.add(np.zeros(0, dtype=np.int64))
    assert len(taken._is) <= 200
