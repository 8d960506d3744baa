"""Which rows of a tournament are kept from whom: who judges, and on which rows a winner is measured."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from projects import LOGISTIC, START, TUNED, Told, package_in, project, request, served, spec
from towns import CHANGE, DAYS, ROWS, Town, standings_of, world

from flyball.adapters.environment import GitState, Surroundings
from flyball.adapters.packages import LocalPackages
from flyball.adapters.steps import run_steps
from flyball.adapters.steps.apart import Apart, rows_apart
from flyball.adapters.steps.cache import StepCache
from flyball.adapters.steps.situation import Run
from flyball.autopilot import contest
from flyball.control.world import moment
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.tournaments import TournamentOrder
from flyball.stats.logistic import expit

WANTS_MUCH = LOGISTIC.replace(
    "    numbers = [", "    if len(label) < 4_000:\n        raise ValueError('too few')\n    numbers = [", 1
)


def test_a_winner_is_measured_on_the_whole_holdout_by_a_fit_that_has_not_seen_it(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "")
    town.champion = served(town.made(parameters={"C": 1e-5}))
    town.spec = spec(train=TUNED, monitor={"window": "5d"}, evaluate={"holdout": "20d"})
    found = {result.step: result for result in town.held("retune")}
    judged = standings_of(tuple(found.values()))
    begin, until = (moment(found[step].values["trained_until_us"]) for step in ("older", "train"))
    assert begin + timedelta(days=14) < until < judged.since
    assert found["evaluate"].values["rows"] == pytest.approx(20 * ROWS / DAYS, rel=0.1)
    assert found["evaluate"].values["rows"] > 2 * judged.rows
    assert len(found["train"].values["trials"]) == TUNED["tuning"]["trials"]
    assert found["older"].values["parameters"] == found["train"].values["parameters"]
    assert found["older"].values["trials"] == []  # sought once


def test_who_cannot_be_fitted_without_the_holdout_is_measured_by_those_that_judged_it(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "", evaluate={"holdout": "50d"})
    town.champion = served(town.made(parameters={"C": 1e-5}))
    (town.directory / "pipeline.py").write_text(WANTS_MUCH)
    found = {result.step: result for result in town.held("all")}
    judged = standings_of(tuple(found.values()))
    assert contest.winner(judged) is not None
    assert found["older"].values["failed"].startswith("pipeline:train failed")
    assert found["older"].seconds > 0.0  # counted as long as it took
    assert found["evaluate"].values["rows"] == judged.rows


def turning(until: int) -> pl.DataFrame:
    """What two features mean turns into one another, by one radian in 60 days."""
    draw = np.random.default_rng(5)
    day = np.sort(draw.uniform(0, 150, 15_000))
    hour, wind = draw.normal(size=day.size), draw.normal(size=day.size)
    odds = 2.5 * np.cos(day / 60) * hour + 2.5 * np.sin(day / 60) * wind
    at = [START + timedelta(days=float(each)) for each in day]
    late = (draw.uniform(size=day.size) < expit(odds)).astype(int)
    frame = pl.DataFrame(
        {"id": [f"f{i}" for i in range(day.size)], "at": at, "hour": hour, "wind": wind, "carrier": "AA", "late": late}
    )
    return frame.filter(pl.col("at") < START + timedelta(days=until))


def test_no_gate_asks_a_fit_that_knows_less_of_the_world_than_the_champion(tmp_path: Path) -> None:
    """The champion won a tournament: it knows all rows up to its run. Who was fitted without a fifth of the rows would lose by what it could not know."""
    declared = spec(monitor={"window": "5d"})
    directory = project(tmp_path / "p", LOGISTIC, turning(100))
    champion = served(package_in(directory, run_steps(request(directory, declared), Told())))
    for day in (140, 150):
        turning(day).write_parquet(directory / "rows.parquet")
        asked = TournamentOrder(champion=champion.unit.id, strategies=("recent",), chosen=True)
        wanted = request(directory, declared, tournament=codec.plain(asked))._replace(champion=champion)
        results = run_steps(wanted, Told())
        known = LocalPackages().lineage(Path(champion.package)).fitted_until
        champion = served(package_in(directory, results))
    found = {result.step: result for result in results}
    assert moment(found["older"].values["trained_until_us"]) >= known
    told = {each.name: each for each in codec.decode((Path(champion.package) / "evaluation.json").read_bytes(), list[Evidence])}
    assert told["log_loss_difference"].value < 0.0  # better than the one before, as the tournament said
    assert told["log_loss_difference"].n > standings_of(results).rows


def test_of_a_rare_class_some_must_have_come_to_judge(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "")
    rare = world(1, 115).with_columns(late=(pl.int_range(pl.len()) % 40 == 0).cast(pl.Int64))
    rare.write_parquet(town.directory / "rows.parquet")
    judged = standings_of(town.held("all"))
    assert judged.rows > 400 - 40


def test_a_newest_window_of_one_class_is_no_reason_to_judge_nobody(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "")
    late = pl.when(pl.col("at") >= START + timedelta(days=110)).then(pl.lit(1)).otherwise(pl.col("late"))
    world(1, 115).with_columns(late=late.cast(pl.Int64)).write_parquet(town.directory / "rows.parquet")
    judged = standings_of(town.held("all", "recalibrate"))
    assert judged.since < START + timedelta(days=110)
    assert {each.name for each in judged.entrants if each.gain is not None} >= {"all"}


def test_a_fit_that_time_may_not_allow_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(tmp_path / "p", "concept")
    monkeypatch.setattr("flyball.adapters.steps.tournament.seconds_of", lambda _: 7_200.0)
    results = town.held("since", since=CHANGE)
    assert "older" not in {result.step for result in results}
    assert results[-1].step == "package"
    assert "may not be done within train.time_limit (7200 s)" in str(town.told)


def test_where_nobody_knows_rows_between_the_champion_and_the_judges_these_measure_who_wins(tmp_path: Path) -> None:
    """Rows are stamped by day; the champion knows all of them up to the day before those that judge."""
    town = Town(tmp_path / "p", "concept", monitor={"window": "1d"})
    by_day = world(1, 115, "concept").with_columns(pl.col("at").dt.truncate("1d"))
    by_day.filter(pl.col("at") < START + timedelta(days=111)).write_parquet(town.directory / "rows.parquet")
    town.champion = served(package_in(tmp_path / "p", town.held("since", since=CHANGE)))
    assert LocalPackages().lineage(Path(town.champion.package)).fitted_until == START + timedelta(days=110)
    by_day.write_parquet(town.directory / "rows.parquet")
    (town.directory / "pipeline.py").write_text(LOGISTIC.replace("**parameters", "C=1e-6"))
    apart = apart_of(town)
    assert apart.measured is apart.judging
    judged = standings_of(town.held("since", since=CHANGE))
    assert judged.since == START + timedelta(days=111)


def test_days_judge_where_windows_are_shorter(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "concept", monitor={"window": "1h"})
    judged = standings_of(town.held("since", "recalibrate", since=CHANGE))
    (since,) = [each for each in judged.entrants if each.fitted]
    assert judged.until - judged.since > timedelta(days=3)
    assert since.gain.n >= 40  # a day has some 50 rows, an hour two


def test_a_day_that_has_only_begun_is_not_all_that_judges(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "", monitor={"window": "1h"}, evaluate={"holdout": "3d"})
    minutes = [CHANGE + timedelta(minutes=0.5 * each) for each in range(2 * 60 * 24 * 6 + 2 * 120)]  # six days and two hours
    draw = np.random.default_rng(1)
    frame = pl.DataFrame({"id": [f"f{i}" for i in range(len(minutes))], "at": minutes, "hour": 5, "wind": 1.0, "carrier": "AA"})
    frame = frame.with_columns(late=pl.Series(draw.integers(0, 2, len(minutes))))
    frame.write_parquet(town.directory / "rows.parquet")
    judged = standings_of(town.held("all"))
    assert judged.until - judged.since > timedelta(days=1, hours=1)


def apart_of(town: Town) -> Apart:
    results = town.held("since", since=CHANGE)
    validated = next(result for result in results if result.step == "validate")
    asked = TournamentOrder(champion=town.champion.unit.id, strategies=("since",), chosen=True, since=CHANGE)
    wanted = request(town.directory, town.spec)._replace(champion=town.champion)
    around = Surroundings("c", "e", GitState(None, dirty=False, diff_digest=None), "m")
    run = Run(wanted, Told(), lambda name: name, StepCache(town.directory / ".flyball" / "cache", Told()), around)
    return rows_apart(run, asked, validated)
