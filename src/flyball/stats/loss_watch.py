"""Has the loss of a stream risen? One value at a time, for ever, with a stated mean run length between false alarms.

Values are averaged in blocks whose length is learned from the baseline's own dependence (stats/dependence.py). A block's mean is ranked among all blocks since the
baseline began; bets on its rank (stats/rank_bets.py) make a Shiryaev–Roberts e-detector (Shin, Ramdas & Rinaldo, arXiv 2203.03532). So nothing of the
values' law is assumed, the noise of the baseline is part of the null, and what is normal goes on being learned.

What is promised: while block means are exchangeable, the mean run length is at least `run_length` values. For dependent values blocks are nearly exchangeable; the
tests measure the run length on AR(1) and heavy-tailed series. A slow rise that goes on for as long as the stream has been watched is learned as normal:
compare with a baseline that does not move (monitoring/performance.py) against that.
An alarm is told once. What came since the change is the new normal; while that is short, the watch only learns. Where the first LEAST_BASELINE values after it
show that it lies above what the baseline's values were cut at, they are a baseline of their own: cut there, all that comes would be one value for ever.
"""

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.stats import edetector
from flyball.stats.change_point import ChangePoint, change_point
from flyball.stats.dependence import block_length
from flyball.stats.rank_bets import SHIFTS, Ranks, rank_bets, ranks_of, with_value

LEAST_BLOCKS = 12
"""Blocks that are normal before one is bet on. Among fewer, a block that beats all others is worth too little to alarm."""
LEAST_BASELINE = 30
"""Values. Fewer say nothing of their own dependence."""
CAP_QUANTILE = 0.99
"""Of the baseline's values above the commonest one; what is larger counts as it. One loss of a heavy tail would otherwise hide in its block what all others say; of
all values, where 99 of 100 are the same (costs, frauds), the quantile would be that one, and the watch would see nothing for ever."""
REMEMBERED = 200
"""Newest blocks, in which the change is looked for."""
CHANGE_ALPHA = 0.05


