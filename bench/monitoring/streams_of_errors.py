"""Errors of one fixed model before and after a change at a known row."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.monitoring.data import Absent, columns_of, encoded, read
from bench.monitoring.frames import Floats

SYNTHETIC = {
    "mixed_0101_abrupto": 0,
    "rt_2563789698568873_abrupto": 0,
    "sea_0123_gradual_noise_0_2": 1_000,
    "sine_0123_abrupto": 0,
    "stagger_0120_gradual": 1_000,
}
"""Known change points each 10,000 rows → rows that the change takes."""


@dataclass(frozen=True)
class Errors:
    """0 or 1 a row. The model was trained on rows before all of them and stays as it is."""

    name: str
    baseline: Floats
    quiet: Floats
    """Between the baseline and the change."""
    after: Floats
    block: int
    """Rows that depend on one another; 1: none do."""
    per_rows: int
    """Everybody is allowed one false alarm in so many rows."""

    @property
    def steady(self) -> Floats:
        return np.concatenate([self.baseline, self.quiet])

    def resampled(self, n: int, seed: int) -> Floats:
        """A stream without change: blocks of the steady errors in a random order, with replacement."""
        draw, steady = np.random.default_rng([seed, 17]), self.steady
        starts = draw.integers(max(steady.size - self.block, 1), size=n // self.block + 1)
        return steady[(starts[:, None] + np.arange(self.block)).ravel()[:n]]


@dataclass(frozen=True)
class Cut:
    """Rows of a table: the model learns on [start, train), the baseline is [train, base), the change begins at `change`, and one looks until `end`."""

    start: int
    train: int
    base: int
    change: int
    end: int


def all_errors(data: Path, changes: int) -> Iterator[Errors | str]:
    """`changes`: at most so many of each table. A text says what is missing."""
    for name, width in SYNTHETIC.items():
        cuts = [_cut(k, width) for k in range(min(3, changes))]
        yield from _errors(data, f"known_drift_synthetic/{name}", "class", cuts, (1, 10_000))
    yield from _errors(data, "elec2", "class", [Cut(0, 5_000, 12_000, 17_424, 25_000)], (48, 10_000))
    usenet = [Cut(first, first + 150, first + 230, first + 300, first + 500) for first in range(0, 300 * min(4, changes), 300)]
    yield from _errors(data, "usenet1", "interesting", usenet, (1, 1_000))


def _cut(number: int, width: int) -> Cut:
    """The `number`th concept of a synthetic file and the change to the next. Gradual ones are centred at 9,500, 20,000 and 30,500 and `width` wide."""
    if not width:
        first = number * 10_000
        return Cut(first, first + 2_000, first + 4_000, first + 10_000, first + 15_000)
    change = (9_500, 20_000, 30_500)[number] - width // 2
    first = (0, 10_000, 20_500)[number]
    return Cut(first, first + 2_000, first + 4_000, change, change + 5_000)


def _errors(data: Path, name: str, target: str, cuts: list[Cut], rule: tuple[int, int]) -> Iterator[Errors | str]:
    from sklearn.tree import DecisionTreeClassifier

    try:
        table = read(data, name)
    except Absent as why:
        yield str(why)
        return
    X = encoded(columns_of(table, [column for column in table.columns if column != target]))
    y = np.unique(table[target].cast(str).to_numpy(), return_inverse=True)[1]
    for cut in cuts:
        model = DecisionTreeClassifier(max_depth=8, min_samples_leaf=10, random_state=0).fit(
            X[cut.start : cut.train], y[cut.start : cut.train]
        )
        wrong = (model.predict(X[cut.train : cut.end]) != y[cut.train : cut.end]).astype(float)
        base, change = cut.base - cut.train, cut.change - cut.train
        short = name.rpartition("/")[2]
        rates = (
            f"errors {wrong[base:change].mean():.3f} → {wrong[change:].mean():.3f}"  # without a rise there is nothing to be seen
        )
        yield Errors(f"{short} {cut.change:,}, {rates}", wrong[:base], wrong[base:change], wrong[change:], *rule)
