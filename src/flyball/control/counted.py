"""A window's rows as they are counted: in the reference's bins, pair by pair, and in the columns' own units."""

from typing import Any, NamedTuple

import numpy as np

from flyball.control.watched_files import WatchedFiles
from flyball.monitoring import joint_rows, traits, window_counts
from flyball.monitoring.joint_rows import PairCounts
from flyball.monitoring.norms import known_of
from flyball.monitoring.traits import WindowTraits
from flyball.monitoring.window_counts import Profile


class Counted(NamedTuple):
    profile: Profile
    pairs: PairCounts | None = None
    """None: no directions."""
    traits: WindowTraits | None = None
    """None: no norms."""


def count(files: WatchedFiles, unit: str, columns: dict[str, Any], scores: Any, rows: int) -> Counted:
    """Rows that came together. `scores`: of the unit's own answers; None: another unit's."""
    directions, norms, reference = files.directions(unit), files.norms(unit), files.reference(unit)
    observed = None if directions is None else joint_rows.observe(directions, columns)
    seen = columns if observed is None else columns | observed.values
    known = {} if norms is None else {name: of for name, of in known_of(reference.streams).items() if name in norms.columns}
    table = None if scores is None else np.asarray(scores, dtype=np.float64)
    return Counted(
        window_counts.profile_of(reference, seen, table, rows),
        None if observed is None else observed.pairs,
        None if norms is None else traits.traits_of(known, columns),
    )


def merge(a: Counted, b: Counted) -> Counted:
    """Of the rows of both."""
    return Counted(
        window_counts.merge(a.profile, b.profile),
        b.pairs if a.pairs is None else a.pairs if b.pairs is None else joint_rows.merge(a.pairs, b.pairs),
        b.traits if a.traits is None else a.traits if b.traits is None else traits.merge(a.traits, b.traits),
    )
