"""Slices that flyball.yaml declares, on a champion's rows: which of them each has, and what was normal there on the holdout."""

from typing import Any, NamedTuple

import msgspec
import numpy as np

from flyball.control.observe import Observation
from flyball.control.samples import SampledRows
from flyball.control.world import World, put
from flyball.monitoring import declared, slice_search, slices
from flyball.monitoring.allowance import Allowance
from flyball.monitoring.declared import Chosen, DeclaredReading, DeclaredState
from flyball.monitoring.estimates import EstimationReference
from flyball.monitoring.slice_search import Found
from flyball.monitoring.slices import Condition, SliceRows
from flyball.monitoring.window import Window
from flyball.records.events import Put
from flyball.spec.slice_conditions import SliceCondition, compile_slice
from flyball.stats.losses import bounded_loss

NO_ROWS = "not judged: the package of this version keeps no rows of its holdout"
RECALIBRATED = "not judged: its answers are recalibrated, and nobody has seen how they go with labels; the next version is judged"
NONE_LABELLED = "not judged: none of the rows that are kept of the newest mature window has a label"


class Known(NamedTuple):
    """One slice on the holdout of a unit."""

    condition: SliceCondition
    inside: declared.Bools
    """(n_holdout,)"""


class Placed(NamedTuple):
    chosen: dict[str, Chosen]
    notes: dict[str, str]
    """Slice → why it cannot be judged."""


class DeclaredSlices:
    def __init__(self, world: World, observation: Observation, slices: tuple[tuple[str, str], ...]) -> None:
        self._world = world
        self._observation = observation
        self._slices = slices
        self._known: tuple[str, dict[str, Known | str]] | None = None
        """(unit, slice → what is known of it, or why nothing is): of the last unit that was asked for."""

    def judge(
        self, sample: SampledRows, losses: Any, window: Window, allowance: Allowance
    ) -> tuple[DeclaredReading, tuple[Put, ...]]:
        """`losses`: (n_sampled,) NaN where there is no label."""
        none = DeclaredState()
        before = self._world.get("declared", window.unit, DeclaredState) or none
        if not self._slices:  # one that is declared again begins anew, as where others were left
            return DeclaredReading(findings=(), state=none), () if before == none else (put("declared", window.unit, none),)
        has = np.isfinite(losses)
        placed = self.placed(window.unit, sample)
        labelled = {name: each._replace(inside=each.inside[has]) for name, each in placed.chosen.items()}
        reading = declared.judge(labelled, losses[has], before, window, allowance)
        notes = {} if has.any() else dict.fromkeys(placed.chosen, NONE_LABELLED)
        state = msgspec.structs.replace(reading.state, notes=placed.notes | notes | reading.state.notes)
        return msgspec.structs.replace(reading, state=state), (put("declared", window.unit, state),)

    def placed(self, unit: str, sample: SampledRows) -> Placed:
        """Which rows of a window each slice has."""
        reference, types = self._observation.files.estimation(unit), self._observation.files.types(unit)
        if reference is None:
            why = RECALIBRATED if self._observation.files.is_recalibrated(unit) else NO_ROWS
            return Placed({}, {name: why for name, _ in self._slices})
        chosen: dict[str, Chosen] = {}
        notes: dict[str, str] = {}
        for name, of in self._of(unit, reference).items():
            missing = [] if isinstance(of, str) else [each for each in of.condition.features if each not in sample.columns]
            if isinstance(of, str):
                notes[name] = of
            elif missing:
                notes[name] = f"not judged: capture has not every value of {', '.join(missing)}"
            else:
                baseline = declared.baseline_of(losses_of(reference), np.asarray(reference.blocks), of.inside)
                chosen[name] = Chosen(of.condition.text, baseline, declared.inside(of.condition, sample.columns, types))
        return Placed(chosen, notes)

    def holdout(self, unit: str, name: str) -> declared.Bools | None:
        """Which rows of the holdout's sample a slice has."""
        reference = self._observation.files.estimation(unit)
        of = None if reference is None else self._of(unit, reference).get(name)
        return of.inside if isinstance(of, Known) else None

    def risen(self, unit: str, sample: SampledRows, losses: Any, blocks: Any, alpha: float) -> tuple[Found, ...]:
        """Slices among them in which the loss rose. `blocks`: number of each row's stretch of time."""
        reference = self._observation.files.estimation(unit)
        placed = self.placed(unit, sample).chosen if reference is not None and self._slices else {}
        if reference is None or not placed:
            return ()
        of = self._of(unit, reference)
        before = np.column_stack([each.inside for name in placed if isinstance(each := of[name], Known)])
        known = slices.of_declared(tuple(placed), before, losses_of(reference), np.asarray(reference.blocks))
        has = np.isfinite(losses)
        now = slices.codes_of_declared(np.column_stack([each.inside[has] for each in placed.values()]))
        named = tuple((Condition(feature=place, low=0, high=0),) for place in range(len(placed)))
        return slice_search.confirm(known, SliceRows(now, losses[has], blocks[has]), alpha, named)

    def _of(self, unit: str, reference: EstimationReference) -> dict[str, Known | str]:
        if self._known is None or self._known[0] != unit:
            types = self._observation.files.types(unit)
            self._known = unit, {name: _known(where, reference, types) for name, where in self._slices}
        return self._known[1]


def _known(where: str, reference: EstimationReference, types: dict[str, Any]) -> Known | str:
    try:
        condition = compile_slice(where, {name: of.value for name, of in types.items()})
    except ValueError as error:
        return f"not judged: this version wants {error}"
    hidden = [name for name in condition.features if name not in reference.columns]
    if hidden:
        return f"not judged: the package of this version keeps no values of {', '.join(hidden)}"
    return Known(condition, declared.inside(condition, columns_of(reference, condition.features), types))


def columns_of(reference: EstimationReference, wanted: Any) -> dict[str, Any]:
    """As monitoring takes them: float64 with NaN, or objects with ''."""
    return {
        name: np.array(reference.columns[name], dtype=object)
        if name in reference.categories
        else np.array([np.nan if value is None else value for value in reference.columns[name]], dtype=np.float64)
        for name in wanted
    }


def losses_of(reference: EstimationReference) -> Any:
    """Bounded losses of the holdout's sample. (n_rows,)"""
    scores, labels = np.asarray(reference.scores, dtype=np.float64), np.asarray(reference.labels, dtype=np.float64)
    return bounded_loss(reference.task, scores, labels, reference.scale)
