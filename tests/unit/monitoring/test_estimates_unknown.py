"""Values that no row of the reference has: no estimate is made of what no label says."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from flyball.monitoring.estimates import build, estimate, tables, unknown
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


def of_many_towns(n: int, towns: int, draw: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    columns, scores, labels = rows(n, 5)
    return columns | {"town": draw.integers(0, towns, n).astype(str).astype(object)}, scores, labels


def why_void(known: object, columns: dict[str, np.ndarray]) -> str:
    kept = tables.columns_of(known)  # type: ignore[arg-type]
    usual = unknown.usual(kept, np.asarray(known.blocks), known.rows)  # type: ignore[attr-defined]
    return unknown.why_void(kept, usual, columns, len(columns["town"]))


@pytest.mark.parametrize("hours", [0, 1])
@pytest.mark.parametrize("towns", [300, 2_000, 5_000, 20_000])
def test_categories_that_the_kept_rows_happen_to_lack_are_nothing_new(towns: int, hours: int) -> None:
    """Of 5,000 towns in 12,000 rows the 4,000 that are kept lack two fifths: every window was void for good."""
    draw = np.random.default_rng(6)
    columns, scores, labels = of_many_towns(12_000, towns, draw)
    times = np.arange(12_000) * hours * 3_600_000_000
    known = build(SIGNATURE, columns, times, (scores, labels), timedelta(days=25), None)
    assert len(known.labels) == 4_000
    assert [why_void(known, of_many_towns(n, towns, draw)[0]) for n in (60, 500, 2_000)] == [""] * 3


@pytest.mark.parametrize("towns", [300, 2_000, 5_000])
def test_what_is_new_beside_them_makes_the_estimate_void_and_the_words_are_true(towns: int) -> None:
    draw = np.random.default_rng(7)
    columns, scores, labels = of_many_towns(12_000, towns, draw)
    known = build(SIGNATURE, columns, None, (scores, labels), timedelta(days=1), None)
    for share, spoiled in ((0.35, "town"), (0.2, "price")):
        now, told, _ = of_many_towns(1_000, towns, draw)
        broken = draw.random(1_000) < share
        now[spoiled] = np.where(broken, "Bern" if spoiled == "town" else now["price"] * 100, now[spoiled])
        why = estimate(known, now, told, WINDOW).void
        assert "none of the 4,000 rows kept of the reference's 12,000 has" in why
        assert f"by {spoiled}" in why or f"of {spoiled}" in why


def test_a_value_of_one_window_that_fills_much_of_it_is_no_rare_one() -> None:
    """It stands for nothing that is new later: half of a window of another new value is unknown."""
    columns, scores, labels = rows(2_000, 8)
    columns["town"][:125] = "Bern"
    known = build(SIGNATURE, columns, np.arange(2_000) * 3_600_000_000, (scores, labels), timedelta(hours=125), None)
    now = rows(500, 9)[0]
    now["town"][:100] = "Nice"
    assert "20% of the window's rows have values that no row of the reference has, most by town" in why_void(known, now)


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


def test_a_column_of_identifiers_hides_nothing_that_is_new_in_the_others_together() -> None:
    """Eight rows in a hundred in each of three columns, other rows each time: no column alone says so."""
    rng = np.random.default_rng(20261128)
    numbers = {name: rng.normal(size=4000) for name in ("x", "y", "z")}
    known = tables.Columns(values={"id": [f"u{row}" for row in range(4000)], **numbers}, scores=np.zeros((4000, 1)))
    now = {name: np.where(np.arange(500) // 40 == place, 99.0, 0.0) for place, name in enumerate(numbers)}
    ids = np.array([f"n{row}" for row in range(500)], dtype=object)
    told = unknown.why_void(known, unknown.usual(known, np.arange(4000) // 200, 4000), {"id": ids, **now}, 500)
    assert told.startswith("out of support: 24% of the window's rows")
    ordinary = {name: np.zeros(500) for name in numbers}
    assert unknown.why_void(known, unknown.usual(known, np.arange(4000) // 200, 4000), {"id": ids, **ordinary}, 500) == ""
