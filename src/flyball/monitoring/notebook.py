"""The monitors as a library: what a frame is like, what has moved in another one, and a watch over many. No platform, no project.

>>> import polars as pl
>>> then = pl.DataFrame({"age": [float(n % 50) for n in range(2000)], "town": ["Oslo", "Rome"] * 1000})
>>> now = pl.DataFrame({"age": [float(n % 50) + 20 for n in range(300)], "town": ["Oslo", "Rome"] * 150})
>>> compare(then, now).moved
('age',)
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from flyball.errors import DataError
from flyball.monitoring import drift, effects, frame_clock, frame_counts, frame_words, joint_words, quality
from flyball.monitoring.centres import looks_far
from flyball.monitoring.comparison import Comparison, SchemaChange
from flyball.monitoring.drift import DriftState
from flyball.monitoring.frame_counts import FEWEST_ROWS, FrameCounts, Known, merge
from flyball.monitoring.frame_profile import FrameProfile, profile
from flyball.monitoring.frame_words import ComparedColumn
from flyball.monitoring.frames import Columns, holds_otherwise, rows_of
from flyball.monitoring.histogram import histogram_of, pictured
from flyball.monitoring.policy import INDIFFERENCE, MonitorPolicy
from flyball.monitoring.quality import Watched
from flyball.monitoring.reference import Reference
from flyball.monitoring.streams import Stream
from flyball.monitoring.window import Window
from flyball.records.findings import Finding, FindingKind

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

DAY = timedelta(days=1)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
PART = 0.5
"""Of a window: rows that span less are said to."""
SHORTER = 0.5
"""Of the stretches by which the reference's spread was learned: windows of half as many rows keep to the budget (13 alarms in 320 windows, 16 allowed, where rows come
in groups of 100 and stretches have 500), those of a fifth do not (37)."""


def compare(
    reference: "FrameProfile | IntoDataFrame", frame: "IntoDataFrame", *, level: float = 0.01, least: float = INDIFFERENCE
) -> Comparison:
    """What has moved from `reference` to `frame`. `level`: chance that anything at all is said to have moved where nothing has;
    more than 0.1 is taken as that, and the words say so: p-values of several senses are put together by a rule that is right for small levels only.
    `least`: share of rows (0.01: one in a hundred) that is to have gone into or out of one bin, or across one edge; what surely moved less is not called moved,
    however many rows prove it.

    Raises DataError as `profile` does, where the two have no column in common, and where the frame has far fewer rows than the profile was made for.
    """
    if not isinstance(level, int | float | np.number) or not 0.0 < level < 1.0:
        raise DataError(f"a level of {level!r}", expected="a chance between 0 and 1, such as 0.01")
    _refuse_no_share(least)
    tested = min(float(level), drift.HIGHEST_LEVEL)
    known = reference if isinstance(reference, FrameProfile) else profile(reference, window_rows=max(rows_of(frame), FEWEST_ROWS))
    columns = frame_counts.columns_beside(known.known, frame, strict=False)
    window, clock = _covered(known, frame)
    counted, infinite = frame_counts.count(known.known, columns)
    # A single look has no slow drift to find: all of the budget is a window's own.
    findings, _ = _judged(known.known, DriftState(), counted, window, _Asked(drift.LOOKS[0] / tested, float(least)))
    findings = tuple(_of_one_look(finding, tested) for finding in findings)
    own = {stream.name: stream for stream in drift.streams_of(known.reference, window) if stream.role == "feature"}
    found = {finding.subject: finding for finding in findings if finding.subject in own}
    compared = [_compared(own[name], counted, found.get(name)) for name in own if name in columns.values]
    return Comparison(
        known.reference.rows, columns.rows,
        tuple(sorted(compared, key=lambda column: (column.finding is None, -column.effects["js"], column.name))),
        tuple(name for name in own if name not in columns.values and name not in columns.changed), columns.left_out, tested,
        known.reference.exchangeable, float(level) if level > tested else None, _schema(known, columns, tuple(own)),
        tuple(finding for finding in findings if finding.subject not in own), tuple(_beside(known, infinite)), clock,
        known.reference.unseen,
    )  # fmt: skip


def _covered(known: FrameProfile, frame: "IntoDataFrame") -> tuple[Window, str]:
    """The stretch that a frame is of, and in words whether like is compared with like."""
    clock = known.clock
    if clock is None:
        return Window(model="", unit="", start=BEGINNING, end=BEGINNING + DAY), ""
    begin, count, span = frame_clock.stretch_of(frame, clock)
    window = frame_clock.window_from(begin, clock, count)
    if count > 1:
        return (
            window,
            f"rows of {count:,} {clock.words}: compared with all windows of the reference, not with those of the same time",
        )
    slotted = [stream for stream in frame_counts.features_of(known.reference) if stream.slot_of(window) is not None]
    beside = [f"{stream.name} with {stream.season.words(window)}" for stream in slotted if stream.season is not None]
    alike = "no column is seen to follow the clock" if clock.looked_for else frame_words.NOT_BY_THE_CLOCK
    words = f"{clock.words}: {'compared ' + ', '.join(beside) if beside else alike}"
    if span < PART * clock.window:
        words += f"; the rows span {span} of the window, and are compared with whole ones"
    return window, words


def _schema(known: FrameProfile, columns: Columns, own: tuple[str, ...]) -> tuple[SchemaChange, ...]:
    there = (*columns.values, *columns.left_out, *columns.changed)
    gone = [SchemaChange(name, "gone", f"{name} is gone") for name in (*own, *known.left_out) if name not in there]
    fresh = [name for name in columns.left_out if name not in known.left_out] if known.left_out_known else []
    new = [SchemaChange(name, "new", f"{name} is new") for name in fresh]
    changed = columns.changed | {
        name: f"the column {name!r} holds {columns.beyond[name]}, and was left out: {why}"
        for name, why in known.left_out.items()
        if name in columns.left_out and holds_otherwise(columns, name, why)
    }
    return (*gone, *new, *(SchemaChange(name, "type", f"not compared: {why}") for name, why in changed.items()))


def _beside(known: FrameProfile, infinite: dict[str, int]) -> list[str]:
    alone = list(known.known.centres)
    lines = frame_words.infinite(infinite, "the frame") + frame_words.infinite(known.infinite, "the reference")
    lines += frame_words.coarse(known.coarse)
    if alone:
        lines.append(
            f"looked at by itself only, since it lies far from 0 (not how it goes with other columns, nor which fault it has): {', '.join(alone)}"
        )
    if known.directions is None or known.norms is None:
        lines.append(
            "not looked at, since a release before made the profile: how columns go together, and which fault a column has"
        )
    if not known.centred:
        lines.append(frame_words.uncentred([each.name for each in frame_counts.features_of(known.reference) if looks_far(each)]))
    return lines


def _compared(stream: Stream, counted: FrameCounts, finding: Finding | None) -> ComparedColumn:
    counts = np.asarray(counted.profile.counts[stream.name], dtype=np.float64)
    far, bound = effects.of(stream, counts, np.asarray(stream.counts, dtype=np.float64)), effects.is_bound(stream, counts)
    seen = None if counted.traits is None else counted.traits.columns.get(stream.name)
    if bound and seen is not None:
        far["wasserstein"] = float(f"{far['wasserstein'] + effects.outside(stream, counts, seen):.5g}")
    pictured = histogram_of(stream, counted.profile.counts[stream.name])
    return ComparedColumn(stream.name, far, finding, pictured, at_least=bound and seen is None)


def _of_one_look(finding: Finding, level: float) -> Finding:
    note = f"one look at level {level:g}, all columns together"
    return msgspec.structs.replace(finding, share_of_budget=None, evidence=msgspec.structs.replace(finding.evidence, note=note))


class Monitor:
    """Looks at one window after the other, for ever, under one false-alarm budget: at most one false alarm in `windows` windows, on average."""

    def __init__(
        self, reference: "FrameProfile | IntoDataFrame", windows: float = 90.0, state: DriftState | None = None, *,
        least: float = INDIFFERENCE,
    ) -> None:  # fmt: skip
        """`state`: of an earlier monitor of this reference, to go on with. `least`: as of `compare`. Raises DataError when the budget or `least` is none, or the
        state another reference's."""
        if not isinstance(windows, int | float | np.number) or not windows >= 1.0:
            raise DataError(f"a budget of one false alarm in {windows!r} windows", expected="a number of windows, at least 1")
        _refuse_no_share(least)
        self._known = (reference if isinstance(reference, FrameProfile) else profile(reference)).known
        self.reference = self._known.reference
        self._bins = frame_counts.bins_of(self.reference)
        if state is not None and state.bins not in ("", self._bins):
            raise DataError(
                "a state of a monitor of another reference", expected="one whose counts are in the bins of this one",
                next_step="go on with the reference that the state is of (FrameProfile.to_bytes keeps it), or begin without a state",
            )  # fmt: skip
        self.state = msgspec.structs.replace(state or DriftState(), bins=self._bins)
        """A frozen record, some kB: keep it with records.codec, and a new monitor goes on from it."""
        self._asked = _Asked(float(windows), float(least))

    def look(self, frame: "IntoDataFrame") -> tuple[Finding, ...]:
        """What has moved in the next window; mostly nothing. Raises DataError as `compare` does, and where a column of the reference is not there or holds
        something else: nobody would watch it."""
        columns = self.columns(frame)
        self._refuse_absent(
            [stream.name for stream in frame_counts.features_of(self.reference) if stream.name not in columns.values]
        )
        return self.judge(self.count(columns))

    def columns(self, frame: "IntoDataFrame") -> Columns:
        columns = frame_counts.columns_beside(self._known, frame, strict=True)
        clock = self._known.clock
        return columns if clock is None else columns._replace(begin=frame_clock.window_of(frame, clock))

    def count(self, columns: Columns) -> FrameCounts:
        """The window in the reference's bins: to be merged with others' (`merge`) where a window is counted in several places."""
        return frame_counts.count(self._known, columns).counts

    def judge(self, counted: FrameCounts) -> tuple[Finding, ...]:
        """`look`, of a window that is counted already."""
        frame_counts.refuse_other(counted)
        if counted.bins != self._bins:
            raise DataError(
                "counts in the bins of another reference", expected="what count() of a monitor of this one gave",
                next_step="count the window again, with the profile of this monitor",
            )  # fmt: skip
        self._refuse_absent(
            [each.name for each in frame_counts.features_of(self.reference) if each.name not in counted.profile.counts]
        )
        findings, self.state = _judged(self._known, self.state, counted, self._window(counted), self._asked)
        return findings

    def _window(self, counted: FrameCounts) -> Window:
        """The next one; of a reference with a clock, the one that was counted."""
        clock, start = self._known.clock, BEGINNING + self.state.windows * DAY
        if clock is None:
            return Window(model="", unit="", start=start, end=start + DAY)
        if counted.begin is None:
            raise DataError(
                "counts of no window of time", expected=clock.words,
                next_step="count it with a monitor of this profile: count(columns(frame))",
            )  # fmt: skip
        frame_clock.refuse_earlier(self.state.last_window, counted.begin)
        return frame_clock.window_from(counted.begin, clock)

    def _refuse_absent(self, absent: list[str]) -> None:
        if absent:
            raise DataError(
                f"a frame without {', '.join(map(repr, absent[:5]))}", expected="every column of the reference",
                next_step="mend it where it is made, or profile a reference without what is gone for good",
            )  # fmt: skip


