"""What it costs: rows by the million in flat memory, the same windows as the peers, history that does not slow it, shards that merge to the same bytes."""

import functools
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import polars as pl
from rich.table import Table as Drawn

from bench.monitoring.data import Absent, load
from bench.monitoring.frames import Frame, Past, Stream
from bench.monitoring.nulls import DAY, Size, before, null, on_day
from bench.monitoring.peers import Peer
from bench.monitoring.subjects import Flyball, FlyballWatch, Subject
from bench.serving.bars import Bar
from bench.serving.rounds import tell
from flyball.monitoring import Monitor, frame_counts, profile
from flyball.monitoring.frame_counts import FrameCounts
from flyball.monitoring.window_counts import Profile, merge

T = TypeVar("T")

FEATURES = 100
CHUNK_ROWS = 20_000
SHARDS = 100
FRAME_FEATURES = 20
REFERENCE_ROWS = 20_000
BESIDE_MB, BYTES_KB = 64, 60
"""Of memory beside one large frame that is looked at; of a window of FEATURES as bytes."""
TIMES_EVIDENTLY, TIMES_NANNYML = 50, 5


@dataclass(frozen=True)
class Plan:
    rows: tuple[int, ...]
    peer_columns: int
    peer_rows: int
    """Of the window and of the reference that peers are timed with."""
    peer_rounds: int
    history: tuple[int, int]
    """Windows judged before the one that is timed."""
    joint_rows: int
    """Counted once more with how their columns go together."""
    frames: tuple[int, ...]
    """Rows of one frame that the library looks at."""


QUICK = Plan((10_000, 100_000, 1_000_000), 20, 50_000, 3, (10, 300), 100_000, (100_000, 1_000_000))
FULL = Plan((10_000, 100_000, 1_000_000, 10_000_000), 20, 50_000, 7, (10, 2_000), 1_000_000, (300_000, 3_000_000))


class Streamed(NamedTuple):
    """One process that counted so many rows, in chunks that were drawn anew."""

    rows: int
    seconds: float
    """Of counting and merging alone, and of the processor for them: others may be at work."""
    processor: float
    peak_mb: float
    """Of the process, with the table that chunks are drawn from."""
    joint: bool
    load: float
    """Of the machine, when it was done."""

    @property
    def nanoseconds(self) -> float:
        """Of the processor, per row and feature."""
        return 1e9 * self.processor / (self.rows * FEATURES)


class Looked(NamedTuple):
    """One process in which the library looked at one frame."""

    rows: int
    frame_mb: float
    look_mb: float
    """Beside the frame, at most."""
    look_seconds: float
    profile_mb: float
    profile_seconds: float


@dataclass
class Told:
    streamed: list[Streamed] = field(default_factory=list)
    ratios: dict[str, list[float]] = field(default_factory=dict)
    """Peer → its time over Flyball's, one a round."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    update_ms: dict[int, float] = field(default_factory=dict)
    """Windows of history → milliseconds to count and judge one more."""
    frames: list[Looked] = field(default_factory=list)
    shards_equal: bool | None = None
    bytes: dict[int, int] = field(default_factory=dict)
    """Rows of a window of FEATURES → bytes of its counts."""

    def document(self) -> dict[str, Any]:
        streamed = [{**each._asdict(), "ns_per_row_and_feature": each.nanoseconds} for each in self.streamed]
        return {**vars(self), "streamed": streamed, "frames": [each._asdict() for each in self.frames]}


def measure(data: Path, plan: Plan, peers: Sequence[Subject]) -> Told:
    told = Told()
    for rows, joint in [*((rows, False) for rows in plan.rows), (plan.joint_rows, True)]:
        told.streamed.append(in_a_process(_stream, data, rows, joint))
        tell(f"scale: {_words(told.streamed[-1])}")
    for rows in plan.frames:
        told.frames.append(in_a_process(_look, rows))
        tell(f"scale: {_frame_words(told.frames[-1])}")
    watch, stream = _prepared(data, joint=False)
    chunk = stream.make(0)
    told.shards_equal, told.bytes = _shards(chunk)
    for windows in plan.history:
        told.update_ms[windows] = _update(watch.under(100.0), chunk, windows)
    _against(data, plan, peers, told)
    return told


def in_a_process(run: Callable[..., T], *given: Any) -> T:
    """A process of its own: the peak of its memory is not that of what came before."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, given)


