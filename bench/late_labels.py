"""Labels as untidy and as late as they come: whether every order ends in the same bits, and how far the live metric is from the truth at each age.

`converged()` is reliability R19; `bias_by_age(world)` sets the metric of a window whose labels are still coming, as it stands and completed by the
learned delay (monitoring/live.py), beside the metric of the same window when all of its labels are there.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.capture.ages import UNCOUNTED, LabelAges, LabelledAges
from flyball.capture.join import LabelJoin
from flyball.capture.joined import JoinCounts, Span
from flyball.monitoring.delays import learn
from flyball.monitoring.live import WindowRows, completed
from flyball.monitoring.track_record import TrackRecord, kept, recorded
from flyball.records.captured import Captured, LabelBatch, PredictionBatch
from flyball.records.evidence import Evidence
from flyball.records.signature import Task
from flyball.stats import metrics, weighted_metrics
from flyball.stats.age_grid import AgeCounts
from flyball.stats.label_strata import LabelStrata

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOUR = 3_600_000_000
DAY = 24 * HOUR
EVER = 1 << 62
SHARES = {"repeated": 0.30, "conflicting": 0.10, "unknown": 0.05, "future": 0.05}
MEASURED = ("roc_auc", "pr_auc", "log_loss", "brier", "f1", "accuracy")


class Told(NamedTuple):
    """One label as it came."""

    received_us: int
    id: str
    value: str
    observed_us: int | None


class Story(NamedTuple):
    predictions: list[PredictionBatch]
    labels: list[Told]
    truth: dict[str, str]
    """By a single pass over what came, sorted by when it was observed."""


class Ending(NamedTuple):
    """All that may be asked of a join, as bytes."""

    measured: tuple[bytes, ...]
    labels: bytes
    first_labels: bytes
    ages: tuple[bytes, ...]
    counts: JoinCounts


class Convergence(NamedTuple):
    labels: int
    orders: int
    alike: int
    """Orders whose ending equals that of the first to the bit."""
    as_sorted: bool
    """Each prediction ends with the label that a single pass in order of observation gives it."""


def story(seed: int, labels: int = 100_000) -> Story:
    """So many labels: each prediction's own, 1 to 90 days late, and repeated, contradicted, unknown and future ones."""
    n = int(labels / (1 + sum(SHARES.values())))
    draw = np.random.default_rng(seed)
    at = np.sort(draw.integers(0, 30 * DAY, n))
    scores = draw.uniform(0.01, 0.99, n)
    outcome = np.where(draw.uniform(size=n) < scores, "1", "0")
    ids = [f"p{number}" for number in range(n)]
    predictions = [
        PredictionBatch(
            at_us=int(at[begin]), model="m", unit="u1", role="champion", revision=1, ids=ids[begin : begin + 100], keys=ids[begin : begin + 100],
            columns={}, scores=scores[begin : begin + 100, None].tolist(), latency_us=1,
        ) for begin in range(0, n, 100)
    ]  # fmt: skip
    received = at + draw.integers(1 * DAY, 90 * DAY, n)
    told = [Told(int(when), each, str(value), None) for when, each, value in zip(received, ids, outcome, strict=True)]
    repeated = [told[row] for row in draw.choice(n, int(n * SHARES["repeated"]), replace=False)]
    told += [Told(when + int(draw.integers(0, 9 * DAY)), each, value, when) for when, each, value, _ in repeated]
    for row in draw.choice(n, int(n * SHARES["conflicting"]), replace=False):
        when, each, value, _ = told[row]
        moved = int(draw.integers(-3 * DAY, 9 * DAY))
        told.append(Told(when + abs(moved), each, "1" if value == "0" else "0", when + moved))
    told += [Told(int(when), f"x{k}", "1", None) for k, when in enumerate(draw.integers(0, 90 * DAY, int(n * SHARES["unknown"])))]
    for row in draw.choice(n, int(n * SHARES["future"]), replace=False):
        when, each, value, _ = told[row]
        told.append(Told(when, each, value, when + 3_650 * DAY))  # observed in ten years, says its sender
    return Story(predictions, told, {label.id: label.value for label in sorted(told, key=_observed)})