class _Asked(NamedTuple):
    """What somebody wants to be told."""

    windows: float
    """In which one may be a false alarm."""
    least: float


def _refuse_no_share(least: float) -> None:
    if not isinstance(least, int | float | np.number) or not 0.0 <= least < 1.0:
        raise DataError(
            f"a least move of {least!r}", expected="a share of rows from 0 to below 1, such as 0.01 for one row in a hundred"
        )


def _judged(
    known: Known, state: DriftState, counted: FrameCounts, window: Window, asked: _Asked
) -> tuple[tuple[Finding, ...], DriftState]:
    """One window's findings in the words of what happened, with pictures; and the state after it."""
    if known.clock is None:  # a window of time has as many rows as came, and its spread was learned from such ones or smaller
        _refuse_short(known.reference, counted.profile.rows)
    policy = MonitorPolicy(
        window=window.end - window.start, budget_windows=asked.windows, min_rows=FEWEST_ROWS, mature_share=1.0, label_delay=None,
        tolerance=0.0, drift_share=1.0, indifference=asked.least,
    )  # fmt: skip
    reading = drift.judge(known.reference, state, counted.profile, window, policy, counted.traits)
    findings = reading.findings
    alarmed = {finding.subject for finding in findings if finding.kind is FindingKind.FEATURE_DRIFT}
    if known.directions is not None and counted.pairs is not None:
        still = {name for name, of in state.streams.items() if not of.from_reference}
        findings = _each_once(joint_words.tell(known.directions, counted.pairs, findings, alarmed | still))
    if known.norms is not None and counted.traits is not None:
        streams = {stream.name: stream for stream in known.reference.streams if stream.name in known.norms.columns}
        watched = Watched(norms=known.norms, streams=streams, counts=counted.profile.counts, traits=counted.traits)
        findings = quality.retell(findings, quality.diagnose(watched, alarmed))
    return pictured(findings, drift.streams_of(known.reference, window), counted.profile.counts), reading.state


