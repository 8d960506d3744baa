"""The user's own metrics of a window's labels, as evidence beside the others."""

import hashlib
from collections.abc import Mapping

import numpy as np

from flyball.capture.joined import LabelledRows
from flyball.control.world import World
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence

ALPHA = 0.05


def own_metrics(world: World, rows: LabelledRows, window: Window, known: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """What `monitor.metrics` names, by name; empty: nothing, or no labels. `known`: of an earlier look, not measured again on the same rows."""
    declared, measure = world.spec.monitor.metrics, world.ports.metrics
    if not declared or measure is None or len(rows.labels) == 0:
        return {}
    scores, labels = np.asarray(rows.scores, dtype=np.float64), np.asarray(rows.labels, dtype=np.float64)
    digest = hashlib.sha256(scores.tobytes() + labels.tobytes()).hexdigest()
    same = {name: known[name] for name in declared if name in known and known[name].inputs == digest}
    wanted = {name: place for name, place in declared.items() if name not in same}
    found = measure.measure(wanted, scores, labels) if wanted else {}
    return same | {
        name: Evidence(
            name=name, value=figure.value, lower=figure.lower, upper=figure.upper, alpha=None if figure.lower is None else ALPHA,
            n=len(labels), since=window.start, until=window.end, method=f"{declared[name]}, bootstrap over rows", inputs=digest, note=figure.note,
        )
        for name, figure in sorted(found.items())
    }  # fmt: skip
