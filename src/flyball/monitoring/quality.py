"""Is it the world, or the pipe? What kind of data-quality fault a drifted column is, if it is one.

A diagnosis explains an alarm that the drift budget has paid for, and spends none of its own: it is only asked of columns that drifted, and a wrong one
gives an alarm wrong words, not a new alarm. Two faults are counted, not tested, and told without an alarm, since no draw of the reference could show them:
a column that is gone, and values that cannot be read as numbers.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec
import numpy as np

from flyball.monitoring import norms as normal
from flyball.monitoring import units
from flyball.monitoring.drift_words import percent
from flyball.monitoring.norms import Norm, Norms
from flyball.monitoring.streams import MISSING_BIN, OTHER_BIN, UNSEEN_BIN, Stream
from flyball.monitoring.traits import Traits, WindowTraits
from flyball.records.findings import Cause, Finding, FindingKind
from flyball.stats import contingency, distances, log_buckets


class Fault(StrEnum):
    GONE = "gone"
    UNREADABLE = "unreadable"
    SWAPPED = "swapped"
    FROZEN = "frozen"
    STUCK = "stuck"
    """For a part of the window."""
    UNIT = "unit"
    SPELLING = "spelling"
    MISSING = "missing"
    NEW_CATEGORIES = "new_categories"
    DUPLICATES = "duplicates"
    SCHEMA = "schema"
    """Requests are refused for it (monitoring/refused.py): of no row that was captured, and no stream's."""


COUNTED = (Fault.GONE, Fault.UNREADABLE)
"""Told without an alarm of drift: they are counts, not tests."""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    fault: Fault
    column: str
    """Empty: of rows."""
    share: float
    """Of the window's rows that it concerns."""
    words: str


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """One window beside its reference."""

    norms: Norms
    streams: dict[str, Stream]
    counts: Mapping[str, Sequence[int]]
    """Of the window's profile."""
    traits: WindowTraits


FEWEST = 20
"""Values below which no fault is recognised."""
IMPOSSIBLE = 1e-6
"""Chance below which so many equal values in a row are no chance."""
STUCK_SHARE = 0.08
"""Of values that repeat the one before, beyond what any window of the reference had. Two standard deviations of noise come on top."""
LEAST_SHARE = 0.02
"""Of rows: fewer missing values, or new categories, do not explain an alarm."""
REST = 4.0
"""Standard normal deviate up to which the other values count as unmoved."""
SWAP_GAIN = 3.0
"""Swapped columns are to be so many times nearer to one another's reference than to their own."""
SPELT = 0.9
"""Of the new categories' rows that are known ones in another spelling."""
DUPLICATED = 0.05
"""Share of rows equal to another one, beyond what the reference leads to expect."""


def diagnose(watched: Watched, drifted: Collection[str], expected: Collection[str] | None = None) -> tuple[Diagnosis, ...]:
    """What is wrong with the columns in `drifted`; at most one fault each. What is no data fault gets none.

    `expected`: columns of which values should have been captured; None: those of which any were.
    """
    there = watched.streams.keys() & (
        watched.traits.columns.keys() if expected is None else set(expected) | watched.traits.columns.keys()
    )
    broken = [found for name in sorted(there) if (found := _unreadable(watched, name, expected)) is not None]
    known = {each.column for each in broken}
    asked = [name for name in sorted(set(drifted) & watched.traits.columns.keys() & watched.streams.keys()) if name not in known]
    swapped = _swapped(watched, asked)
    known |= {each.column for each in swapped}
    single = [found for name in asked if name not in known and (found := _single(watched, name)) is not None]
    return (*broken, *swapped, *single, *(_duplicates(watched) if drifted else ()))


def retell(findings: Iterable[Finding], diagnoses: Sequence[Diagnosis]) -> tuple[Finding, ...]:
    """Drift findings, with those that a fault explains as DATA_QUALITY in its words; faults of rows are put beside all."""
    of = {each.column: each for each in diagnoses}
    beside = tuple(Cause(subject="rows", share=None, words=each.words) for each in diagnoses if not each.column)
    told = []
    for finding in findings:
        found = of.get(finding.subject) if finding.subject else None
        if found is not None and finding.kind is FindingKind.FEATURE_DRIFT:
            finding = msgspec.structs.replace(  # noqa: PLW2901
                finding, kind=FindingKind.DATA_QUALITY, words=found.words, fault=found.fault.value
            )
        told.append(msgspec.structs.replace(finding, causes=finding.causes + beside) if beside else finding)
    return tuple(told)