def _each_once(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """A pair of columns is in several directions, and each of them tells it: the first one spends what they spend together."""
    told: dict[str, Finding] = {}
    for finding in findings:
        first = told.setdefault(finding.words, finding)
        if first is not finding:
            spent = (first.share_of_budget or 0.0) + (finding.share_of_budget or 0.0)
            told[finding.words] = msgspec.structs.replace(first, share_of_budget=round(spent, 6))
    return tuple(told.values())


def _refuse_short(reference: Reference, rows: int) -> None:
    """How far short stretches differ is not learned from long ones where rows come in groups: a wrong null would alarm."""
    learned = max(
        (stream.spreads[0].size / stream.spreads[0].windows for stream in reference.streams if stream.spreads), default=0.0
    )
    if rows < SHORTER * learned:
        raise DataError(
            f"a window of {rows:,} rows, and a reference whose stretches of some {learned:,.0f} rows differ by more than chance",
            expected="windows of at least half as many: how far shorter ones differ anyway was not learned",
            next_step=f"profile(frame, window_rows={rows}), to be given to Monitor or compare; or shuffle the frame's rows if their order means nothing",
        )  # fmt: skip


__all__ = ["Comparison", "FrameCounts", "FrameProfile", "Monitor", "compare", "merge", "profile"]
