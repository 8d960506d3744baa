"""Values that no row of the reference has: no estimate is made of what no label says."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from flyball.monitoring.estimates import build, estimate
from flyball.monitoring.window import Window
from flyball.records.signature import Column, ColumnType, Signature

SIGNATURE = Signature(
    task="binary", columns=(Column(name="price", type=ColumnType.NUMBER), Column(name="town", type=ColumnType.CATEGORY)), classes=("0", "1")
)  # fmt: skip
WINDOW = Window(model="shop", unit="u", start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 2, tzinfo=UTC))


def rows(n: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    price, town = draw.uniform(10, 90, n), draw.choice(["Oslo", "Rome"], n).astype(object)
    p = 1 / (1 + np.exp(-(price - 50) / 15))
    return {"price": price, "town": town}, p[:, None], (draw.random(n) < p).astype(float)


@pytest.fixture(scope="module", params=[500, 4_000])
def reference(request: pytest.FixtureRequest) -> object:
    columns, scores, labels = rows(request.param, 1)
    return build(SIGNATURE, columns, np.arange(request.param) * 3_600_000_000, (scores, labels), timedelta(days=1), None)


def told(reference: object, share: float, spoil: str) -> str:
    columns, scores, _ = rows(500, 2)
    broken = np.arange(500) < 500 * share
    if spoil == "unit":
        columns["price"] = np.where(broken, columns["price"] * 100, columns["price"])
    elif spoil == "gap":
        columns["price"] = np.where(broken, np.nan, columns["price"])
    else:
        columns["town"] = np.where(broken, "Bern", columns["town"])
    return estimate(reference, columns, scores, WINDOW).void  # type: ignore[arg-type]


@pytest.mark.parametrize("spoil", ["unit", "gap", "category"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.74, 1.0])
def test_a_unit_a_gap_or_a_category_that_is_new_makes_the_estimate_void_and_is_named(
    reference: object, share: float, spoil: str
) -> None:
    words = told(reference, share, spoil)
    assert f"{share:.0%} of the window's rows have values that no row of the reference has" in words
    assert ("town" if spoil == "category" else "price") in words


@pytest.mark.parametrize("spoil", ["unit", "category"])
def test_a_few_new_values_do_not(reference: object, spoil: str) -> None:
    assert told(reference, 0.02, spoil) == ""


def test_a_missing_category_is_missing_however_the_library_calls_it() -> None:
    """Every window was void: its `nan` was a town that no row of the reference has."""
    columns, scores, labels = rows(2_000, 3)
    gaps = np.arange(2_000) % 10 == 0
    kept = [
        build(SIGNATURE, columns | {"town": town}, None, (scores, labels), timedelta(days=1), None).columns["town"]
        for missing in (None, np.nan, pd.NA, "")
        for town in (np.where(gaps, missing, columns["town"]), pd.Series(np.where(gaps, missing, columns["town"])))
    ]
    assert set(kept[0]) == {"", "Oslo", "Rome"}
    assert all(each == kept[0] for each in kept)
    known = build(
        SIGNATURE, columns | {"town": np.where(gaps, "", columns["town"])}, None, (scores, labels), timedelta(days=1), None
    )
    now = rows(500, 4)
    for missing in (None, np.nan, pd.NA):
        town = np.where(np.arange(500) % 10 == 0, missing, now[0]["town"])
        assert estimate(known, now[0] | {"town": town}, now[1], WINDOW).void == ""