def _unreadable(watched: Watched, name: str, expected: Collection[str] | None) -> Diagnosis | None:
    seen, norm = watched.traits.columns.get(name), watched.norms.columns[name]
    if seen is None or seen.values == 0 or (seen.missing == seen.values and norm.present > watched.norms.rows / 2):
        if (seen is None or seen.values == 0) and (expected is None or name not in expected):
            return None
        had = norm.present / max(watched.norms.rows, 1)
        return Diagnosis(
            fault=Fault.GONE,
            column=name,
            share=1.0,
            words=f"{name} has no value any more; in the reference {percent(had)} of rows have one",
        )
    share = seen.unreadable / seen.values
    if seen.unreadable == 0:
        return None
    words = f"{name}: {seen.unreadable} of {seen.values} values cannot be read as numbers; the reference has numbers only"
    return Diagnosis(fault=Fault.UNREADABLE, column=name, share=round(share, 5), words=words)


def _single(watched: Watched, name: str) -> Diagnosis | None:
    stream, norm, seen = watched.streams[name], watched.norms.columns[name], watched.traits.columns[name]
    if seen.values < FEWEST:
        return None
    found = _frozen(name, stream, norm, seen, watched.counts.get(name, ())) or _missing(watched, stream, seen)
    if found is None and stream.kind == "number":
        by = units.recognised(seen.buckets, norm.quantiles, norm.present, seen.level)
        found = None if by is None else Diagnosis(fault=Fault.UNIT, column=name, share=1.0, words=f"{name}: {_unit(by)}")
    return found or (_unknown(watched, stream, seen) if stream.kind == "category" else None)


def _frozen(name: str, stream: Stream, norm: Norm, seen: Traits, counts: Sequence[int]) -> Diagnosis | None:
    if seen.present < FEWEST:
        return None
    constant = _one_category(counts, seen) if stream.kind == "category" else seen.lowest == seen.highest
    if constant and _chance_of_one(norm, seen.present) < IMPOSSIBLE:
        value = f"{seen.lowest:.6g}" if seen.lowest is not None else _only(stream, counts, seen)
        words = f"{name} is frozen: all {seen.present} values are {value}; in the reference the most frequent value has {percent(norm.top_share)} of rows"
        return Diagnosis(fault=Fault.FROZEN, column=name, share=1.0, words=words)
    if seen.pairs < FEWEST:  # counted row by row: nobody knows which value was before which
        return None
    shares = tuple(seen.buckets.values()) if stream.kind == "number" else tuple(counts[1:])
    equal = normal.collision(shares)
    noise = 2.0 * math.sqrt(equal * (1.0 - equal) / seen.pairs)
    if constant or normal.clumping(seen, equal) - max(norm.clumping, 0.0) < STUCK_SHARE + noise:
        return None
    share = seen.repeats / seen.pairs
    words = f"{name} sticks: {percent(share)} of values repeat the one before, far more often than their frequencies and the reference lead to expect"
    return Diagnosis(fault=Fault.STUCK, column=name, share=round(share, 5), words=words)


def _chance_of_one(norm: Norm, n: int) -> float:
    """At most, of n rows that all have one value, drawn with the reference's in any order (Fisher's exact test: its share is a sample's, and a few other values among
    a hundred rows forbid no thousand without any); of all values together, the most frequent first: Σ s^n ≤ s^(n − 1) for shares s."""
    had = min(norm.present, normal.MOST_ROWS)  # of more rows its shares are a sample's
    others = round((1.0 - norm.top_share) * had)
    if had == 0:  # nothing is known of what it holds
        return 1.0
    if others >= had:
        return 0.0
    log = math.lgamma(had + 1) - math.lgamma(had - others + 1) - math.lgamma(had + n + 1) + math.lgamma(had + n - others + 1)
    return min(1.0, math.exp(log) / norm.top_share)