def _prepared(data: Path, *, joint: bool) -> tuple[FlyballWatch, Stream]:
    """A reference of 100 features (16 columns of people and copies of them; numbers and categories) and chunks of rows of the same table."""
    try:
        table = load(data, "employment")
    except Absent:
        table = load(data, "gas")
    stream = null(table, Size(FEATURES, CHUNK_ROWS, CHUNK_ROWS), max(FULL.rows) // CHUNK_ROWS, 0).stream
    watch = Flyball(100.0, joint=joint).watch(stream.past)
    assert isinstance(watch, FlyballWatch)
    return watch, stream


def _stream(data: Path, rows: int, joint: bool) -> Streamed:  # noqa: FBT001 - `apply` passes it by place
    watch, stream = _prepared(data, joint=joint)
    whole: Profile | None = None
    took = worked = 0.0
    for first in range(0, rows, CHUNK_ROWS):
        chunk = stream.make(first // CHUNK_ROWS).take(np.arange(min(rows - first, CHUNK_ROWS)))
        begun, before = time.perf_counter(), time.process_time()
        counted = watch.count(chunk).profile
        whole = counted if whole is None else merge(whole, counted)
        took, worked = took + time.perf_counter() - begun, worked + time.process_time() - before
    assert whole is not None
    assert whole.rows == rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Streamed(rows, took, worked, peak, joint, os.getloadavg()[0])


def _look(rows: int) -> Looked:
    """Numbers and words, so that both ways of counting are measured."""
    draw = np.random.default_rng(6)

    def frame(n: int) -> pl.DataFrame:
        numbers = {f"x{i}": draw.normal(size=n).astype(np.float32) for i in range(FRAME_FEATURES - 2)}
        return pl.DataFrame(numbers | {f"c{i}": pl.Series(draw.integers(0, 30, n)).cast(pl.String) for i in range(2)})

    watch, window = Monitor(profile(frame(REFERENCE_ROWS))), frame(rows)
    look_mb, look_seconds = _measured(lambda: watch.look(window))
    profile_mb, profile_seconds = _measured(lambda: profile(window))
    return Looked(rows, window.estimated_size() / 1e6, look_mb, look_seconds, profile_mb, profile_seconds)


def _measured(run: Callable[[], object]) -> tuple[float, float]:
    """MB of the peak above what there was before, and seconds. Linux forgets an earlier peak when told to."""
    Path("/proc/self/clear_refs").write_text("5")
    before, begun = _peak_mb(), time.perf_counter()
    run()
    return _peak_mb() - before, time.perf_counter() - begun


def _peak_mb() -> float:
    told = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in told if line.startswith("VmHWM:")).split()[1]) / 1024


def _shards(chunk: Frame) -> tuple[bool, dict[int, int]]:
    """Whether a hundred shards are the same bytes merged forwards and backwards, traits and all, and as one pass but for what repeats the value before it, which
    is of pieces; and the bytes of windows."""
    rows = pl.DataFrame({name: pl.Series(values.tolist()) for name, values in chunk.columns.items()})
    watch = Monitor(profile(rows[:5_000], window_rows=1_000))

    def count(part: pl.DataFrame) -> FrameCounts:
        return watch.count(watch.columns(part))

    size = len(rows) // SHARDS
    parts = [count(rows[k * size : (k + 1) * size]) for k in range(SHARDS)]
    forwards, backwards = functools.reduce(frame_counts.merge, parts), functools.reduce(frame_counts.merge, parts[::-1])
    one = count(rows[: SHARDS * size])
    equal = forwards.to_bytes() == backwards.to_bytes() and _unordered(forwards).to_bytes() == _unordered(one).to_bytes()
    return equal, {n: len(count(rows[:n]).to_bytes()) for n in (1_000, len(rows))}


def _unordered(counts: FrameCounts) -> FrameCounts:
    assert counts.traits is not None
    columns = {name: msgspec.structs.replace(of, repeats=0, pieces=0) for name, of in counts.traits.columns.items()}
    return msgspec.structs.replace(counts, traits=msgspec.structs.replace(counts.traits, columns=columns))


