"""Rules of capture from several places, as the rules of one route. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, get_args

from flyball.records.keeping import Keeping, Keys

Rule = Literal["keep", "hash", "drop"] | float
"""A number is the share of predictions whose value is kept."""

_KEYS: tuple[Keys, ...] = get_args(Keys)
"""Each is stricter than those before it."""


def strictest(declared: Sequence[Keeping]) -> Keeping:
    """Of each column what leaves least of it: drop before hash before sample, and of two samples the smaller."""
    drop = {name for each in declared for name in each.drop}
    hashed = {name for each in declared for name in each.hash} - drop
    sample: dict[str, float] = {}
    for name, share in ((name, share) for each in declared for name, share in each.sample.items()):
        if name not in drop and name not in hashed:
            sample[name] = min(share, sample.get(name, share))
    keys = max((each.keys for each in declared), key=_KEYS.index, default=_KEYS[0])
    return _keeping(drop, hashed, sample, keys)


def of_columns(keeping: Keeping, columns: Collection[str]) -> Keeping:
    """Its rules for these columns alone, and none for keys."""
    sample = {name: share for name, share in keeping.sample.items() if name in columns}
    return _keeping(set(keeping.drop).intersection(columns), set(keeping.hash).intersection(columns), sample, _KEYS[0])


def replaced(keeping: Keeping, rules: Mapping[str, Rule], keys: Keys | None) -> Keeping:
    """The same with another rule for each column that `rules` name, stricter or not. `keys` None: as it was."""
    drop = {name for name in keeping.drop if name not in rules} | {name for name, rule in rules.items() if rule == "drop"}
    hashed = {name for name in keeping.hash if name not in rules} | {name for name, rule in rules.items() if rule == "hash"}
    sample = {name: share for name, share in keeping.sample.items() if name not in rules}
    sample |= {name: rule for name, rule in rules.items() if isinstance(rule, float) and rule < 1.0}
    return _keeping(drop, hashed, sample, keys or keeping.keys)


def loosened(before: Keeping, after: Keeping) -> tuple[str, ...]:
    """Of what `after` keeps more than `before`: columns, and the keys."""
    columns = [name for name in before.columns if _strictness(after, name) < _strictness(before, name)]
    return (*columns, *(["the requests' keys"] if _KEYS.index(after.keys) < _KEYS.index(before.keys) else []))


def _strictness(keeping: Keeping, name: str) -> float:
    if name in keeping.drop:
        return 3.0
    return 2.0 if name in keeping.hash else 1.0 - keeping.sample.get(name, 1.0)


def _keeping(drop: set[str], hashed: set[str], sample: Mapping[str, float], keys: Keys) -> Keeping:
    return Keeping(drop=tuple(sorted(drop)), hash=tuple(sorted(hashed)), sample=dict(sorted(sample.items())), keys=keys)
