"""Why did the loss change? Each feature's part, the part of a changed world (concept), and what cannot be told.

The change of the mean loss from reference rows to window rows is a sum of four kinds of parts:

    features            each block of correlated features moved to where the loss is higher, as it was in the reference
    features together   what moved features did beyond that: a remainder, of either sign
    concept             rows like the reference's now have another loss than there
    outside             window rows with a value that the reference knows nothing like: feature and concept cannot be told apart

Features: the reference's loss is fitted by a sum of one function per feature (stats.additive) and boosted trees for what depends on several; the first splits over
features exactly, the second by Shapley values over distributions (stats.shapley). Concept: the realised loss minus what reference rows like the window's had
(stats.transport), so concept is what it does to the rows that come now. Errors: ten stretches of consecutive rows, each left out once (delete-a-group jackknife, Kott
2001), so neighbours may be alike. Intervals are for one look, those of the parts for all of them together: a part is named where its own leaves out 0. A feature
that was not captured is seen as concept. Nothing here alarms: no budget is spent.
"""

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np

from flyball.errors import DataError
from flyball.monitoring import coding, loss_parts
from flyball.monitoring.loss_parts import BLOCKS, FEWEST_ROWS, OUTSIDE, TOGETHER, UNSPLIT, Part, Rows, Split
from flyball.records.evidence import Evidence
from flyball.records.findings import Cause, Finding
from flyball.stats import student

MOST_ROWS = 4_000
"""On either side, evenly spaced: what more of them would tell is less than the error of the fits."""
ALPHA = 0.05
REACH = student.t_quantile(1.0 - ALPHA / 2.0, BLOCKS - 1)
SHOWN = 8
LEAST_SHARE = 0.02
"""Of the total: smaller parts are in `parts` and not told."""


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    total: Evidence
    """Change of the mean loss; without labels, what moved features bring of it. A value of None: not known."""
    parts: tuple[Part, ...]
    """Sum to the total, where it is known; largest first."""
    explained: float | None
    """Share of the total that is put down to features and concept, in [0, 1]; None: the total may be 0."""
    causes: tuple[Cause, ...]
    """Parts worth telling, as shares of the total: those that surely are something, then those that may be nothing, as they say. Where the total may be 0: parts
    that are surely not, without shares."""
    words: str


def attribute(reference: Rows, window: Rows, *, seed: str) -> Attribution:
    """Attribute the change of the mean loss from `reference` to `window`, whose rows are in order of time.

    `seed`: the finding's id, so that a replay says the same.
    Raises DataError when columns or losses do not fit one another.
    """
    base, now = _usable(reference, "reference"), _usable(window, "window")
    if base.losses is None:
        raise DataError("reference rows without losses", expected="the loss of each holdout row")
    sizes = (base.losses.size, _length(now))
    if min(sizes) < FEWEST_ROWS:
        note = f"no causes: {sizes[0]} reference and {sizes[1]} window rows, at least {FEWEST_ROWS} of each tell them apart"
        total = Evidence(name="loss_change", value=None, n=sizes[1], note=note)
        return Attribution(total=total, parts=(), explained=None, causes=(), words=note)
    return _told(loss_parts.split(base, base.losses, now, seed), (base, now))


def with_causes(finding: Finding, found: Attribution) -> Finding:
    """The finding with its causes, and their summary behind its words."""
    return msgspec.structs.replace(finding, causes=found.causes, words=f"{finding.words}; {found.words}")


def _usable(rows: Rows, whose: str) -> Rows:
    """At most MOST_ROWS; where there are losses, those that have one."""
    n = _length(rows)
    losses = None if rows.losses is None else np.asarray(rows.losses, dtype=np.float64)
    if losses is not None and losses.shape != (n,):
        raise DataError(f"{n} {whose} rows and losses of shape {losses.shape}", expected="one loss per row")
    kept = np.arange(n) if losses is None else np.flatnonzero(np.isfinite(losses))
    if kept.size > MOST_ROWS:
        kept = kept[np.linspace(0, kept.size - 1, MOST_ROWS).round().astype(np.intp)]
    columns = {name: np.asarray(values)[kept] for name, values in rows.columns.items()}
    return Rows(columns, None if losses is None else losses[kept])


def _length(rows: Rows) -> int:
    found = {len(values) for values in rows.columns.values()}
    if len(found) != 1:
        raise DataError(
            f"columns of different length: {sorted(found)}", expected="at least one column, one value per row in each"
        )
    return found.pop()


