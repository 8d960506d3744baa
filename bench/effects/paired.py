"""Acts by the hundred: champions of real streams are replaced every few days, and what that brings is foretold and measured as control does it.

No engine, so that there are many: the same two stretches of rows that a release leaves (those with labels before it took over, those of its watch) and the
product's own arithmetic (stats/foretold.py). The streams of the half on which it was developed are marked.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from bench.effects.told import Judged, bar, tables_of
from bench.loop import streams
from bench.loop.streams import Stream
from bench.monitoring.data import DATA, Absent
from bench.serving.bars import Bar
from bench.serving.rounds import tell
from flyball.stats import foretold
from flyball.stats.losses import bounded_loss

ROWS_A_DAY, LEARNED_DAYS, EVERY_DAYS = 200, 30, 8
SHADOW_ROWS, WATCH_FROM, WATCH_ROWS = 300, 400, 600
"""After a day and a half of a shadow of two days labels are there; three days of watching."""
RECENT_DAYS = 20
OFFSETS_DAYS = (0, 3, 5)
ALPHA = 0.05


class Plan(NamedTuple):
    streams: tuple[str, ...]
    offsets_days: tuple[int, ...]


FULL = Plan(tuple(name for name in streams.names() if name != "usenet1"), OFFSETS_DAYS)  # usenet1 has 1,500 rows
SHORT = Plan(("noaa",), (0,))


def measure(plan: Plan) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name in plan.streams:
        try:
            stream = streams.load(DATA, name, 0)
        except Absent as absent:
            tell(f"left out: {absent}")
            continue
        found = [each for offset in plan.offsets_days for each in _acts(stream, offset)]
        label = f"{name}, for development" if streams.for_development(name) else name
        seen[label] = [each._asdict() for each in found]
        tell(f"{label}: {len(found)} acts")
    return seen


def bars(seen: dict[str, Any]) -> tuple[Bar, ...]:
    held_back = {name: acts for name, acts in seen.items() if not name.endswith("for development")}
    return bar(seen), bar(held_back, " on streams on which nothing was developed")


def tables(seen: dict[str, Any]) -> tuple[Table, ...]:
    return tables_of(seen)


def _acts(stream: Stream, offset_days: int) -> Iterator[Judged]:
    """All there is and a recent window in turn, each against whom it replaces."""
    n = len(stream.labels)
    first = min(LEARNED_DAYS * ROWS_A_DAY, n // 4) + offset_days * ROWS_A_DAY
    champion = _fit(stream, 0, first)
    for number in count():
        at = first + (number + 1) * EVERY_DAYS * ROWS_A_DAY
        if at + WATCH_FROM + WATCH_ROWS > n:
            return
        challenger = _fit(stream, 0 if number % 2 == 0 else max(at - RECENT_DAYS * ROWS_A_DAY, 0), at)
        then, now = (
            foretold.block_mean(_losses(stream, challenger, rows) - _losses(stream, champion, rows))
            for rows in (slice(at, at + SHADOW_ROWS), slice(at + WATCH_FROM, at + WATCH_FROM + WATCH_ROWS))
        )
        champion = challenger
        if then is not None and now is not None:
            yield Judged(now.mean, *foretold.expected(then, now, ALPHA))


def _fit(stream: Stream, first: int, last: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind, labels = (LGBMRegressor, stream.labels) if stream.task == "regression" else (LGBMClassifier, stream.labels.astype(int))
    model = kind(n_estimators=60, num_leaves=31, random_state=0, deterministic=True, force_row_wise=True, n_jobs=1, verbose=-1)
    return model.fit(stream.features[first:last], labels[first:last])


def _losses(stream: Stream, model: Any, rows: slice) -> Any:
    features, labels = stream.features[rows], stream.labels[rows]
    if stream.task == "regression":
        return bounded_loss("regression", model.predict(features, validate_features=False)[:, None], labels, stream.scale)
    known = np.zeros((len(labels), int(stream.labels.max()) + 1))
    known[:, model.classes_] = model.predict_proba(features, validate_features=False)
    scores = known[:, 1:] if stream.task == "binary" else known
    return bounded_loss(stream.task, scores, labels.astype(int), 1.0)