def _one_category(counts: Sequence[int], seen: Traits) -> bool:
    """By counts; where one of them is of several categories, by repeats: each piece then has one value, and of short pieces that might be another in each."""
    filled = [place for place, times in enumerate(counts) if times and place != MISSING_BIN]
    if len(filled) != 1:
        return False
    named = filled[0] > OTHER_BIN or (filled[0] == UNSEEN_BIN and len(seen.unknown) == 1)
    return named or (seen.repeats == seen.pairs and seen.pieces * FEWEST <= seen.present)


def _only(stream: Stream, counts: Sequence[int], seen: Traits) -> str:
    if seen.unknown:
        return repr(next(iter(seen.unknown)))
    place = int(np.argmax(np.asarray(counts)[3:])) if len(counts) > 3 else -1
    return repr(stream.categories[place]) if place >= 0 else "one value"


def _missing(watched: Watched, stream: Stream, seen: Traits) -> Diagnosis | None:
    now, then = seen.missing / seen.values, 1.0 - watched.norms.columns[stream.name].present / max(watched.norms.rows, 1)
    if not _more(now, then, seen.values, watched.norms.rows) or not _rest_unmoved(watched, stream, MISSING_BIN, now - then):
        return None
    words = f"{stream.name}: {percent(now)} of values are missing, in the reference {percent(then)}; those that are there look as before"
    return Diagnosis(fault=Fault.MISSING, column=stream.name, share=round(now, 5), words=words)


def _unknown(watched: Watched, stream: Stream, seen: Traits) -> Diagnosis | None:
    """New categories; or known ones in another spelling, which are a fault whatever the rest does."""
    counts = watched.counts.get(stream.name, ())
    total = sum(counts)
    if not total or not seen.unknown:
        return None
    now, then = counts[UNSEEN_BIN] / total, stream.counts[UNSEEN_BIN] / max(sum(stream.counts), 1)
    if not _more(now, then, total, sum(stream.counts)):
        return None
    spelt = {_plain(name): name for name in (*stream.others, *stream.categories)}
    same = {name: spelt[_plain(name)] for name in seen.unknown if _plain(name) in spelt}
    if sum(seen.unknown[name] for name in same) >= SPELT * sum(seen.unknown.values()):
        example = max(same, key=lambda name: (seen.unknown[name], name))
        words = f"{stream.name}: {percent(now)} of rows have a known category spelt otherwise, such as {example!r} for {same[example]!r}"
        return Diagnosis(fault=Fault.SPELLING, column=stream.name, share=round(now, 5), words=words)
    if not _rest_unmoved(watched, stream, UNSEEN_BIN, now - then):
        return None
    often = sorted(seen.unknown, key=lambda name: (-seen.unknown[name], name))[:3]
    words = f"{stream.name}: {percent(now)} of rows have a category that the reference does not have, such as {', '.join(map(repr, often))}"
    return Diagnosis(fault=Fault.NEW_CATEGORIES, column=stream.name, share=round(now, 5), words=words)


def _more(now: float, then: float, n: int, reference: int) -> bool:
    pooled = (now * n + then * reference) / max(n + reference, 1)
    error = math.sqrt(max(pooled * (1.0 - pooled), 0.0) * (1.0 / n + 1.0 / max(reference, 1)))
    return now - then >= max(LEAST_SHARE, 4.0 * error)


def _rest_unmoved(watched: Watched, stream: Stream, place: int, moved: float) -> bool:
    """Do the other bins stand to one another as before, or did less move among them than into the one?"""
    now = np.delete(np.asarray(watched.counts.get(stream.name, ()), dtype=np.float64), place)
    then = np.delete(np.asarray(stream.counts, dtype=np.float64), place)
    if now.sum() == 0.0:
        return True
    return _deviate(then, now) <= REST or distances.total_variation(then, now) <= moved / 2.0


def _deviate(then: "np.typing.NDArray[np.float64]", now: "np.typing.NDArray[np.float64]") -> float:
    """Of Pearson's two-sample statistic, rare bins together."""
    both = np.stack([then, now])
    expected = contingency.independent(both)
    rare = expected.min(axis=0) < 5.0
    if (~rare).sum() == 0:
        return 0.0
    merged = [np.append(table[:, ~rare], table[:, rare].sum(axis=1, keepdims=True), axis=1) for table in (both, expected)]
    freedom = int((~rare).sum()) - 1 + int(rare.any())
    if freedom < 1:
        return 0.0
    square = float(np.sum((merged[0] - merged[1]) ** 2 / np.maximum(merged[1], 0.5)))
    return contingency.chi_square_normal(square / freedom, freedom)


