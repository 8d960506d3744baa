"""Streams of our own making, for development: changes of the kinds that real streams have, at known places. Nothing of the bench's table is in them."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.loop.streams import BLOCKS, FIRST, Floats, Stream

BLOCK = 400
N = BLOCK * BLOCKS
Draw = np.random.Generator


def names() -> tuple[str, ...]:
    return tuple(MADE)


def make(name: str, seed: int) -> Stream:
    """Another seed is another world of the same kind."""
    number, maker = MADE[name]
    return maker(np.random.default_rng([77, number, seed] if seed else [77, number]), name)


Maker = Callable[[Draw, str], Stream]


def waves(sequence: Sequence[int], period: int, noise: float = 0.02) -> Maker:
    """Four ways to divide a square, one after the other as `sequence` says."""

    def made(draw: Draw, name: str) -> Stream:
        concept, changes = _concepts(period, sequence)
        x = draw.random((N, 4))
        sine = 0.5 + 0.35 * np.sin(2.0 * np.pi * x[:, 0])
        ways = [
            x[:, 1] < sine,
            x[:, 1] >= sine,
            x[:, 1] < 0.2 + 0.5 * x[:, 0],
            x[:, 1] >= 0.5 + 0.3 * np.sin(3.0 * np.pi * x[:, 0]),
        ]
        return _stream(name, "binary", x, _noisy(draw, np.choose(concept, ways).astype(float), noise), changes)

    return made


def planes(period: int, *, two: bool = False, noise: float = 0.05, k: int = 6) -> Maker:
    """A plane divides; at each change another one. `two`: two of them take turns."""

    def made(draw: Draw, name: str) -> Stream:
        concept, changes = _concepts(period)
        weights = draw.normal(size=(len(changes) + 1, k))
        if two:
            weights = weights[np.arange(len(weights)) % 2]
        x = draw.normal(size=(N, k))
        return _stream(name, "binary", x, _noisy(draw, ((x * weights[concept]).sum(axis=1) > 0.0).astype(float), noise), changes)

    return made


def clusters(period: int, jump: float, classes: int = 5, k: int = 8) -> Maker:
    """Clouds of several classes that jump together, and a third as far each for itself, as sensors do that age."""

    def made(draw: Draw, name: str) -> Stream:
        concept, changes = _concepts(period)
        centres = 1.5 * draw.normal(size=(classes, k))
        together = np.cumsum(draw.normal(size=(len(changes) + 1, k)) * jump, axis=0)
        apart = np.cumsum(draw.normal(size=(len(changes) + 1, classes, k)) * jump * 0.3, axis=0)
        label = draw.integers(0, classes, N)
        x = centres[label] + together[concept] + apart[concept, label] + draw.normal(size=(N, k))
        return _stream(name, "multiclass", x, label.astype(float), changes)

    return made


def forest(period: int, sequence: Sequence[int], noise: float = 0.05, k: int = 6, depth: int = 4) -> Maker:
    """Random trees label, one after the other as `sequence` says."""

    def made(draw: Draw, name: str) -> Stream:
        concept, changes = _concepts(period, sequence)
        x, labels, size = draw.random((N, k)), np.zeros(N), 2**depth
        for number in range(max(sequence) + 1):
            feature, threshold = draw.integers(0, k, size), draw.uniform(0.25, 0.75, size)
            leaf, rows = draw.integers(0, 2, size), x[concept == number]
            node = np.ones(len(rows), dtype=np.int64)
            for _ in range(depth):
                node = 2 * node + (rows[np.arange(len(rows)), feature[node % size]] > threshold[node % size])
            labels[concept == number] = leaf[node % size]
        return _stream(name, "binary", x, _noisy(draw, labels, noise), changes)

    return made


def season(amplitude: float) -> Maker:
    """A number with a day's and a year's season, and a trend."""

    def made(draw: Draw, name: str) -> Stream:
        block = np.arange(N) / BLOCK
        x, year = draw.normal(size=(N, 5)), np.sin(2.0 * np.pi * block / 30.0)
        hour = draw.integers(0, 24, N)
        x[:, 0] = hour
        day = 3.0 * np.sin(2.0 * np.pi * hour / 24.0) * (1.0 + 0.5 * year)
        y = 10.0 + day + amplitude * 3.0 * year + x[:, 1] * (1.0 + year) + 0.04 * block + 0.7 * draw.normal(size=N)
        return _stream(name, "regression", x, y, ())

    return made


def still(draw: Draw, name: str) -> Stream:
    """Nothing changes; more rows help a little."""
    x = draw.normal(size=(N, 8))
    odds = 2.0 * (x[:, 0] * x[:, 1] + np.sin(2.0 * x[:, 2]) + 0.5 * x[:, 3] * x[:, 4])
    return _stream(name, "binary", x, (draw.random(N) < 1.0 / (1.0 + np.exp(-odds))).astype(float), ())


def turning(turns: float) -> Maker:
    """The dividing plane turns, so many times in all."""

    def made(draw: Draw, name: str) -> Stream:
        angle, x = 2.0 * np.pi * turns * np.arange(N) / N, draw.normal(size=(N, 4))
        odds = 5.0 * (x[:, 0] * np.cos(angle) + x[:, 1] * np.sin(angle) + 0.3 * x[:, 2])
        return _stream(name, "binary", x, (draw.random(N) < 1.0 / (1.0 + np.exp(-odds))).astype(float), ())

    return made


def walk(draw: Draw, name: str) -> Stream:
    """Weights and level of a number go their random way, a step a block."""
    block = np.arange(N) // BLOCK
    weights = np.cumsum(draw.normal(size=(BLOCKS, 6)) * 0.25, axis=0) + draw.normal(size=6)
    x = draw.normal(size=(N, 6))
    level = np.cumsum(draw.normal(size=BLOCKS) * 0.3)
    return _stream(name, "regression", x, (x * weights[block]).sum(axis=1) + level[block] + 0.5 * draw.normal(size=N), ())


def mix(draw: Draw, name: str) -> Stream:
    """Two booleans and a wave, by majority; at each change the opposite."""
    concept, changes = _concepts(4_100, (0, 1))
    x = draw.random((N, 4))
    x[:, :2] = x[:, :2] < 0.5
    votes = x[:, 0] + x[:, 1] + (x[:, 3] < 0.5 + 0.3 * np.sin(3.0 * np.pi * x[:, 2]))
    return _stream(name, "binary", x, np.where(concept == 1, votes < 2, votes >= 2).astype(float), changes)


MADE: dict[str, tuple[int, Maker]] = {
    "waves_a": (1, waves((0, 1, 2, 3), 4_000)), "waves_b": (2, waves((0, 1), 4_400, 0.1)), "waves_c": (3, waves((0, 3, 2, 0, 1), 2_600)),
    "planes_a": (4, planes(4_300)), "planes_b": (5, planes(3_000, two=True)), "planes_c": (15, planes(8_000, noise=0.15)),
    "clusters_a": (6, clusters(2_000, 1.5)), "clusters_b": (7, clusters(1_300, 0.8)), "season_a": (8, season(1.0)), "season_b": (9, season(0.3)),
    "still": (10, still), "turning": (11, turning(1.0)), "turning_slow": (12, turning(0.25)), "walk": (13, walk), "mix": (14, mix),
    "forest_a": (21, forest(4_000, (0, 1, 2, 3, 4))), "forest_b": (22, forest(4_600, (0, 1, 0, 2))), "forest_c": (23, forest(3_300, tuple(range(8)))),
    "forest_d": (27, forest(7_000, (0, 1, 2))), "clusters_c": (24, clusters(1_700, 1.2, classes=6)),
}  # fmt: skip
"""With the number that their draws begin from. The last five were made when the rules of 28 November 2026 stood, to see what those are worth elsewhere."""


def _concepts(period: int, sequence: Sequence[int] | None = None) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    """(of each row, rows at which it changes)"""
    changes = tuple(range(period, N, period))
    number = np.searchsorted(np.array(changes), np.arange(N), side="right")
    return (number if sequence is None else np.array(sequence)[number % len(sequence)]), changes


def _noisy(draw: Draw, labels: Floats, noise: float) -> Floats:
    turned = draw.random(N) < noise
    return np.where(turned, 1.0 - labels, labels)


def _stream(name: str, task: str, features: Floats, labels: Floats, changes: tuple[int, ...]) -> Stream:
    known = labels[: FIRST * BLOCK]
    scale = float(2.0 * (np.quantile(known, 0.95) - np.quantile(known, 0.05))) if task == "regression" else 1.0
    return Stream(name, task, features.astype(np.float32), labels, BLOCK, changes, scale)
