"""The user's own metrics of a window's labels, as evidence beside the others."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.control.world import World
from flyball.monitoring.realised import Weighting, without_value
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence

ALPHA = 0.05
IMMATURE = "measured once the window is mature: its labels are still coming"
"""A process for each look at labels that come would hold control up, and those that are here are no sample of those that will be."""

Labelled = tuple[NDArray[np.float64], NDArray[np.float64]]
"""(scores, labels) of the rows that have one."""


def names(world: World) -> tuple[str, ...]:
    """What `monitor.metrics` names; none where none can be measured."""
    return tuple(world.spec.monitor.metrics) if world.ports.metrics is not None else ()


def immature(world: World, window: Window, n: int) -> dict[str, Evidence]:
    """Without a value, and why. `n`: labels that are here."""
    return without_value(names(world), window, n, IMMATURE)


def own_metrics(
    world: World, labelled: Labelled, window: Window, known: Mapping[str, Evidence], weighting: Weighting | None = None
) -> dict[str, Evidence]:
    """By name; empty: nothing is declared, or there are no labels. `known`: of an earlier look, not measured again on the same rows.

    `weighting`: of labels that are no plain sample of the window's rows, as the metrics beside these are corrected."""
    declared, measure = world.spec.monitor.metrics, world.ports.metrics
    scores, labels = (np.asarray(part, dtype=np.float64) for part in labelled)
    if not declared or measure is None or len(labels) == 0:
        return {}
    digest = _digest(scores, labels, weighting)
    same = {name: known[name] for name in declared if name in known and known[name].inputs == digest}
    wanted = {name: place for name, place in declared.items() if name not in same}
    found = measure.measure(wanted, scores, labels, weighting) if wanted else {}
    common: dict[str, Any] = {"n": len(labels), "since": window.start, "until": window.end, "inputs": digest}
    how = "bootstrap over rows" if weighting is None else "bootstrap over rows drawn by the inverse chance of their label"
    corrected = "" if weighting is None else weighting.words
    return same | {
        name: Evidence(
            name=name, value=figure.value, lower=figure.lower, upper=figure.upper, alpha=None if figure.lower is None else ALPHA,
            method=f"{declared[name]}, {how}", note="; ".join(filter(None, (corrected, figure.note))), **common,
        )
        for name, figure in sorted(found.items())
    }  # fmt: skip


def _digest(scores: NDArray[np.float64], labels: NDArray[np.float64], weighting: Weighting | None) -> str:
    digest = hashlib.sha256(scores.tobytes() + labels.tobytes())
    if weighting is not None:
        for part in (weighting.weights, weighting.groups, weighting.group_log_sd):
            digest.update(np.ascontiguousarray(part).tobytes())
        digest.update(weighting.words.encode())
    return digest.hexdigest()
