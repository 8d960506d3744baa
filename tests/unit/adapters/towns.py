"""Projects whose world changes on a day that is known, and tournaments in them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from projects import LOGISTIC, START, Told, package_in, project, request, served, spec

from flyball.adapters.steps import run_steps
from flyball.adapters.steps.tournament import STEP
from flyball.records import codec
from flyball.records.jobs import StepResult
from flyball.records.routing import ServedUnit
from flyball.records.tournaments import Standings, TournamentOrder
from flyball.stats.logistic import expit

DAYS, ROWS = 120, 6000
CHANGE = START + timedelta(days=80)
WEIGHED = LOGISTIC.replace("parameters, seed)", "parameters, seed, weights=None)").replace(
    ".fit(features, label)", ".fit(features, label, logisticregression__sample_weight=weights)"
)
CHANCE = LOGISTIC.replace(
    "return make_pipeline(prepare",
    "import os; parameters = {'C': 0.01 + os.urandom(4)[0] / 99}\n    return make_pipeline(prepare",
)
"""Comes out otherwise each time."""
EVERYTHING = ("recalibrate", "rethreshold", "earlier", "all", "since", "weighted", "recent")


def world(seed: int, until: int, change: str = "") -> pl.DataFrame:
    """Labels as days go by; from CHANGE on the weights of the features are others (`concept`), or yes is more frequent (`level`)."""
    draw = np.random.default_rng(seed)
    days = np.sort(draw.uniform(0, DAYS, ROWS))
    hour, wind = draw.integers(5, 23, ROWS), draw.gamma(2.0, 5.0, ROWS)
    changed = days >= 80
    odds = 0.4 * (hour - 14) + 0.1 * (wind - 10)
    odds = np.where(changed & (change == "concept"), -odds, odds) + np.where(changed & (change == "level"), 2.5, 0.0)
    frame = pl.DataFrame(
        {
            "id": [f"f{i}" for i in range(ROWS)], "at": [START + timedelta(days=float(day)) for day in days], "hour": hour,
            "wind": wind, "carrier": draw.choice(["AA", "B6"], ROWS), "late": (draw.uniform(size=ROWS) < expit(odds)).astype(int),
            "minutes": 10.0 * odds + draw.normal(0.0, 5.0, ROWS),
            "speed": np.asarray(["slow", "usual", "fast"])[np.digitize(odds + draw.logistic(size=ROWS), [-1.0, 1.5])],
        }
    )  # fmt: skip
    return frame.filter(pl.col("at") < START + timedelta(days=until))


class Town:
    """A project whose champion was made on day 75, and a tournament on day 115."""

    def __init__(self, directory: Path, change: str, code: str = LOGISTIC, **more: Any) -> None:
        self.change, self.spec = change, spec(**{"monitor": {"window": "5d"}, "evaluate": {"holdout": "20d"}, **more})
        self.directory = project(directory, code, world(1, 75))
        self.champion = served(self.made())
        world(1, 115, change).write_parquet(self.directory / "rows.parquet")

    def made(self, **overrides: object) -> Path:
        return package_in(self.directory, run_steps(request(self.directory, self.spec, **overrides), Told()))

    def held(self, *strategies: str, champion: ServedUnit | None = None, **order: object) -> tuple[StepResult, ...]:
        self.told = Told()
        given = champion or self.champion
        asked = TournamentOrder(champion=given.unit.id, strategies=strategies, **{"chosen": True, **order})
        wanted = request(self.directory, self.spec, tournament=codec.plain(asked))._replace(champion=given, earlier=self.earlier)
        return run_steps(wanted, self.told)

    earlier: tuple[ServedUnit, ...] = ()


def standings_of(results: tuple[StepResult, ...]) -> Standings:
    (held,) = [result for result in results if result.step == STEP]
    return codec.revive(held.values["standings"], Standings)
