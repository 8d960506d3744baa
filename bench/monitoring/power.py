"""Does it see what changed, how soon, and does it name the right column? At equal false alarms, on the same windows."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.table import Table as Drawn

from bench.monitoring.calibration import batches
from bench.monitoring.data import Absent, Table, load
from bench.monitoring.frames import SCORE, Floats, Frame, Past
from bench.monitoring.injections import BY_CHANCE, GRADUAL_WINDOWS, Change, changes_of, with_noise
from bench.monitoring.intervals import paired
from bench.monitoring.nulls import Size, null, on_day
from bench.monitoring.subjects import Flyball, Look, Random, Subject, Textbook, feature_of
from bench.serving.bars import Bar
from bench.serving.rounds import tell

LOOSER = (2.0, 1.4, 1.0, 0.7, 0.5, 0.25, 0.12)
"""Flyball's budget is multiplied by these to find the one at which it alarms as often as the others do."""


@dataclass(frozen=True)
class Plan:
    tables: tuple[str, ...]
    window_rows: int
    reference_rows: int
    per_100: float
    """False alarms that everybody has."""
    draws: int
    replays: int
    """Of each change after each reference."""
    calibration: int
    """Windows without change, to set thresholds by: half of them for the mean and spread of each statistic, half for the threshold of their maximum."""
    before: int
    """Windows without change that memory has seen when it changes; also those on which false alarms are counted."""
    after: int
    """Windows after the change; more where it takes longer to come."""

    def after_of(self, change: Change) -> int:
        return max(self.after, change.windows)


QUICK = Plan(("adult",), 1_000, 5_000, 5.0, 6, 2, 80, 20, 5)
MODERATE = Plan(("adult", "hotel", "employment"), 1_000, 5_000, 5.0, 8, 2, 100, 30, 5)
FULL = Plan(("adult", "hotel", "employment"), 1_000, 5_000, 1.0, 40, 5, 200, 30, 20)


@dataclass
class Run:
    """A change played once to one subject."""

    alarmed: list[bool]
    named: list[tuple[str, ...]]
    paged: list[bool]

    @property
    def delay(self) -> float:
        """Windows until the first alarm, the first being 1; infinite: none came."""
        return next((k + 1.0 for k, alarmed in enumerate(self.alarmed) if alarmed), math.inf)

    def first_is(self, right: frozenset[str]) -> bool | None:
        """None: no alarm. A score that moved because its features did is a consequence, and passed over where it is not what changed."""
        for alarmed, named in zip(self.alarmed, self.named, strict=True):
            if alarmed:
                first = next((name for name in named if name != SCORE or SCORE in right), "")
                return _touches(first, right)
        return None


def _touches(subject: str, right: frozenset[str]) -> bool:
    """Joint findings name several columns: `a × b`."""
    return any(part.strip() in right for part in subject.split("×"))


@dataclass
class Told:
    """Everything that was measured on one table."""

    table: str
    runs: dict[tuple[str, str], list[list[Run]]] = field(default_factory=dict)
    """(change, subject) → one list of replays a draw."""
    false: dict[str, list[int]] = field(default_factory=dict)
    """Subject → [alarms, windows] without change that no threshold was set by."""
    changes: dict[str, Change] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, change: str, subject: str, draw: int, run: Run) -> None:
        draws = self.runs.setdefault((change, subject), [])
        while len(draws) <= draw:
            draws.append([])
        draws[draw].append(run)

    def count(self, subject: str, alarmed: Sequence[bool]) -> None:
        told = self.false.setdefault(subject, [0, 0])
        told[0] += sum(map(bool, alarmed))
        told[1] += len(alarmed)


def measure(data: Path, plan: Plan, peers: Sequence[Subject]) -> tuple[list[Told], dict[str, str]]:
    told: list[Told] = []
    skipped: dict[str, str] = {}
    for name in plan.tables:
        try:
            table = load(data, name)
        except Absent as why:
            skipped[name] = str(why)
            continue
        told.append(on_table(table, plan, peers))
    return told, skipped