def _swapped(watched: Watched, asked: Sequence[str]) -> list[Diagnosis]:
    """Pairs each of which looks like the other's reference, nearest first; a column is swapped once."""
    own = {name: _distance(watched, name, name) for name in asked}
    far = [name for name in asked if own[name] >= units.MOVED]
    found = []
    for place, a in enumerate(far):
        for b in far[place + 1 :]:
            if watched.streams[a].kind == watched.streams[b].kind:
                across = max(_distance(watched, a, b), _distance(watched, b, a))
                if across <= _near(watched, a, b) and min(own[a], own[b]) >= SWAP_GAIN * across:
                    found.append((across, a, b))
    told: list[Diagnosis] = []
    for _, a, b in sorted(found):
        if not {a, b} & {each.column for each in told}:
            words = f"{a} and {b} are swapped: each has the values that the other has in the reference"
            told += [Diagnosis(fault=Fault.SWAPPED, column=name, share=1.0, words=words) for name in (a, b)]
    return told


def _near(watched: Watched, a: str, b: str) -> float:
    n = min(watched.traits.columns[name].present for name in (a, b))
    return units.noise(n, min(watched.norms.columns[name].present for name in (a, b))) if n >= FEWEST else -1.0


def _distance(watched: Watched, of: str, to: str) -> float:
    """Of a column's window to a column's reference, in [0, 1]."""
    seen = watched.traits.columns[of]
    if watched.streams[of].kind == "number":
        places = np.fromiter(seen.buckets.keys(), dtype=np.int64, count=len(seen.buckets))
        times = np.fromiter(seen.buckets.values(), dtype=np.int64, count=len(seen.buckets))
        return log_buckets.distance(places, times, watched.norms.columns[to].quantiles, seen.level)
    now = dict(zip(watched.streams[of].categories, watched.counts[of][3:], strict=False))
    for name, times_seen in seen.unknown.items():
        now[name] = now.get(name, 0) + times_seen
    then = dict(zip(watched.streams[to].categories, watched.streams[to].counts[3:], strict=False))
    names = list(dict.fromkeys((*now, *then)))
    return distances.total_variation([then.get(name, 0) for name in names], [now.get(name, 0) for name in names])


def _duplicates(watched: Watched) -> tuple[Diagnosis, ...]:
    rows = watched.traits.rows
    total = sum(rows.values())
    if total < FEWEST:
        return ()
    share, due = (
        1.0 - len(rows) / total,
        _expected_repeats(watched.norms, max(each.values for each in watched.traits.columns.values())),
    )
    if share < due + DUPLICATED + 3.0 * math.sqrt(max(due, 0.01) / total):
        return ()
    words = f"{percent(share)} of rows are copies of another row of the window, expected {percent(due)}"
    return (Diagnosis(fault=Fault.DUPLICATES, column="", share=round(share, 5), words=words),)


def _expected_repeats(norms: Norms, n: int) -> float:
    """Share of n rows drawn from the reference's that repeat another one; of more rows than it has, as of all."""
    part = min(n / max(norms.rows, 1), 1.0)
    distinct = sum(rows * (1.0 - (1.0 - part) ** times) for times, rows in norms.multiplicities)
    return max(1.0 - distinct / max(part * norms.rows, 1.0), 0.0) * max(n / max(norms.rows, 1), 1.0)


def _plain(name: str) -> str:
    """A category without what spelling may change: case, blanks and signs, and the form of a number."""
    try:
        return f"{float(name):.12g}"
    except ValueError:
        return "".join(each for each in name.casefold() if each.isalnum()) or name


def _unit(by: units.Conversion) -> str:
    if by.offset or by.factor == -1.0:
        return f"another unit: {by.words} fits"
    about = "" if by.words else "about "
    factor = f"{about}{by.factor:.4g} times" if by.factor >= 1.0 else f"{about}1/{1.0 / by.factor:.4g} of"
    return f"values are {factor} the reference's" + (
        f": another unit? ({by.words})" if by.words else ", and nothing else changed: another unit?"
    )
