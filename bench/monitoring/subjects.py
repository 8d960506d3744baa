"""What is put to the test: something that learns a reference, looks at windows in order, and names what moved."""

import math
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.monitoring.frames import SCORE, START, Floats, Frame, Past
from flyball.monitoring import blocks, drift, harm, joint, joint_words
from flyball.monitoring.drift import DriftState
from flyball.monitoring.harm import HarmTable
from flyball.monitoring.joint import Directions
from flyball.monitoring.joint_reference import with_joint
from flyball.monitoring.joint_rows import PairCounts, observe, project
from flyball.monitoring.policy import DRIFT_SHARE, MonitorPolicy
from flyball.monitoring.reference import HoldoutScores, Reference, build
from flyball.monitoring.sensitivity import Sensitivity
from flyball.monitoring.window import Window
from flyball.monitoring.window_counts import Profile, profile_of
from flyball.records.findings import Finding, FindingKind
from flyball.records.signature import Column, ColumnType, Signature


class Look(NamedTuple):
    """What was said of one window."""

    alarmed: bool
    named: tuple[str, ...]
    """Columns that alarmed, the one that moved most first."""
    scores: Floats
    """(n_columns,): how far each has moved, in the subject's own statistic; NaN: it said nothing. Larger is further."""
    paged: bool | None = None
    """Whether somebody was called. None: as it alarmed; who does not weigh harm calls at every alarm."""


class Watch(Protocol):
    """A reference, learned."""

    columns: tuple[str, ...]
    """What the scores belong to. `age|missing` is a second statistic of `age`."""

    def look(self, frames: list[Frame]) -> list[Look]:
        """The next windows, in order."""
        ...

    def fork(self) -> "Watch":
        """One that knows what this one knows now, and goes on without it."""
        ...


class Subject(Protocol):
    name: str
    memory: bool
    """Whether what it says of a window depends on the windows before."""

    def watch(self, past: Past) -> Watch: ...


def feature_of(column: str) -> str:
    return column.partition("|")[0]


# Dummies: whoever does no better than they has shown nothing.


class Silent:
    name, memory = "never alarms", False

    def watch(self, past: Past) -> Watch:
        return _Dummy(tuple(past.reference.seen), 0.0, 0)


class Random:
    """Alarms at the rate of the budget, at random features."""

    memory = False

    def __init__(self, per_window: float, seed: int = 0) -> None:
        self.name, self._rate, self._seed = "alarms at random", per_window, seed

    def watch(self, past: Past) -> Watch:
        self._seed += 1
        return _Dummy(tuple(past.reference.seen), self._rate, self._seed)


class _Dummy:
    def __init__(self, columns: tuple[str, ...], rate: float, seed: int) -> None:
        self.columns, self._rate, self._draw = columns, rate, np.random.default_rng([seed, 11])

    def look(self, frames: list[Frame]) -> list[Look]:
        said = []
        for _ in frames:
            scores = self._draw.random(len(self.columns))
            alarmed = bool(self._draw.random() < self._rate)
            said.append(Look(alarmed, (self.columns[int(np.argmax(scores))],) if alarmed else (), scores))
        return said

    def fork(self) -> Watch:
        return self


class Textbook:
    """Two-sample chi-square of every column in ten quantile bins, Bonferroni over columns: what a statistician writes in an afternoon."""

    memory = False

    def __init__(self, per_window: float) -> None:
        self.name, self._rate = "chi-square, Bonferroni", per_window

    def watch(self, past: Past) -> Watch:
        return _TextbookWatch(past.reference, self._rate)


class _TextbookWatch:
    def __init__(self, reference: Frame, rate: float) -> None:
        self.columns, self._rate = tuple(reference.seen), rate
        self._bins = {name: _bins(values) for name, values in reference.seen.items()}
        self._counts = {name: _counted(self._bins[name], values) for name, values in reference.seen.items()}

    def look(self, frames: list[Frame]) -> list[Look]:
        said = []
        for frame in frames:
            far = np.asarray(
                [_two_sample(self._counts[name], _counted(self._bins[name], values)) for name, values in frame.seen.items()]
            )
            named = tuple(self.columns[k] for k in np.argsort(-far) if far[k] > -math.log10(self._rate / far.size))
            said.append(Look(bool(named), named, far))
        return said

    def fork(self) -> Watch:
        return self


