"""What differs between two versions, in words a person can act on."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flyball.records.unit import SnapshotRef, Version


class Difference(NamedTuple):
    """One thing that differs."""

    subject: str
    """`data`, `code`, `parameters`, `environment`, `metrics` or `package`."""
    words: str


def diff(old: Version, new: Version) -> tuple[Difference, ...]:
    """From `old` to `new`; empty: nothing that is recorded differs."""
    found: list[Difference] = []
    found += [Difference("data", words) for words in _data(old.lineage.snapshot, new.lineage.snapshot)]
    found += [Difference("code", words) for words in _code(old, new)]
    found += [Difference("parameters", words) for words in _values(old.lineage.parameters, new.lineage.parameters)]
    if old.lineage.seed != new.lineage.seed:
        found.append(Difference("parameters", f"seed: {old.lineage.seed} → {new.lineage.seed}"))
    if old.lineage.environment_digest != new.lineage.environment_digest:
        shown = f"{old.lineage.environment_digest[:12]} → {new.lineage.environment_digest[:12]}"
        found.append(Difference("environment", f"another Python, platform or set of packages: {shown}"))
    found += [Difference("metrics", words) for words in _values(old.metrics, new.metrics)]
    if old.format != new.format:
        found.append(Difference("package", f"format: {old.format} → {new.format}"))
    return tuple(found)


def _data(old: SnapshotRef, new: SnapshotRef) -> list[str]:
    if old.content_digest == new.content_digest:
        return []
    words = [f"snapshot {old.table}@{old.version} → {new.table}@{new.version}"]
    if old.schema_digest != new.schema_digest:
        words.append("the columns or their types changed")
    if old.rows != new.rows:
        words.append(f"rows: {old.rows} → {new.rows} ({new.rows - old.rows:+d})")
    for name, before, after in (("oldest", old.since, new.since), ("newest", old.until, new.until)):
        if before != after:
            words.append(f"{name} row: {_day(before)} → {_day(after)}")
    return words


def _code(old: Version, new: Version) -> list[str]:
    if old.lineage.code_digest == new.lineage.code_digest:
        return []
    before, after = (
        f"{version.lineage.git_commit[:12]}{' with uncommitted changes' if version.lineage.git_dirty else ''}"
        if version.lineage.git_commit
        else f"code {version.lineage.code_digest[:12]} (no git)"
        for version in (old, new)
    )
    return [f"{before} → {after}"]


def _values(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    words = []
    for name in sorted({*old, *new}):
        if name not in old:
            words.append(f"{name}: new, {_shown(new[name])}")
        elif name not in new:
            words.append(f"{name}: was {_shown(old[name])}, now gone")
        elif old[name] != new[name]:
            words.append(f"{name}: {_shown(old[name])} → {_shown(new[name])}{_change(old[name], new[name])}")
    return words


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value) if isinstance(value, str) else str(value)


def _change(old: Any, new: Any) -> str:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new))
    return f" ({new - old:+.6g})" if numbers else ""


def _day(at: Any) -> str:
    return "none" if at is None else at.strftime("%Y-%m-%d %H:%M")