def _told(split: Split, sides: tuple[Rows, Rows]) -> Attribution:
    labelled, known = sides[1].losses is not None, split.error is not None
    reach = REACH * (split.error or 0.0)
    sure = known and abs(split.value) > reach
    note = (
        split.note
        if labelled or not known
        else "; ".join(filter(None, ("without labels only what moved features bring, and nothing of concept", split.note)))
    )
    left = sum(abs(part.value) for part in split.parts if part.subject in (TOGETHER, OUTSIDE, UNSPLIT))
    explained = round(max(0.0, 1.0 - left / abs(split.value)), 3) if sure else None
    total = Evidence(
        name="loss_change" if labelled else "loss_change_by_features", value=_short(split.value) if known else None,
        lower=_short(split.value - reach) if known else None, upper=_short(split.value + reach) if known else None,
        alpha=ALPHA if known else None, n=_length(sides[1]), inputs=_digest(*sides), note=note,
        method="doubly robust transport, Shapley over features (arXiv 2210.10769), block jackknife",
    )  # fmt: skip
    ranked = sorted(split.parts, key=lambda part: (-abs(part.value), part.subject))
    reach = _joint_reach(len(ranked))
    named = [part for part in ranked if _named(part, split.value if sure else None, reach)]
    weak = [part for part in ranked if sure and part not in named and _worth(part, split.value)]
    causes = tuple(_cause(part, split.value if sure else None, reach) for part in [*named, *weak][:SHOWN])
    rounded = tuple(
        msgspec.structs.replace(part, value=_short(part.value), error=None if part.error is None else _short(part.error))
        for part in ranked
    )
    words = _summary(total, [part.subject for part in named], causes, explained)
    return Attribution(total=total, parts=rounded, explained=explained, causes=causes, words=words)


def _cause(part: Part, total: float | None, reach: float) -> Cause:
    """Such as `61 % of rows are at least 40, in the reference 35 %; 54 ± 8 % of the increase of the loss`: ± is one standard error. None: the total may be 0."""
    if part.error is None:
        return Cause(subject=part.subject, share=None, words=part.words)
    if total is None:
        return Cause(subject=part.subject, share=None, words=f"{part.words}; {part.value:+.4f} ± {part.error:.4f} of loss")
    change = "increase" if total > 0 else "decrease"
    told = f"{100 * part.value / total:.0f} ± {100 * part.error / abs(total):.0f} % of the {change} of the loss"
    doubt = "" if _sure(part, reach) else ", may be nothing"
    share, off = part.value / total, reach * part.error / abs(total)
    return Cause(
        subject=part.subject, share=round(share, 4), words=f"{part.words}; {told}{doubt}", interval=(round(share - off, 4), round(share + off, 4)),
        error=round(part.error / abs(total), 4),
    )  # fmt: skip


def _summary(total: Evidence, named: Sequence[str], causes: Sequence[Cause], explained: float | None) -> str:
    if total.value is None:
        return f"what moved features change of the loss is not known: {total.note}"
    what = "the loss moved by" if total.name == "loss_change" else "moved features change the loss by"
    change = f"{what} {total.value:+.4f} ({total.lower:+.4f} to {total.upper:+.4f})"
    note = f"; {total.note}" if total.note else ""
    if explained is None:
        return f"{change}: no shares of it, since that may be nothing{note}"
    sure = [f"{each.subject} {100 * each.share:.0f} %" for each in causes if each.share is not None and each.subject in named]
    told = ", ".join(sure[:3]) or "no part of it is surely more than nothing"
    return f"{change}: {told}; explained {100 * explained:.0f} %{note}"


def _joint_reach(n_parts: int) -> float:
    """Errors by which all of so many parts together are missed with chance ALPHA at most (Bonferroni): whoever reads a list looks at all of it."""
    return student.t_quantile(1.0 - ALPHA / 2.0 / max(n_parts, 1), BLOCKS - 1)


def _sure(part: Part, reach: float) -> bool:
    return part.error is not None and abs(part.value) > reach * part.error


def _named(part: Part, total: float | None, reach: float) -> bool:
    """Surely something and large enough to be told; or of unknown cost. None: the total may be 0, though parts are not, as when one feature's harm is lost in the
    noise of days."""
    if part.error is None:
        return True
    large = part.subject != TOGETHER if total is None else abs(part.value) >= LEAST_SHARE * abs(total)
    return large and _sure(part, reach)


def _worth(part: Part, total: float) -> bool:
    """Large enough and larger than its error: may be nothing."""
    return part.error is not None and abs(part.value) >= LEAST_SHARE * abs(total) and abs(part.value) > part.error


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _digest(*sides: Rows) -> str:
    digest = hashlib.sha256()
    for rows in sides:
        for name, values in sorted(rows.columns.items()):
            listed = coding.text(values) if coding.is_category(values) else values
            digest.update(repr((name, listed.tolist())).encode("utf-8", "surrogatepass"))
        digest.update(b"" if rows.losses is None else rows.losses.tobytes())
    return digest.hexdigest()