def _observed(label: Told) -> tuple[int, int, str]:
    """Known when it was observed, or by when it was received: whichever is earlier; of equals, the one received last."""
    known_us = label.received_us if label.observed_us is None else min(label.observed_us, label.received_us)
    return known_us, label.received_us, label.value


def batches(labels: list[Told]) -> list[LabelBatch]:
    """Each with the time at which it was received."""
    return [
        LabelBatch(at_us=when, model="m", ids=[each], values=[value], observed_us=[observed])
        for when, each, value, observed in labels
    ]


def lived(records: list[Captured]) -> LabelJoin:
    joined = LabelJoin("binary", ("0", "1"), 1)
    for record in records:
        joined.add(record)
    return joined


def ending(joined: LabelJoin) -> Ending:
    span = Span(0, EVER, EVER >> 1)
    rows, pairs = joined.rows_of("u1", span), joined.pairs("u1", "u1", span)
    labels = rows.labels.astype(np.int64)
    measured = [metrics.measure(name, "binary", rows.scores, labels) for name in MEASURED]
    return Ending(
        tuple(np.float64(value).tobytes() for value in measured), rows.labels.tobytes(), pairs.labels.tobytes(),
        tuple(part.tobytes() for part in joined.label_ages(0)), joined.counts()._replace(labels_repeated=0, labels_revised=0),
    )  # fmt: skip


def converged(orders: int = 50, labels: int = 100_000, seed: int = 19) -> Convergence:
    """R19, whole: takes a minute or two."""
    told = story(seed, labels)
    records: list[Captured] = [*told.predictions, *batches(told.labels)]
    whole = lived(records)
    ids, _, _, joined, _ = whole.answers(0, EVER)
    as_sorted = all(str(int(value)) == told.truth[each] for each, value in zip(ids, joined.tolist(), strict=True))
    wanted, alike = ending(whole), 0
    for number in range(orders):
        order = np.random.default_rng(number).permutation(len(records))
        alike += ending(lived([records[at] for at in order])) == wanted
    return Convergence(len(told.labels), orders, alike, as_sorted)


class World(NamedTuple):
    """Predictions of some months, each with its outcome and when it was known."""

    task: Task
    at_us: Ints
    known_us: Ints
    """EVER: never."""
    scores: Floats
    """(n_rows, 1)"""
    labels: Floats
    strata: LabelStrata = LabelStrata("binary", 2, (0.25, 0.5))


def independent(seed: int = 0) -> World:
    """The delay, 4 days on average, says nothing of the outcome."""
    return _made(seed, lambda scores, _: np.full(scores.size, 4.0))


def by_outcome(seed: int = 0) -> World:
    """Positives are known after 8 days on average, negatives after 2."""
    return _made(seed, lambda _, labels: np.where(labels == 1, 8.0, 2.0))


def by_error(seed: int = 0) -> World:
    """What the model got wrong is disputed: 8 days, and 2 where it was right."""
    return _made(seed, lambda scores, labels: np.where((scores >= 0.5) == (labels == 1), 2.0, 8.0))


def hidden(seed: int = 0) -> World:
    """A number, of which a third of the rows is hard to predict and known after 8 days instead of 2; nothing that is captured says which: the assumption fails."""
    draw = np.random.default_rng(seed)
    at, n = _times(draw)
    hard = draw.random(n) < 1 / 3
    labels = draw.normal(0.0, 1.0, n)
    scores = labels + draw.normal(0.0, np.where(hard, 0.6, 0.2))
    return World(
        "regression",
        at,
        _known(draw, at, np.where(hard, 8.0, 2.0)),
        scores[:, None],
        labels,
        LabelStrata("regression", 0, (0.0,), (0.0,)),
    )


DAYS, A_DAY = 90, 500


def _made(seed: int, mean_days: Callable[[Floats, Floats], Floats]) -> World:
    draw = np.random.default_rng(seed)
    at, n = _times(draw)
    scores = draw.beta(0.8, 1.6, n)
    labels = (draw.random(n) < scores).astype(np.float64)
    return World("binary", at, _known(draw, at, mean_days(scores, labels)), scores[:, None], labels)


