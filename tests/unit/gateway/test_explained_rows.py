"""What the explainer's process computes: Shapley values of the served score, for values that shap alone would take for something else."""

import itertools
import math

import numpy as np
import pytest

from flyball.gateway.explain_worker import MOST_EXACT_COLUMNS, Explained
from flyball.records.background import Background
from flyball.records.signature import Column, ColumnType, Signature


def signature(m, texts=()):
    columns = [
        Column(name=f"f{at}", type=ColumnType.CATEGORY if at in texts else ColumnType.NUMBER, missing=True) for at in range(m)
    ]
    return Signature(task="regression", columns=tuple(columns))


def row_of(*values):
    return {
        f"f{at}": np.array([[value]], dtype=object if isinstance(value, str) else np.float32) for at, value in enumerate(values)
    }


def background(*rows):
    return Background(columns={f"f{at}": values for at, values in enumerate(zip(*rows, strict=True))})


def by_definition(score, row, rows):
    """Shapley's own formula over all subsets."""
    names, m = list(row), len(row)

    def value(subset):
        columns = {
            name: np.repeat(row[name], len(rows), 0) if name in subset else np.concatenate([each[name] for each in rows])
            for name in names
        }
        return float(score(columns, len(rows)).mean())

    told = {}
    for name in names:
        others = [other for other in names if other != name]
        told[name] = sum(
            math.factorial(size) * math.factorial(m - size - 1) / math.factorial(m) * (value({*subset, name}) - value({*subset}))
            for size in range(m)
            for subset in itertools.combinations(others, size)
        )
    return told, value(set())


def curved(columns, n):
    number = np.nan_to_num(columns["f0"][:, 0].astype(float), nan=-7.0)
    town = np.array([{"Oslo": 1.0, "": 5.0}.get(value, 2.0) for value in columns["f2"][:, 0]])
    return (number * town + np.nan_to_num(columns["f1"][:, 0].astype(float)) ** 2).reshape(n, 1)


def test_attributions_are_shapleys_with_missing_values_and_categories_that_the_background_has_not():
    rows = [(1.0, 2.0, "Oslo"), (None, -1.0, "Rome"), (3.0, None, ""), (1.0, 0.5, "Rome")]
    explained = Explained(signature(3, texts={2}), background(*rows), curved)
    arrays = [row_of(*(float("nan") if value is None else value for value in row)) for row in rows]
    for row in (row_of(1.0, 9.0, "Oslo"), row_of(float("nan"), 0.5, "Lima"), row_of(-4.0, float("nan"), "")):
        told, base = by_definition(curved, row, arrays)
        values, found = explained.row(row, 0)
        assert found == pytest.approx(base)
        assert values == pytest.approx(list(told.values()))


def test_values_that_are_close_are_not_the_same():
    moments = [1_700_000_000.0 + 128 * at for at in range(5)]
    explained = Explained(
        signature(1), background(*[(moment,) for moment in moments]), lambda columns, _: columns["f0"].astype(float) - 1.7e9
    )
    values, base = explained.row(row_of(1_700_001_280.0), 0)
    assert base == pytest.approx(256)
    assert values == pytest.approx([1024])


@pytest.mark.parametrize("m", [MOST_EXACT_COLUMNS, MOST_EXACT_COLUMNS + 1, 300])
def test_attributions_add_up_and_the_same_row_is_explained_alike(m):
    draw = np.random.default_rng(m)
    weights = draw.normal(size=m)

    def score(columns, n):
        matrix = np.hstack([columns[f"f{at}"] for at in range(m)]).astype(float)
        return np.tanh(matrix @ weights / math.sqrt(m)).reshape(n, 1)

    explained = Explained(signature(m), background(*draw.normal(size=(50, m)).astype(np.float32).tolist()), score)
    first, second = (row_of(*draw.normal(size=m).astype(np.float32).tolist()) for _ in range(2))
    values, base = explained.row(first, 0)
    assert sum(values) + base == pytest.approx(score(first, 1)[0, 0], abs=1e-9)
    explained.row(second, 0)
    assert explained.row(first, 0) == (values, base)


def test_a_score_that_nothing_moves_has_no_reasons():
    explained = Explained(signature(2), background((1.0, 2.0), (1.0, 2.0)), lambda _, n: np.full((n, 1), 0.25))
    assert explained.row(row_of(1.0, 2.0), 0) == ([0.0, 0.0], 0.25)
    assert explained.row(row_of(5.0, 2.0), 0) == ([0.0, 0.0], 0.25)
