"""How many rows a call beside the event loop takes, where it is for us to choose: a model's process makes one call at a time, and whoever comes meanwhile
waits for the whole of it."""

import math

GROWTH = 4
"""From one call to the next: that few rows were quick may have been luck."""
_LEARNED = 0.2
"""Weight of the newest call among those of its size."""
_UNLIKE = 1.5
"""Times as many rows tell what a row takes and what a call; of fewer the difference is noise."""
AS_GOOD = 1.1
"""Times what a row takes in the calls that make the most of each: calls of fewer rows that come so near are as good, and whoever waits is answered earlier."""
MAX_HALVINGS = 2
"""Of calls that were late, one after the other. Each costs a process and a deadline; one that is late beyond is so whatever it is given."""


class Cost:
    """What calls of one route's models take, by their rows, in the models: the time that they waited for others says nothing of it. Pure.

    Nothing is taken on trust: a call takes no longer than one of more rows did, and of more rows no longer a row. So what a call costs whatever its
    rows is told from what they take, as far as calls of both sizes were made.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[float, float]] = {}
        """Binary digits of the number of rows → (rows, seconds) of such calls, the newest counting most."""

    def took(self, n_rows: int, seconds: float) -> None:
        """A call of so many rows did. One that took less than half of what was known shows that bad luck was."""
        rows, before = self._seen.get(n_rows.bit_length(), (float(n_rows), seconds))
        lucky = seconds / n_rows < before / rows / 2
        known = seconds if lucky else before + _LEARNED * (seconds - before)
        self._seen[n_rows.bit_length()] = (float(n_rows) if lucky else rows + _LEARNED * (n_rows - rows), known)

    def seconds(self, n_rows: int) -> float | None:
        """Of a call of so many, at most; None: there was none yet."""
        return min((took * max(n_rows / rows, 1.0) for rows, took in self._seen.values()), default=None)

    @property
    def row_seconds(self) -> float | None:
        """Of a row in as large a call as there was; None: there was none."""
        return min((took / rows for rows, took in self._seen.values()), default=None)

    def worth(self, aim_seconds: float, most_rows: int) -> int:
        """Rows of a call that others wait for: no more than it takes to make the most of each (`AS_GOOD`), or to fill `aim_seconds`. More would answer the
        first of them as late as the last, and all at once. That a larger call is no better is known of those that were made: where none was, the next is
        `GROWTH` times as large."""
        seen = sorted(each for each in self._seen.values() if each[0] <= most_rows)
        if not seen:
            return most_rows
        good = AS_GOOD * min(took / rows for rows, took in seen)
        rows, took = next((rows, took) for rows, took in seen if took / rows <= good)
        enough = round(rows) if rows < seen[-1][0] else math.ceil(GROWTH * rows)
        return min(max(enough, int(aim_seconds * rows / max(took, 1e-9))), most_rows)


class Pace:
    """Of one model's calls, one after the other. Pure."""

    def __init__(self, aim_seconds: float, row_seconds: float, most_rows: int) -> None:
        """`aim_seconds`: as long a call should take; `row_seconds`: what a row is thought to take, 0: nothing is known."""
        self._aim_seconds = aim_seconds
        self._most_rows = most_rows
        self._halvings = 0
        self._call_seconds = 0.0
        """Of a call, whatever its rows: to give one fewer that is slow for it would make the whole slower and no call quicker."""
        self._last = 0, 0.0
        """Rows and seconds of a call to compare with."""
        self.rows = most_rows
        """Of the next call."""
        if row_seconds:
            self._set(aim_seconds / row_seconds)

    def took(self, n_rows: int, seconds: float) -> None:
        """A call of so many rows did, in the model. Waiting for others does not count: rows would become fewer and fewer the more others ask."""
        self._halvings = 0
        n_before, before = self._last
        unlike = n_before and not 1 / _UNLIKE < n_rows / n_before < _UNLIKE
        if unlike:
            slope = (seconds - before) / (n_rows - n_before)
            self._call_seconds = seconds - n_rows * min(max(slope, 0.0), seconds / n_rows)
        if unlike or not n_before:
            self._last = n_rows, seconds
        for_rows = max(self._aim_seconds - self._call_seconds, self._call_seconds)
        row_seconds = max(seconds - self._call_seconds, 1e-9) / n_rows
        self._set(min(for_rows / row_seconds, GROWTH * n_rows))

    def halved(self, n_rows: int, seconds: float) -> bool:
        """Whether fewer rows are worth trying where a call of so many ended its model after so long; then the next one takes half of them. A model that
        dies at once does not die of their number."""
        if n_rows == 1 or seconds < 2 * self._aim_seconds or self._halvings >= MAX_HALVINGS:
            return False
        self._halvings += 1
        self._set(n_rows / 2)
        return True

    def _set(self, rows: float) -> None:
        self.rows = min(max(int(rows), 1), self._most_rows)