def _bins(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype == object:
        words, times = np.unique(values.astype(str), return_counts=True)
        return np.sort(words[np.argsort(-times)[:20]])
    present = values[~np.isnan(values)]
    return np.unique(np.quantile(present, np.arange(1, 10) / 10, method="inverted_cdf")) if present.size else np.zeros(0)


def _counted(bins: NDArray[Any], values: NDArray[Any]) -> NDArray[np.int64]:
    """Missing or unknown first."""
    if values.dtype == object:
        words = values.astype(str)
        place = np.minimum(np.searchsorted(bins, words), bins.size - 1)
        return np.bincount(np.where(bins[place] == words, place + 1, 0), minlength=bins.size + 1)
    place = np.where(np.isnan(values), 0, 1 + np.searchsorted(bins, values, side="left"))
    return np.bincount(place, minlength=bins.size + 2)


def _two_sample(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """−log₁₀ of the p-value."""
    from scipy.stats import chi2

    both = a + b
    keep = both > 0
    if keep.sum() < 2 or not a.sum() or not b.sum():
        return 0.0
    expected = np.outer([a.sum(), b.sum()], both[keep]) / both.sum()
    statistic = ((np.stack([a[keep], b[keep]]) - expected) ** 2 / expected).sum()
    return -float(chi2.logsf(statistic, keep.sum() - 1)) / math.log(10.0)


# Flyball


def signature_of(frame: Frame) -> Signature:
    columns = tuple(
        Column(name=name, type=ColumnType.CATEGORY if frame.is_category(name) else ColumnType.NUMBER) for name in frame.columns
    )
    return Signature(
        task="binary" if frame.task == "binary" else "regression",
        columns=columns,
        classes=("0", "1") if frame.task == "binary" else (),
    )


def scale_of(frame: Frame) -> float | None:
    """Regression: the error that counts as a loss of 1; four times the median one."""
    if frame.task == "binary":
        return None
    return max(4.0 * float(np.median(np.abs(frame.label - frame.score))), 1e-9)


def losses_of(frame: Frame, scale: float | None) -> Floats:
    if scale is None:
        return (frame.score - frame.label) ** 2
    return np.minimum(np.abs(frame.label - frame.score) / scale, 1.0)


def reference_of(frame: Frame, window: timedelta) -> Reference:
    scale = scale_of(frame)
    held = HoldoutScores(frame.score.reshape(-1, 1), losses_of(frame, scale), frame.event_us)
    return build(signature_of(frame), frame.columns, frame.event_us, held, window, scale)


def policy_with(window: timedelta, budget_windows: float, min_rows: int = 20) -> MonitorPolicy:
    """All of the budget is drift's, as in the notebook, where nothing else looks. `min_rows` is low: a day of hours is to be judged, too."""
    return MonitorPolicy(
        window=window,
        budget_windows=budget_windows * DRIFT_SHARE,
        min_rows=min_rows,
        mature_share=0.95,
        label_delay=None,
        tolerance=0.01,
    )


class Flyball:
    """Features, predictions, and how features go together."""

    memory = True

    def __init__(
        self, budget_windows: float, name: str = "Flyball", *, joint: bool = True, ignored: frozenset[str] | None = None
    ) -> None:
        """`joint` False: column by column, as others do. `ignored`: columns that the model never saw; None: harm is not weighed, every alarm pages."""
        self.name, self.budget_windows, self.joint, self.ignored = name, budget_windows, joint, ignored

    def watch(self, past: Past) -> "FlyballWatch":
        frame = past.reference
        plain = reference_of(frame, past.window)
        if not self.joint:
            known = Known(plain, Directions(rows=0, columns=()))
        else:
            windows = blocks.cut(len(frame.score), frame.event_us, past.window).windows
            kinds = {name: "category" if frame.is_category(name) else "number" for name in frame.columns}
            directions = joint.build(kinds, frame.columns, windows)
            known = Known(with_joint(plain, directions, frame.columns, windows), directions)
        if self.ignored is not None:
            known = known._replace(harm=harm_of(known, frame, self.ignored))
        return FlyballWatch(known, policy_with(past.window, self.budget_windows))


def harm_of(known: "Known", frame: Frame, ignored: frozenset[str]) -> HarmTable:
    """As a package has it. The model is not here to be asked: of a column that it never saw the answer is known, of others nothing is."""
    held = dict(frame.columns) | project(known.directions, frame.columns) | {SCORE: frame.score}
    asked = {name: Sensitivity(shuffled=0.0, shuffled_reach=0.0) for name in ignored}
    return harm.build(known.reference.streams, held, losses_of(frame, scale_of(frame)), asked)


class Known(NamedTuple):
    """What is learned of a reference."""

    reference: Reference
    directions: Directions
    harm: HarmTable | None = None


class Counted(NamedTuple):
    profile: Profile
    pairs: PairCounts


class FlyballWatch:
    """States are immutable, so that a change can be played again and again from the same past."""

    def __init__(self, known: Known, policy: MonitorPolicy, state: DriftState | None = None, number: int = 0) -> None:
        self.known, self.policy, self.state, self.number = known, policy, state or DriftState(), number
        self.reference = known.reference
        self.columns = tuple(stream.name for stream in known.reference.streams if stream.role != "joint")

    def under(self, budget_windows: float) -> "FlyballWatch":
        """The same reference under another budget, from the beginning."""
        return FlyballWatch(self.known, policy_with(self.policy.window, budget_windows))

    def fork(self) -> "FlyballWatch":
        return FlyballWatch(self.known, self.policy, self.state, self.number)

    def count(self, frame: Frame) -> Counted:
        seen = observe(self.known.directions, frame.columns)
        return Counted(profile_of(self.reference, {**frame.columns, **seen.values}, frame.score.reshape(-1, 1)), seen.pairs)

    def look(self, frames: list[Frame]) -> list[Look]:
        return [self.judge(self.count(frame)) for frame in frames]

    def judge(self, counted: Counted) -> Look:
        start = START + self.number * self.policy.window
        window = Window(model="shop", unit="u", start=start, end=start + self.policy.window)
        reading = drift.judge(self.reference, self.state, counted.profile, window, self.policy)
        self.state, self.number = reading.state, self.number + 1
        alarmed = {finding.subject for finding in reading.findings if finding.kind is FindingKind.FEATURE_DRIFT}
        told = joint_words.tell(self.known.directions, counted.pairs, reading.findings, alarmed)
        if self.known.harm is not None:
            streams, counts = self.reference.streams, counted.profile.counts
            told = harm.weigh(told, self.known.harm, streams, counts, self.policy.tolerance)
        scores = np.asarray([reading.distances.get(name, math.nan) for name in self.columns])
        named = tuple(self._column(finding, counted.pairs) for finding in told)
        return Look(bool(told), named, scores, any(finding.pages for finding in told))

    def _column(self, finding: Finding, pairs: PairCounts) -> str:
        """A direction's are those that its words name."""
        if finding.kind is FindingKind.JOINT_DRIFT:
            for change in joint_words.changes(self.known.directions, pairs):
                if finding.words.startswith(change.words):
                    return f"{change.first} × {change.second}"
        among = joint.columns_of(self.known.directions, finding.subject)
        return among[0] if among else finding.subject


def of_no_peer(budget_windows: float) -> tuple[Subject, ...]:
    rate = 1.0 / budget_windows
    return Flyball(budget_windows), Textbook(rate), Random(rate), Silent()


assert SCORE == "prediction"  # the name that Flyball gives the stream of scores