def _times(draw: np.random.Generator) -> tuple[Ints, int]:
    n = DAYS * A_DAY
    return np.sort(draw.integers(0, DAYS * DAY, n)), n


def _known(draw: np.random.Generator, at: Ints, mean_days: Floats) -> Ints:
    """One prediction in ten never gets a label."""
    delay = (draw.exponential(mean_days) * DAY).astype(np.int64)
    return np.where(draw.random(at.size) < 0.9, at + delay, EVER)


class AtAge(NamedTuple):
    """Of all windows of a world, judged when so much time has passed since their end."""

    age_hours: float
    metric: str
    windows: int
    labelled: float
    """Share of the labels that come in the end."""
    bias: float
    """Mean of the bare metric of what is labelled, less that of all that will be."""
    bias_completed: float
    """Of the completed windows."""
    error: float
    """Root of the mean squared difference, bare."""
    error_completed: float
    covered: float
    """Share of completed windows whose 95 % interval holds the metric of all that will be labelled."""
    marked: float
    """Share of windows that were marked immature instead."""


def bias_by_age(
    world: World,
    ages_hours: tuple[float, ...],
    *,
    measured: tuple[str, ...] = (),
    width_us: int = DAY,
    first: int = 45,
    step: int = 2,
) -> list[AtAge]:
    """Every `step`-th window from the `first` on: by then there is a past to learn the delay from, and a track record that
    withholds what cannot be believed (of every third of the 30 windows before, as if they had matured by then)."""
    measured = measured or (("mae",) if world.task == "regression" else ("brier", "roc_auc"))
    last = int(world.at_us.max()) // width_us
    found: list[AtAge] = []
    record = _rehearsed(world, ages_hours, measured, width_us, first)
    for age in ages_hours:
        seen = [
            _window(world, number * width_us, width_us, int(age * HOUR), (measured, record))
            for number in range(first, last, step)
        ]
        found += [_summed(age, name, [window for window in seen if window is not None]) for name in measured]
    return found


def _rehearsed(world: World, ages_hours: tuple[float, ...], measured: tuple[str, ...], width_us: int, first: int) -> TrackRecord:
    """Of each window its first completion counts."""
    record = TrackRecord()
    for number in range(first - 30, first, 3):
        for age in ages_hours:
            seen = _window(world, number * width_us, width_us, int(age * HOUR), (measured, TrackRecord()))
            if seen is not None and seen.completed:
                final = {name: Evidence(name=name, value=value) for name, value in seen.truth.items()}
                record = recorded(record, str(number), seen.completed, final)
                break
    return record


class _Seen(NamedTuple):
    labelled: float
    truth: dict[str, float]
    bare: dict[str, float]
    completed: dict[str, Evidence]
    """Empty: marked."""


def as_of(world: World, now_us: int) -> AgeCounts:
    """What a join would have counted by then."""
    old = world.at_us < now_us
    received = np.where(world.known_us <= now_us, world.known_us, -1)[old]
    ages = LabelAges(world.strata)
    rows = LabelledAges(np.zeros(received.size, dtype=np.int64), world.at_us[old], received, world.scores[old], world.labels[old])
    ages.recount(rows, np.full(received.size, UNCOUNTED, dtype=np.int32))
    return ages.counts((0,), 0)