def on_table(table: Table, plan: Plan, peers: Sequence[Subject]) -> Told:
    table = Table(table.name, with_noise(table.frame))
    told = Told(table.name)
    changes = list(changes_of(table.frame))
    told.changes = {change.name: change for change in changes}
    subjects: list[Subject] = [Textbook(plan.per_100 / 100), Random(plan.per_100 / 100), *peers]
    size = Size(len(table.frame.columns), plan.window_rows, plan.reference_rows)
    seen: list[Seen] = []
    for draw in range(plan.draws):
        stream = null(table, size, plan.calibration + plan.before, draw).stream
        quiet = [frame for part in batches(stream, range(stream.count)) for frame in part]
        played = {
            (change.name, replay): _windows(change, plan, (draw, place, replay))
            for place, change in enumerate(changes)
            for replay in range(plan.replays)
        }
        watch = Flyball(100.0 / plan.per_100, ignored=frozenset({BY_CHANCE})).watch(stream.past)
        seen.append(Seen(watch, stream.past, quiet, played))
        for subject in subjects:
            memoryless(subject, seen[-1], plan, draw, told)
        seen[-1].forget()
        tell(f"power {table.name}: draw {draw + 1} of {plan.draws}")
    with_memory(seen, plan, told)
    for subject in subjects:
        equalised(subject.name, seen, plan, told)
    return told


def _windows(change: Change, plan: Plan, seed: tuple[int, ...]) -> list[Frame]:
    draw = np.random.default_rng([41, *seed])
    first = plan.calibration + plan.before
    return [on_day(change.make(k, plan.window_rows, draw), first + k) for k in range(plan.after_of(change))]


class Remembering(Protocol):
    """One of ours: rows are counted once and judged under several budgets."""

    def count(self, frame: Frame) -> Any: ...

    def judge(self, counted: Any) -> Look: ...

    def under(self, budget_windows: float) -> "Remembering": ...

    def fork(self) -> "Remembering": ...


class Seen:
    """One draw of a reference: what everybody saw of it, so that thresholds can be set when all draws are known."""

    def __init__(self, watch: Remembering, past: Past, quiet: list[Frame], played: dict[tuple[str, int], list[Frame]]) -> None:
        self.watch, self.past, self.quiet, self.played = watch, past, quiet, played
        self.quiet_profiles = [self.watch.count(frame) for frame in quiet]
        self.profiles = {key: [self.watch.count(frame) for frame in frames] for key, frames in played.items()}
        self.scores: dict[str, tuple[tuple[str, ...], Floats, dict[tuple[str, int], Floats]]] = {}
        """Subject → columns, scores of quiet windows, scores after each change."""

    def forget(self) -> None:
        """The rows; what was seen of them stays."""
        self.quiet, self.played = [], {}


def memoryless(subject: Subject, seen: Seen, plan: Plan, draw: int, told: Told) -> None:
    try:
        watch = subject.watch(seen.past)
        quiet = watch.look(seen.quiet)
        looks = watch.look([frame for frames in seen.played.values() for frame in frames])
    except RuntimeError as failed:
        told.failed[subject.name] = str(failed)
        return
    rest = iter(looks)
    after = {key: list(islice(rest, len(frames))) for key, frames in seen.played.items()}
    name = f"{subject.name}, as it comes"
    told.count(name, [look.alarmed for look in quiet[plan.calibration :]])
    for (change, _), said in after.items():
        told.add(change, name, draw, _run(said))
    seen.scores[subject.name] = (watch.columns, _scores(quiet), {key: _scores(said) for key, said in after.items()})


def _run(looks: Sequence[Look]) -> Run:
    paged = [look.alarmed if look.paged is None else look.paged for look in looks]
    return Run([look.alarmed for look in looks], [look.named for look in looks], paged)


def _scores(looks: Sequence[Look]) -> Floats:
    return np.stack([look.scores for look in looks])


