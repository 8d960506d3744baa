"""The invented shop whose orders `flyball init` writes: 60 days, two thousand orders, some of which come back."""

import csv
import io
from datetime import UTC, datetime, timedelta

import numpy as np

ROWS = 2_000
DAYS = 60
_BEGIN = datetime(2025, 3, 1, tzinfo=UTC)
_CATEGORIES = ("shoes", "dresses", "shirts", "books", "toys")
_SHARES = (0.25, 0.2, 0.25, 0.2, 0.1)
_RETURNED = {"shoes": 0.3, "dresses": 0.9, "shirts": 0.0, "books": -1.8, "toys": -1.0}
"""Log-odds by category, so that the story is plausible and a model has something to find."""
_PRICES = {"shoes": 80.0, "dresses": 60.0, "shirts": 35.0, "books": 15.0, "toys": 25.0}
HEADER = (
    "order_id", "ordered_at", "category", "price", "discount", "sizes", "customer_orders", "customer_return_rate", "express", "returned",
)  # fmt: skip


def orders_csv(seed: int) -> str:
    """The file's text; the same seed gives the same bytes."""
    draw = np.random.default_rng(seed)
    minutes = np.sort(draw.integers(0, DAYS * 24 * 60, ROWS))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for number, minute in enumerate(minutes.tolist()):
        writer.writerow(_order(number, _BEGIN + timedelta(minutes=minute), draw))
    return out.getvalue()


def _order(number: int, at: datetime, draw: np.random.Generator) -> tuple[object, ...]:
    category = str(draw.choice(_CATEGORIES, p=_SHARES))
    price = round(float(_PRICES[category] * draw.lognormal(0.0, 0.4)), 2)
    discount = float(draw.choice((0.0, 0.1, 0.2, 0.5), p=(0.6, 0.2, 0.15, 0.05)))
    sizes = int(1 + draw.binomial(2, 0.25)) if category in ("shoes", "dresses", "shirts") else 1
    before = int(draw.poisson(2.5))
    rate = round(float(draw.beta(2.0, 5.0)), 3) if before else None
    express = bool(draw.random() < 0.3)
    odds = -1.4 + _RETURNED[category] + 1.3 * (sizes - 1) + 2.5 * ((rate or 0.28) - 0.28) + 0.01 * (price - 45.0) - 1.2 * discount
    returned = int(draw.random() < 1.0 / (1.0 + np.exp(-odds)))
    moment = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    known = "" if rate is None else rate
    return (f"o-{number:05d}", moment, category, price, discount, sizes, before, known, str(express).lower(), returned)