class LossWatch(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned of a stream. Moves by `advance`."""

    run_length: float
    """Values: the least mean number between false alarms."""
    block: int
    cap: float | None
    """None: values are two at most, or none lies above the commonest, and count as they are. Made anew after an alarm."""
    normal: Ranks
    recent: tuple[float, ...]
    """Block means, newest last."""
    detectors: tuple[float, ...] = edetector.start(len(SHIFTS))
    open_sum: float = 0.0
    """Of the block that is being filled."""
    open_values: int = 0
    seen: int = 0
    """Values since the baseline."""
    alarms: int = 0
    since_alarm: tuple[float, ...] = ()
    """Values as they came since the last alarm, until there are LEAST_BASELINE of them."""
    cap_alarms: int = 0
    """Alarms after which `cap` was last seen to fit, or made anew."""
    change: ChangePoint | None = None
    """At the last alarm: when the rise began, counted in values since the baseline (negative: in the baseline)."""

    @property
    def evidence(self) -> float:
        """1 is the alarm."""
        return edetector.level(self.detectors) * self.block / self.run_length

    @property
    def learning(self) -> bool:
        """There are too few normal blocks to bet on a new one."""
        return self.normal.n < LEAST_BLOCKS


def start(baseline: Sequence[float], run_length: float, block: int | None = None) -> LossWatch:
    """A watch that knows the stream's normal values, in their order.

    `block`: values that are averaged; None: learned. Where the baseline has fewer than LEAST_BLOCKS of them, the watch first learns on.
    Raises ValueError for fewer than LEAST_BASELINE finite values, or a run length below one block.

    >>> quiet = start([0.0, 1.0, 0.0, 0.0] * 25, run_length=1000, block=1)
    >>> watch = advance_all(quiet, [1.0] * 20)
    >>> watch.alarms, watch.change.at
    (1, 0)
    """
    values = _baseline(baseline)
    size = block_length(values) if block is None else block
    if not 1 <= size <= run_length:
        raise ValueError(f"expected a run length of at least one block of {size}, found {run_length:g}")
    cap = _cap(values)
    means = _means((values if cap is None else np.minimum(values, cap))[values.size % size :], size)
    return LossWatch(run_length=run_length, block=size, cap=cap, normal=ranks_of(means), recent=means[-REMEMBERED:])


def _baseline(given: Sequence[float]) -> npt.NDArray[np.float64]:
    expected = f"expected at least {LEAST_BASELINE} finite values as a baseline, found"
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{expected} some that are no numbers") from None
    if values.ndim != 1:
        raise ValueError(f"{expected} an array of shape {values.shape}")
    other = int(values.size - np.isfinite(values).sum())
    if other:
        raise ValueError(f"{expected} {other} of {values.size} that are NaN or infinite")
    if values.size < LEAST_BASELINE:
        raise ValueError(f"{expected} {values.size}")
    return values


def advance(watch: LossWatch, value: float) -> LossWatch:
    """One value later. An alarm was raised by it if `alarms` has grown. Raises ValueError for a value that is not finite."""
    if not -float("inf") < value < float("inf"):
        raise ValueError(f"expected a finite loss, found {value}")
    moved_on = _with_value(watch, value)
    if moved_on.evidence >= 1.0 and _won(watch, moved_on):
        return _alarmed(moved_on)
    collects = watch.cap_alarms < watch.alarms and bool(watch.since_alarm or not watch.open_values)
    return _with_cap_of(moved_on, (*watch.since_alarm, value)) if collects else moved_on


def _with_value(watch: LossWatch, value: float) -> LossWatch:
    total, count = watch.open_sum + (value if watch.cap is None else min(value, watch.cap)), watch.open_values + 1
    if count < watch.block:
        return msgspec.structs.replace(watch, open_sum=total, open_values=count, seen=watch.seen + 1)
    mean = _short(total / count)
    detectors = watch.detectors if watch.learning else edetector.advance(watch.detectors, rank_bets(watch.normal, mean))
    return msgspec.structs.replace(
        watch, normal=with_value(watch.normal, mean), recent=(*watch.recent, mean)[-REMEMBERED:],
        detectors=detectors, open_sum=0.0, open_values=0, seen=watch.seen + 1,
    )  # fmt: skip


def _won(before: LossWatch, watch: LossWatch) -> bool:
    """The bets on the block that this value filled. A block that ties with all others is none, though the level grows by it."""
    if watch.open_values or before.learning:
        return False
    return edetector.gain(before.detectors, rank_bets(before.normal, watch.recent[-1])) > 0.0


def _with_cap_of(watch: LossWatch, values: tuple[float, ...]) -> LossWatch:
    """`values`: since the alarm, from the beginning of a block."""
    if len(values) < LEAST_BASELINE:
        return msgspec.structs.replace(watch, since_alarm=values)
    settled = msgspec.structs.replace(watch, since_alarm=(), cap_alarms=watch.alarms)
    if watch.cap is None or max(values) <= watch.cap:
        return settled
    cap = _cap(np.asarray(values))
    cut = np.asarray(values) if cap is None else np.minimum(values, cap)
    whole = cut.size - cut.size % watch.block
    means = _means(cut[:whole], watch.block)
    return msgspec.structs.replace(
        settled, cap=cap, normal=ranks_of(means), recent=means, open_sum=float(cut[whole:].sum()), open_values=cut.size - whole
    )


def advance_all(watch: LossWatch, values: Sequence[float]) -> LossWatch:
    """Many values later."""
    for value in values:
        watch = advance(watch, value)
    return watch


def _cap(values: npt.NDArray[np.float64]) -> float | None:
    kinds, counts = np.unique(values, return_counts=True)
    above = values[values > kinds[np.argmax(counts)]]
    return float(np.quantile(above, CAP_QUANTILE)) if kinds.size > 2 and above.size else None


def _means(values: npt.NDArray[np.float64], block: int) -> tuple[float, ...]:
    return tuple(_short(mean) for mean in values.reshape(-1, block).mean(axis=1).tolist())


def _alarmed(watch: LossWatch) -> LossWatch:
    seed = int.from_bytes(hashlib.sha256(repr(watch.recent).encode()).digest()[:4], "big")
    found = change_point(watch.recent, CHANGE_ALPHA, seed, block=1)
    since = watch.recent[found.at :]
    first = watch.seen - len(watch.recent) * watch.block
    wider = watch.block if watch.block > 1 else 0
    change = ChangePoint(
        first + found.at * watch.block,
        first + found.lower * watch.block - wider,
        min(first + found.upper * watch.block + wider, watch.seen),
        watch.block,
    )
    return msgspec.structs.replace(
        watch, normal=ranks_of(since), recent=since, detectors=edetector.start(len(SHIFTS)), alarms=watch.alarms + 1,
        since_alarm=(), change=change,
    )  # fmt: skip


def _short(value: float) -> float:
    """Equal at every replay, and short where it is stored."""
    return float(f"{value:.8g}")