def equalised(name: str, seen: Sequence[Seen], plan: Plan, told: Told) -> None:
    """Each column's statistic in standard deviations of some quiet windows, their maximum against one threshold for all draws, set by others.

    Set by the same windows, the threshold would be too low: a spread fits the windows that it was taken from best.
    """
    if name == "alarms at random" or any(name not in each.scores for each in seen):
        return
    half = plan.calibration // 2
    standardised = [_Standardised(each.scores[name], half) for each in seen]
    largest = np.concatenate([each.quiet[half : plan.calibration].max(axis=1) for each in standardised])
    threshold = float(np.quantile(largest, 1.0 - plan.per_100 / 100.0, method="higher"))
    label = f"{name}, equal"
    for draw, each in enumerate(standardised):
        told.count(label, list(each.quiet[plan.calibration :].max(axis=1) > threshold))
        for (change, _), z in each.after.items():
            named = tuple(tuple(feature_of(each.columns[k]) for k in np.argsort(-row, kind="stable")) for row in z)
            alarmed = (z.max(axis=1) > threshold).tolist()
            told.add(change, label, draw, Run(alarmed, list(named), alarmed))


class _Standardised:
    def __init__(self, scores: tuple[tuple[str, ...], Floats, dict[tuple[str, int], Floats]], calibration: int) -> None:
        self.columns, quiet, after = scores
        part = quiet[:calibration]
        with np.errstate(invalid="ignore"):
            self._mean = np.nan_to_num(np.nanmean(np.where(np.isnan(part), 0.0, part), axis=0))
            self._sd = np.maximum(np.nan_to_num(np.std(np.where(np.isnan(part), self._mean, part), axis=0)), 1e-12)
        self.quiet = self._z(quiet)
        self.after = {key: self._z(values) for key, values in after.items()}

    def _z(self, scores: Floats) -> Floats:
        """What said nothing is as far away as can be."""
        return np.where(np.isnan(scores), -np.inf, (scores - self._mean) / self._sd)


def with_memory(seen: Sequence[Seen], plan: Plan, told: Told, looser: Sequence[float] = LOOSER) -> None:
    """Flyball at its stated budget, and at the one at which it alarms as often as the others on the calibration windows."""
    stated = 100.0 / plan.per_100
    rates = {factor: _rate(seen, stated * factor, plan) for factor in looser}
    within = [factor for factor, rate in rates.items() if rate <= plan.per_100 / 100.0]
    for label, factor in (("Flyball, as it comes", 1.0), ("Flyball, equal", min(within, default=1.0))):
        for draw, each in enumerate(seen):
            watch = each.watch.under(stated * factor)
            said = [watch.judge(profile) for profile in each.quiet_profiles]
            told.count(label, [look.alarmed for look in said[plan.calibration :]])
            for (change, _), profiles in each.profiles.items():
                told.add(change, label, draw, _run(_played(watch.fork(), profiles)))


def _rate(seen: Sequence[Seen], budget_windows: float, plan: Plan) -> float:
    """Alarms per window on the calibration windows."""
    alarms = windows = 0
    for each in seen:
        watch = each.watch.under(budget_windows)
        said = [watch.judge(profile).alarmed for profile in each.quiet_profiles[: plan.calibration]]
        alarms, windows = alarms + sum(said), windows + len(said)
    return alarms / max(windows, 1)


def _played(watch: Remembering, profiles: Sequence[Any]) -> list[Look]:
    return [watch.judge(profile) for profile in profiles]


@dataclass(frozen=True)
class Line:
    """One change, one subject."""

    change: str
    subject: str
    within: dict[int, float]
    """Windows → share of replays in which an alarm had come by then."""
    delay: float
    """Median, in windows."""
    first_right: float
    """Of the replays with an alarm: the right column was named first. NaN: none."""
    paged: float
    """Share of replays in which somebody was called."""
    replays: int
    behind: tuple[float, float]
    """95 % interval of Flyball (equal) minus this one, in `_earliness`, paired by draw of the reference."""


