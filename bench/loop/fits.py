"""Models of one stream, each fitted once and kept on the disk with its answers to all later rows: baselines, oracle and autopilot share them."""

import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.loop.streams import Stream
from flyball.stats.losses import bounded_loss

Floats = NDArray[np.float64]


class Window(NamedTuple):
    """Blocks [first, last) that a model learned on."""

    first: int
    last: int
    half_life: int = 0
    """Blocks after which a row weighs half; 0: all weigh the same."""


class Fits:
    """Of one stream at one seed."""

    def __init__(self, stream: Stream, seed: int, root: Path) -> None:
        self.stream, self._seed = stream, seed
        self._directory = root / "fits" / stream.name / str(seed)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._losses: dict[Window, Floats] = {}
        self._seconds: dict[Window, float] = {}

    def scores(self, window: Window) -> NDArray[np.float32]:
        """Answers to all rows from block `window.last` on: (n,) or, of many classes, (n, k)."""
        return np.asarray(np.load(self._fitted(window)))

    def losses(self, window: Window) -> Floats:
        """Bounded loss of each row of the stream; NaN before block `window.last`. (n_rows,)"""
        if window not in self._losses:
            self._losses[window] = self.losses_of(window, self.scores(window))
        return self._losses[window]

    def losses_of(self, window: Window, scores: NDArray[np.float32]) -> Floats:
        stream, begin = self.stream, window.last * self.stream.block
        out = np.full(len(stream.labels), np.nan)
        out[begin:] = bounded_loss(stream.task, scores, stream.labels[begin:], stream.scale)  # type: ignore[arg-type]
        return out

    def block_losses(self, window: Window) -> Floats:
        """Mean of each block; NaN before block `window.last`. (n_blocks,)"""
        return self.losses(window)[: self.stream.blocks * self.stream.block].reshape(-1, self.stream.block).mean(axis=1)

    def seconds(self, window: Window) -> float:
        """That the fit took when it was made."""
        if window not in self._seconds:
            self._seconds[window] = float(json.loads(self._fitted(window).with_suffix(".json").read_text())["seconds"])
        return self._seconds[window]

    def _fitted(self, window: Window) -> Path:
        name = f"{window.first}-{window.last}{f'-h{window.half_life}' if window.half_life else ''}.npy"
        path = self._directory / name
        if not path.exists():
            began = time.perf_counter()
            model = _fit(self.stream, window, self._seed)
            took = time.perf_counter() - began
            later = self.stream.features[window.last * self.stream.block :]
            scores = model(later).astype(np.float32)
            path.with_suffix(".json").write_text(json.dumps({"seconds": took}))
            part = path.with_suffix(".part.npy")
            np.save(part, scores)
            part.rename(path)
        return path


def _fit(stream: Stream, window: Window, seed: int):
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    rows = stream.rows(window.first, window.last)
    features, labels = stream.features[rows], stream.labels[rows]
    weights = None
    if window.half_life:
        age = window.last - window.first - 1 - np.arange(len(labels)) // stream.block
        weights = 0.5 ** (age / window.half_life)
    settings = {"max_iter": 100, "max_leaf_nodes": 15, "early_stopping": False, "random_state": seed}
    if stream.task == "regression":
        trees = HistGradientBoostingRegressor(**settings).fit(features, labels, weights)
        return trees.predict
    classes = np.unique(labels).astype(int)
    if len(classes) == 1:
        return lambda asked: _spread(np.ones((len(asked), 1)), classes, stream)
    trees = HistGradientBoostingClassifier(**settings).fit(features, labels, weights)
    return lambda asked: _spread(trees.predict_proba(asked), classes, stream)


def _spread(known: Floats, classes: NDArray[np.int64], stream: Stream) -> Floats:
    """Probabilities of all classes of the stream, also of those that the model never saw."""
    table = np.zeros((len(known), int(stream.labels.max()) + 1))
    table[:, classes] = known
    return table[:, 1] if stream.task == "binary" else table
