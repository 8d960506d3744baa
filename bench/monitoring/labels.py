"""Late labels: every order ends in the same bits, and how far the live metric is from the truth at each age, as it stands and completed."""

import math
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table as Drawn

from bench.late_labels import WORLDS, AtAge, Convergence, bias_by_age, converged
from bench.serving.bars import Bar
from bench.serving.rounds import tell


@dataclass(frozen=True)
class Plan:
    orders: int
    labels: int
    step: int
    """Every so many windows of a world are judged."""


QUICK = Plan(5, 10_000, 12)
FULL = Plan(50, 100_000, 2)


@dataclass
class Told:
    convergence: Convergence
    by_age: dict[str, list[AtAge]] = field(default_factory=dict)
    """World → its ages."""
    skipped: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        worlds = {
            world: [{k: _plain(v) for k, v in row._asdict().items()} for row in rows] for world, rows in self.by_age.items()
        }
        return {"convergence": self.convergence._asdict(), "by_age": worlds, "skipped": self.skipped}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def measure(plan: Plan) -> Told:
    told = Told(converged(plan.orders, plan.labels))
    tell(f"labels: {plan.orders} orders of {plan.labels:,}")
    for title, (build, ages) in WORLDS.items():
        try:
            world = build()
        except ImportError as why:
            told.skipped.append(f"{title}: {why}")
            continue
        told.by_age[title] = bias_by_age(world, ages, step=plan.step)
        tell(f"labels: {title}")
    return told


def bars(told: Told) -> list[Bar]:
    found = told.convergence
    return [
        Bar(
            f"orders of {found.labels:,} labels that end in the same bits, of {found.orders}",
            found.alike,
            found.orders,
            least=True,
        ),
        Bar("… and as a single sorted pass does", float(found.as_sorted), 1, least=True),
    ]


def _brief(value: float) -> str:
    """Nothing where no window was completed."""
    return "–" if math.isnan(value) else f"{value:.4f}"


def drawn(told: Told) -> Drawn:
    table = Drawn(
        "delay", "age, h", "metric", "windows", "labelled", "bias as it stands", "completed", "error as it stands", "completed",
        "95 % holds", "marked immature", box=None, pad_edge=False,
    )  # fmt: skip
    last = ""
    for world, rows in told.by_age.items():
        for row in rows:
            table.add_row(
                world if world != last else "", f"{row.age_hours:g}", row.metric, str(row.windows), f"{row.labelled:.2f}",
                *(_brief(value) for value in (row.bias, row.bias_completed, row.error, row.error_completed, row.covered)),
                f"{row.marked:.2f}",
            )  # fmt: skip
            last = world
    return table