def lines(told: Told, horizons: Sequence[int]) -> Iterator[Line]:
    for change, each in told.changes.items():
        ours = told.runs.get((change, "Flyball, equal"), [])
        for subject in dict.fromkeys(name for what, name in told.runs if what == change):
            draws = told.runs[change, subject]
            runs = [run for replays in draws for run in replays]
            right = [found for run in runs if (found := run.first_is(each.right)) is not None]
            pairs = [_earliness(a) - _earliness(b) for a, b in zip(ours, draws, strict=False) if a and b]
            after = len(runs[0].alarmed)
            yield Line(
                change, subject, {k: sum(run.delay <= k for run in runs) / len(runs) for k in horizons if k <= after},
                statistics.median(run.delay for run in runs), sum(right) / len(right) if right else math.nan,
                sum(any(run.paged) for run in runs) / len(runs), len(runs), paired(pairs),
            )  # fmt: skip


def _earliness(runs: Sequence[Run]) -> float:
    """Share of the windows after the change at whose end an alarm had come: 1, it came in the first; 0, never. Power and delay in one number."""
    after = len(runs[0].alarmed)
    return sum(max(0.0, (after - run.delay + 1.0) / after) for run in runs) / len(runs)


def horizons_of(plan: Plan) -> tuple[int, ...]:
    return tuple(k for k in (1, 3, 5, 10, 20) if k <= max(plan.after, GRADUAL_WINDOWS))


def drawn(told: Told, plan: Plan, first: str = "right column first") -> Drawn:
    horizons = horizons_of(plan)
    table = Drawn(
        f"{told.table}: change", "subject", *(f"seen within {k}" for k in horizons), "delay", first, "pages",
        "Flyball (equal) minus it", box=None, pad_edge=False,
    )  # fmt: skip
    last = ""
    for line in lines(told, horizons):
        low, high = line.behind
        table.add_row(
            line.change if line.change != last else "", line.subject, *(f"{line.within[k]:.2f}" if k in line.within else "" for k in horizons),
            f"{line.delay:g}", "–" if math.isnan(line.first_right) else f"{line.first_right:.2f}", f"{line.paged:.2f}",
            "" if line.subject == "Flyball, equal" else f"{low:+.2f} … {high:+.2f}",
        )  # fmt: skip
        last = line.change
    return table


def alarms(told: Told) -> Drawn:
    table = Drawn(
        f"{told.table}: false alarms on windows that set no threshold", "alarms", "windows", "per 100", box=None, pad_edge=False
    )
    for subject, (times, windows) in told.false.items():
        table.add_row(subject, str(times), str(windows), f"{100 * times / max(windows, 1):.1f}")
    for subject, why in told.failed.items():
        table.add_row(subject, f"failed: {why[:80]}", "", "")
    return table


def bars(told: Told, plan: Plan) -> list[Bar]:
    """What issue 4 asks of every change."""
    all_lines = list(lines(told, horizons_of(plan)))
    harmful = [line for line in all_lines if not told.changes[line.change].harmless]
    changes = dict.fromkeys(line.change for line in harmful)
    rivals = [line for line in harmful if line.subject.endswith(", equal") and not line.subject.startswith("Flyball")]
    behind = {line.change for line in rivals if line.behind[1] < 0.0}
    ours = [line for line in all_lines if line.subject == "Flyball, equal"]
    named = [line.first_right for line in ours if line.change in changes and max(line.within.values()) >= 0.5]
    paged = [line.paged for line in ours if told.changes[line.change].harmless]
    chance = 1.0 - (1.0 - plan.per_100 / 100.0) ** plan.after
    return [
        Bar(
            f"{told.table}: changes in which nobody is surely ahead, of {len(changes)}",
            len(changes) - len(behind),
            len(changes),
            least=True,
        ),
        Bar(f"{told.table}: right column first, mean over changes seen in half the replays", _mean(named), 0.9, least=True),
        Bar(
            f"{told.table}: harmless change pages within {plan.after} windows (false alarms alone: {chance:.2f})",
            _mean(paged),
            chance,
            least=False,
        ),
    ]


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan


def document(told: Told, plan: Plan) -> dict[str, Any]:
    return {
        "table": told.table,
        "false_alarms": told.false,
        "failed": told.failed,
        "lines": [
            {**vars(line), "delay": line.delay if math.isfinite(line.delay) else None} for line in lines(told, horizons_of(plan))
        ],
    }
