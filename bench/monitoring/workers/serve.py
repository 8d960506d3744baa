"""The loop of a worker in a peer's own environment: JSON lines in and out, rows in .npz files. Needs numpy and pandas only."""

import json
import os
import sys
import time
import warnings

import numpy as np
import pandas as pd


def frames_of(path):
    """→ list of DataFrames: numbers with NaN, words with None."""
    with np.load(path) as file:
        head = json.loads(str(file["told"]))
        columns = {}
        for place, name in enumerate(head["names"]):
            values = file[f"c{place}"]
            if values.dtype.kind == "U":
                words = values.astype(object)
                words[values == ""] = None
                values = words
            columns[name] = values
    table = pd.DataFrame(columns)
    ends = np.cumsum(head["sizes"])
    return [table.iloc[end - size : end].reset_index(drop=True) for size, end in zip(head["sizes"], ends, strict=True)]


def is_category(values):
    return values.dtype == object


def serve(fit):
    """`fit(reference, asked)` gives an object with `columns`; every other thing that is asked is one of its methods, given the frames."""
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not end up between the answers
    watch = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            frames = frames_of(asked["file"])
            begun = time.perf_counter()
            if asked["do"] == "fit":
                watch = fit(frames[0], asked)
                answer = {"told": list(watch.columns)}
            else:
                answer = {"told": getattr(watch, asked["do"])(frames)}
            answer["seconds"] = time.perf_counter() - begun
        except Exception as failed:  # noqa: BLE001 - whatever a peer raises is what is told of it
            answer = {"failed": f"{type(failed).__name__}: {failed}"[:500]}
        out.write(json.dumps(answer) + "\n")
        out.flush()


def told(scores, alarms):
    """Both (n_windows, n_columns); JSON has no NaN."""
    return {"scores": _plain(scores), "alarms": np.asarray(alarms, dtype=bool).tolist()}


def _plain(scores):
    return [[None if not np.isfinite(value) else float(value) for value in row] for row in np.asarray(scores, dtype=float)]


def minus_log10(p):
    """1e-300 in place of 0: JSON has no infinity."""
    return np.nan if p is None or np.isnan(p) else float(-np.log10(max(p, 1e-300)))