def _update(watch: FlyballWatch, chunk: Frame, windows: int) -> float:
    """Median milliseconds of five more windows after so many."""
    parts = [chunk.take(np.arange(k * 1_000, (k + 1) * 1_000)) for k in range(len(chunk) // 1_000)]
    profiles = [watch.count(part) for part in parts]
    for k in range(windows):
        watch.judge(profiles[k % len(profiles)])
    took = []
    for k in range(5):
        begun = time.perf_counter()
        watch.look([parts[k]])
        took.append(1000.0 * (time.perf_counter() - begun))
    return statistics.median(took)


def _against(data: Path, plan: Plan, peers: Sequence[Subject], told: Told) -> None:
    """The same windows, in turn, there and back; a round is a window."""
    table = load(data, "employment")
    pool, draw = table.frame.narrowed(plan.peer_columns), np.random.default_rng(9)

    def rows() -> Frame:
        return pool.take(draw.choice(len(pool), size=plan.peer_rows, replace=False))

    past = Past(before(rows(), plan.peer_rows // 10), DAY, plan.peer_rows)
    ours = Flyball(100.0, joint=False).watch(past)
    theirs: dict[str, Any] = {}
    for peer in peers:
        assert isinstance(peer, Peer)
        try:
            theirs[peer.name] = peer.watch(past)
        except RuntimeError as failed:
            told.skipped[peer.name] = str(failed)
    for number in range(plan.peer_rounds):
        window = on_day(rows(), number)
        begun = time.perf_counter()
        ours.look([window])
        mine = time.perf_counter() - begun
        told.seconds.setdefault("Flyball", []).append(mine)
        for name, watch in theirs.items():
            took = watch.time([window])[0]
            told.seconds.setdefault(name, []).append(took)
            told.ratios.setdefault(name, []).append(took / mine)


def bars(told: Told, plan: Plan) -> list[Bar]:
    peaks = [each.peak_mb for each in told.streamed if not each.joint]
    few, many = plan.history
    found = [
        Bar("peak memory, most rows over fewest", max(peaks) / min(peaks), 1.2, least=False),
        Bar("cost per row and feature, most rows over 100,000", _per_row(told), 1.2, least=False),
        Bar(f"one window after {many:,} windows over after {few}", told.update_ms[many] / told.update_ms[few], 1.5, least=False),
        Bar(f"{SHARDS} shards merge to the bytes of one pass", float(bool(told.shards_equal)), 1, least=True),
        Bar("MB beside one frame that is looked at", max(each.look_mb for each in told.frames), BESIDE_MB, least=False),
        Bar(f"kB of a window of {FEATURES} features", max(told.bytes.values()) / 1000, BYTES_KB, least=False),
    ]
    for name, wanted in (("evidently", TIMES_EVIDENTLY), ("nannyml", TIMES_NANNYML)):
        ratio = statistics.median(told.ratios.get(name, [float("nan")]))
        found.append(Bar(f"times {name}, {plan.peer_columns} columns × {plan.peer_rows:,} rows", ratio, wanted, least=True))
    return found


def _per_row(told: Told) -> float:
    of = {each.rows: each.nanoseconds for each in told.streamed if not each.joint}
    return of[max(of)] / of[100_000]


def _words(each: Streamed) -> str:
    return (
        f"{each.rows:,} rows × {FEATURES} features{', also how they go together' * each.joint}: "
        f"{each.seconds:.2f} s, {each.nanoseconds:.1f} ns of the processor per row and feature, peak {each.peak_mb:.0f} MB (load {each.load:.1f})"
    )


def _frame_words(each: Looked) -> str:
    return (
        f"one frame of {each.rows:,} rows × {FRAME_FEATURES} features, {each.frame_mb:.0f} MB: looked at in {each.look_seconds:.1f} s and {each.look_mb:.0f} MB beside, "
        f"profiled in {each.profile_seconds:.1f} s and {each.profile_mb:.0f} MB"
    )


def drawn(told: Told) -> Drawn:
    table = Drawn("what", "found", box=None, pad_edge=False)
    for each in told.streamed:
        table.add_row(*_words(each).split(": "))
    for windows, took in told.update_ms.items():
        table.add_row(f"1,000 rows × {FEATURES} features more, after {windows:,} windows", f"{took:.1f} ms")
    for looked in told.frames:
        table.add_row(*_frame_words(looked).split(": "))
    for rows, size in told.bytes.items():
        table.add_row(f"counts of a window of {rows:,} rows × {FEATURES} features", f"{size / 1000:.1f} kB")
    for name, took_all in told.seconds.items():
        ratios = told.ratios.get(name)
        more = f", {statistics.median(ratios):.0f} × Flyball" if ratios else ""
        table.add_row(f"{name}: one window", f"{statistics.median(took_all):.3f} s{more}")
    return table