def _window(world: World, start_us: int, width_us: int, age_us: int, judged: tuple[tuple[str, ...], TrackRecord]) -> _Seen | None:
    measured, record = judged
    end_us, strata = start_us + width_us, world.strata
    now_us = end_us + age_us
    inside = (world.at_us >= start_us) & (world.at_us < end_us)
    at, known, scores, labels = world.at_us[inside], world.known_us[inside], world.scores[inside], world.labels[inside]
    ever, here = known < EVER, known <= now_us
    if here.sum() < 2 or np.unique(labels[here]).size < 2 or np.unique(labels[ever]).size < 2:
        return None
    truth = {name: _measure(name, world.task, scores[ever], labels[ever]) for name in measured}
    bare = {name: _measure(name, world.task, scores[here], labels[here]) for name in measured}
    rows = WindowRows(at, np.where(here, known, -1), scores, np.where(here, labels, np.nan))
    done = completed(rows, learn(as_of(world, now_us), now_us), strata, now_us)
    if done.weighting is None:
        return _Seen(here.sum() / ever.sum(), truth, bare, {})
    weighed = weighted_metrics.rows_of(world.task, scores[done.chosen], labels[done.chosen], done.weighting.weights)
    weighed = weighed._replace(groups=done.weighting.groups, group_log_sd=done.weighting.group_log_sd)
    told = {name: weighted_metrics.estimate(name, world.task, weighed, 0.05) for name in measured}
    promised = {
        name: Evidence(name=name, value=e.value, lower=e.lower, upper=e.upper, alpha=0.05)
        for name, e in told.items()
        if e is not None
    }
    return _Seen(here.sum() / ever.sum(), truth, bare, kept(record, promised))


def _measure(name: str, task: Task, scores: Floats, labels: Floats) -> float:
    return float(metrics.METRICS[name](task, scores, labels))


def _summed(age: float, name: str, seen: list[_Seen]) -> AtAge:
    bare = np.array([window.bare[name] - window.truth[name] for window in seen])
    ours, held = [], []
    for window in seen:
        told = window.completed.get(name)
        if told is not None and told.value is not None and told.lower is not None and told.upper is not None:
            ours.append(told.value - window.truth[name])
            held.append(told.lower <= window.truth[name] <= told.upper)
    errors = np.array(ours)

    def mean(values: npt.NDArray[np.float64]) -> float:
        return float(values.mean()) if values.size else float("nan")

    return AtAge(
        age, name, len(seen), mean(np.array([window.labelled for window in seen])), mean(bare), mean(errors),
        mean(bare**2) ** 0.5, mean(errors**2) ** 0.5, mean(np.array(held, dtype=np.float64)), 1.0 - len(ours) / max(len(seen), 1),
    )  # fmt: skip


def flights() -> World:
    """Flights from New York, 2013: whether they are late is known when they land, so late ones are known later. A model of the first two months."""
    import polars as pl
    from examples.flights.pipeline import CATEGORIES, FEATURES, load
    from sklearn.ensemble import HistGradientBoostingClassifier

    frame = load(datetime(2013, 7, 1, tzinfo=UTC)).with_columns(pl.col(CATEGORIES).cast(pl.Categorical).to_physical())
    begin = datetime(2013, 3, 1, tzinfo=UTC)
    past, rest = frame.filter(pl.col("known_at") < begin), frame.filter(pl.col("time") >= begin)
    model = HistGradientBoostingClassifier(random_state=0, max_iter=100).fit(past[FEATURES].to_numpy(), past["late"].to_numpy())

    def micros(column: str) -> Ints:
        return (rest[column] - begin).dt.total_microseconds().to_numpy().astype(np.int64)

    scores = model.predict_proba(rest[FEATURES].to_numpy())[:, 1:]
    return World("binary", micros("time"), micros("known_at"), scores, rest["late"].to_numpy().astype(np.float64))


WORLDS: dict[str, tuple[Callable[[], World], tuple[float, ...]]] = {
    "delay independent of the outcome": (independent, (12, 24, 48, 96, 192, 384)),
    "delay by the outcome": (by_outcome, (12, 24, 48, 96, 192, 384)),
    "delay by the error": (by_error, (12, 24, 48, 96, 192, 384)),
    "delay by what nobody captured": (hidden, (12, 24, 48, 96, 192, 384)),
    "flights, late ones are known later": (flights, (0, 1, 2, 3, 4, 6, 12, 24)),
}


if __name__ == "__main__":
    for title, (build, ages) in WORLDS.items():
        print(title, flush=True)
        for row in bias_by_age(build(), ages):
            print(
                "  ",
                *(
                    f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                    for name, value in row._asdict().items()
                ),
            )
