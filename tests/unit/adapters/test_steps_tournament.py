"""Entrants that are fitted and asked in one job: on which rows, beside whom, and what becomes of the one who wins."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from projects import AILING, AS_OF, LOGISTIC, START, TUNED, Told, package_in, project, request, served, spec
from towns import CHANCE, CHANGE, DAYS, EVERYTHING, ROWS, WEIGHED, Town, standings_of

from flyball.adapters.environment import GitState, Surroundings
from flyball.adapters.packages import LocalPackages
from flyball.adapters.steps import run_steps
from flyball.adapters.steps.apart import Apart
from flyball.adapters.steps.cache import StepCache
from flyball.adapters.steps.mended import enough
from flyball.adapters.steps.situation import Run
from flyball.adapters.steps.tournament import STEP, key_of
from flyball.autopilot import contest, tournament
from flyball.errors import CodeChanged, DataError, StoreUnavailable
from flyball.monitoring.reference import Reference
from flyball.records import codec
from flyball.records.jobs import Progress, StepResult
from flyball.records.maps import ClassMap, ScoreMap, ValueMap
from flyball.records.tournaments import Entrant, Standings, Tournament, TournamentOrder
from flyball.spec.train import TuningSpec


def _held(results: tuple[StepResult, ...]) -> dict[str, Any]:
    return next(result.values for result in results if result.step == STEP)


def entrants_of(results: tuple[StepResult, ...]) -> dict[str, Entrant]:
    return {each.name.partition(":")[0]: each for each in standings_of(results).entrants}


def test_where_the_concept_changed_the_rows_since_then_win_and_are_packaged(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "concept", WEIGHED)
    town.earlier = (served(town.made(parameters={"C": 0.001})),)
    results = town.held(*EVERYTHING, since=CHANGE, earlier=(town.earlier[0].unit.id,))
    found = entrants_of(results)
    assert set(found) == set(EVERYTHING)
    won = contest.winner(standings_of(results))
    assert won is not None
    assert won.name == f"since:{CHANGE.isoformat()}"
    assert won.gain.value > 0.1
    assert found["recalibrate"].words.startswith("higher scores mean fewer")
    assert [result.step for result in results][-5:] == ["train", "older", "evaluate", "refit", "package"]
    package = package_in(tmp_path / "p", results)
    lineage = LocalPackages().lineage(package)
    assert lineage.strategy == won.name
    judged = standings_of(results)
    # Judged, it was fitted once more on all rows since the change; its answers to those that judged it are those of the one that was judged.
    assert lineage.fitted_until == judged.until
    # The newest window judges, and nobody learned from it; who needs no training is judged by those before it, too.
    assert judged.since >= START + timedelta(days=110)
    assert judged.until > START + timedelta(days=113)
    assert found["since"].gain.n == judged.rows < found["earlier"].gain.n
    gains = {name: each.gain for name, each in found.items() if each.gain is not None}
    assert sum(gain.alpha for gain in gains.values()) <= judged.alpha
    assert gains["since"].alpha > gains["earlier"].alpha > 0.0
    assert town.held(*EVERYTHING, since=CHANGE, earlier=(town.earlier[0].unit.id,)) == results
    assert set(town.told.statuses("cached")) == {"snapshot", "validate", STEP, "train", "evaluate", "refit", "package"}


def test_where_only_the_level_moved_a_map_over_the_champions_scores_wins_and_nothing_is_trained(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "level")
    results = town.held("recalibrate", "rethreshold", since=CHANGE)
    assert [result.step for result in results] == ["snapshot", "validate", STEP]
    won = contest.winner(standings_of(results))
    assert (won.name, won.fitted, won.gain.name) == ("recalibrate", False, contest.LOSS_GAIN)
    assert won.calibration.until == standings_of(results).until
    threshold = entrants_of(results)["rethreshold"]
    assert threshold.gain.name == contest.COST_GAIN
    assert threshold.gain.lower > 0.0
    assert threshold.threshold < 0.3


def test_where_too_few_of_a_class_came_since_the_change_a_map_is_of_all_rows_that_are_new(tmp_path: Path) -> None:
    """More than 1,000 rows since then, of which 8 are yes, are no rows to fit on; those since the champion was fitted are."""
    town = Town(tmp_path / "p", "level")
    rows = pl.read_parquet(town.directory / "rows.parquet")
    since = pl.col("at") >= CHANGE
    rare = pl.when(since).then((since.cum_sum() % 128 == 1).cast(pl.Int64)).otherwise(pl.col("late"))
    rows.with_columns(late=rare).write_parquet(town.directory / "rows.parquet")
    before = rows.with_columns(late=rare).filter(since & (pl.col("at") < START + timedelta(days=100)))["late"]
    assert (before.len(), before.sum()) == (1013, 8)
    for each in entrants_of(town.held("recalibrate", "rethreshold", since=CHANGE)).values():
        assert each.gain is not None, each.words
        assert each.gain.value > 0.05


def test_of_whatever_task_rows_are_enough_where_something_can_be_fitted_on_them() -> None:
    for labels, binary, classes in (
        ([900, 19], False, False),
        ([900, 20], True, True),
        ([79, 20], False, False),
        ([900], False, False),
    ):
        rows = np.repeat(np.arange(len(labels)), labels).astype(float)
        assert (enough("binary", rows), enough("multiclass", rows)) == (binary, classes), labels
        assert enough("regression", rows) is (rows.size >= 100)
    assert enough("multiclass", np.repeat([0.0, 1.0, 2.0], [900, 25, 3]))


def test_another_declared_threshold_is_another_tournament(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "level")
    first = entrants_of(town.held("rethreshold", since=CHANGE))["rethreshold"]
    town.spec = spec(monitor={"window": "5d"}, evaluate={"holdout": "20d"}, serve={"threshold": 0.9})
    again = entrants_of(town.held("rethreshold", since=CHANGE))["rethreshold"]
    assert STEP in town.told.statuses("done")
    assert first.threshold < again.threshold


def test_another_past_is_another_tournament_unless_who_competes_was_named(tmp_path: Path) -> None:
    around = Surroundings("c", "e", GitState(None, dirty=False, diff_digest=None), "m")
    run = Run(request(tmp_path, spec()), Told(), lambda name: name, StepCache(tmp_path, Told()), around)
    standings = Standings(champion="u", champion_loss=0.2, rows=0, since=START, until=AS_OF, alpha=0.3, entrants=())
    past = Tournament(job="j-1", decision="d", cause="me", model="flights", at=AS_OF, standings=standings, winner=None, words="")
    later = run._replace(request=run.request._replace(tried=(past,)))
    for chosen in (True, False):
        order = TournamentOrder(champion="u", strategies=("all",), chosen=chosen)
        keys = [key_of(Apart(each, each, 0), {"validate": "v"}, order) for each in (run, later)]
        assert (keys[0] == keys[1]) is chosen


def test_a_map_is_no_reason_for_another_map(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "level", evaluate={"holdout": "20d", "refit": False})
    results = town.held("recalibrate", since=CHANGE)
    (won,) = standings_of(results).entrants
    assert won.calibration.until < standings_of(results).since
    mended = served(Path(town.champion.package), calibration=won.calibration)
    (none_left,) = standings_of(town.held("recalibrate", champion=mended, since=CHANGE)).entrants
    assert "0 labelled rows" in none_left.words  # those that it was fitted on are no news
    # Over another one, of which nobody knows what it was fitted on, it takes the model's own scores.
    strange = ScoreMap(method="platt", scores=(0.0, 0.5, 1.0), answers=(0.0, 0.9, 1.0), rows=1)
    (again,) = standings_of(
        town.held("recalibrate", champion=served(Path(town.champion.package), calibration=strange), since=CHANGE)
    ).entrants
    assert again.calibration == won.calibration


NUMBER = LOGISTIC.replace("LogisticRegression", "LinearRegression")
OF = {"regression": ("minutes", NUMBER, ValueMap), "multiclass": ("speed", LOGISTIC, ClassMap)}


@pytest.mark.parametrize("task", OF)
def test_a_number_and_many_classes_get_their_level_back_without_a_training(tmp_path: Path, task: str) -> None:
    label, code, kind = OF[task]
    town = Town(tmp_path / "p", "level", code, task=task, data={"label": label})
    results = town.held("recalibrate", since=CHANGE)
    assert [result.step for result in results] == ["snapshot", "validate", STEP]
    won = contest.winner(standings_of(results))
    assert (won.name, won.fitted, won.gain.name) == ("recalibrate", False, contest.LOSS_GAIN)
    assert won.relative > 0.1
    assert isinstance(won.calibration, kind)
    if task == "regression":
        assert won.calibration.slope == pytest.approx(1.0, abs=0.1)
        # 25 minutes too low before, off by 4 since, in the champion's own scale; labels spread a quarter further by now
        scale = codec.decode(LocalPackages().monitored(Path(town.champion.package), "reference.json"), Reference).scale
        assert won.gain.value * scale == pytest.approx(21.0, rel=0.05)
    else:
        methods = dict(zip(("fast", "slow", "usual"), [each.method for each in won.calibration.classes], strict=True))
        # That the middle one is likely meant a high value before and a low one now: it goes by the others.
        assert methods == {"fast": "platt", "slow": "platt", "usual": "none"}
    still = Town(tmp_path / "q", "", code, task=task, data={"label": label})
    assert contest.winner(standings_of(still.held("recalibrate"))) is None


def test_where_nothing_changed_nobody_wins(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "", WEIGHED)
    results = town.held("recalibrate", "rethreshold", "all", "weighted", "recent")
    assert contest.winner(standings_of(results)) is None
    assert [result.step for result in results] == ["snapshot", "validate", STEP]
    for each in standings_of(results).entrants:
        assert each.gain is not None, each
        assert abs(each.gain.value) < 0.01


@pytest.mark.parametrize("code", [LOGISTIC, WEIGHED])
def test_who_is_tried_is_drawn_from_what_the_project_can_do(tmp_path: Path, code: str) -> None:
    found = entrants_of(Town(tmp_path / "p", "concept", code).held(*EVERYTHING, chosen=False, since=CHANGE))
    assert all(each.gain is not None for each in found.values() if each.fitted), found
    assert 1 <= sum(each.fitted for each in found.values()) <= tournament.MOST_FITS
    assert code == WEIGHED or "weighted" not in found


def test_who_cannot_compete_says_why_and_keeps_nobody_else_from_it(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "concept")
    found = entrants_of(town.held("weighted", "since", "all", since=START + timedelta(days=114.9)))
    assert "takes no keyword `weights`" in found["weighted"].words
    assert "rows to fit on" in found["since"].words
    assert found["all"].gain is not None
    assert all(found[name].gain is None for name in ("weighted", "since"))


def test_an_earlier_unit_that_cannot_answer_any_more_keeps_nobody_else_from_it(tmp_path: Path) -> None:
    ill = tmp_path / "ill"
    town = Town(tmp_path / "p", "concept", AILING.replace("AILMENT", f"__import__('os').path.exists({str(ill)!r})"))
    gone, failing = (served(town.made(parameters={"C": strength})) for strength in (0.001, 0.01))
    (town.directory / "pipeline.py").write_text(LOGISTIC)
    town.champion = served(town.made())
    ill.touch()
    shutil.rmtree(Path(gone.package) / "model")
    town.earlier = (gone, failing)
    found = {
        each.name: each for each in standings_of(town.held("earlier", "all", earlier=(gone.unit.id, failing.unit.id))).entrants
    }
    assert "cannot be read" in found[f"earlier:{gone.unit.id}"].words
    assert f"the model of {failing.unit.id} failed: ValueError" in found[f"earlier:{failing.unit.id}"].words
    assert found["all"].gain is not None


@pytest.mark.parametrize("spoken", ["fitting on", "recalibrate is tried"])
def test_code_that_is_saved_while_it_is_held_ends_it_and_is_nobodys_standing(tmp_path: Path, spoken: str) -> None:
    town = Town(tmp_path / "p", "concept")

    def save(line: Progress) -> None:
        if line.words.startswith(spoken):
            (town.directory / "pipeline.py").write_text(LOGISTIC + "\nmore = 1\n")

    strategies = ("all",) if spoken == "fitting on" else ("recalibrate",)
    asked = codec.plain(TournamentOrder(champion=town.champion.unit.id, strategies=strategies, chosen=True))
    with pytest.raises(CodeChanged, match="the project's code changed while it ran"):
        run_steps(request(town.directory, town.spec, tournament=asked)._replace(champion=town.champion), save)
    assert not list((town.directory / ".flyball" / "cache").glob(f"{STEP}-*"))


def test_a_disk_that_takes_nothing_is_no_entrants_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(tmp_path / "p", "concept")

    def full(*_: object) -> StepResult:
        raise StoreUnavailable("the step train could not be written: No space left on device")

    monkeypatch.setattr("flyball.adapters.steps.trainings.train", full)
    with pytest.raises(StoreUnavailable):
        town.held("all", "recalibrate")


def test_what_trainings_took_is_what_they_took_where_they_were_done(tmp_path: Path) -> None:
    """A tournament that finds them done comes to the same figures, and to the same limit."""
    town = Town(tmp_path / "p", "concept", WEIGHED)
    asked = ("all", "weighted", "recent")
    first = {result.step: result for result in town.held(*asked)}
    held = first[STEP]
    assert [each["entrant"].partition(":")[0] for each in held.values["trained"]] == [*asked]
    spent = {each["entrant"]: each["seconds"] for each in held.values["trained"]}
    assert {each.name: each.minutes for each in standings_of((held,)).entrants} == {
        name: round(seconds / 60.0, 4) for name, seconds in spent.items()
    }
    assert held.values["waited_seconds"] <= held.seconds
    cache = town.directory / ".flyball" / "cache"
    for directory in cache.glob(f"{STEP}-*"):
        shutil.rmtree(directory)
    for each in held.values["trained"]:
        (result,) = [
            path for path in cache.glob("train-*/result.json") if codec.decode(path.read_bytes(), StepResult).key == each["key"]
        ]
        result.write_bytes(codec.encode(msgspec.structs.replace(codec.decode(result.read_bytes(), StepResult), seconds=4200.0)))
    again = standings_of(town.held(*asked)).entrants
    assert [(each.minutes, each.words) for each in again] == [
        (70.0, ""),
        *[(0.0, "half of train.time_limit has gone (4200 s).")] * 2,
    ], "though all were there at once"


def test_who_won_is_judged_anew_where_it_must_be_fitted_anew(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "concept", CHANCE)
    first = town.held("all", "since", since=CHANGE)
    won = contest.winner(standings_of(first))
    assert won is not None
    assert won.fitted
    trained = {each.step: each for each in first}["train"]
    cache = StepCache(town.directory / ".flyball" / "cache", Told())
    shutil.rmtree(cache.directory("train", trained.key))
    again = town.held("all", "since", since=CHANGE)
    assert town.told.statuses("done")[:2] == ["train", STEP]
    assert [each.key for each in again] == [each.key for each in first]
    assert entrants_of(again)["all"].gain == entrants_of(first)["all"].gain, "whose training was there"
    digests = [{each["entrant"]: each["estimator_digest"] for each in _held(results)["trained"]} for results in (first, again)]
    assert [name for name in digests[0] if digests[0][name] != digests[1][name]] == [won.name]
    assert town.held("all", "since", since=CHANGE) == again
    assert STEP in town.told.statuses("cached")


def test_nobody_is_judged_by_rows_that_it_was_fitted_on(tmp_path: Path) -> None:
    """A unit that learned all but the newest days would win by heart."""
    town = Town(tmp_path / "p", "concept")
    by_heart = served(package_in(town.directory, run_steps(request(town.directory, spec(evaluate={"holdout": "2d"})), Told())))
    town.earlier = (by_heart,)
    (earlier,) = standings_of(town.held("earlier", earlier=(by_heart.unit.id,))).entrants
    assert earlier.gain.n < ROWS * 2.5 / DAYS
    (alone,) = standings_of(town.held("recalibrate", champion=by_heart)).entrants
    assert "0 labelled rows" in alone.words


def test_a_champion_that_is_another_by_now_ends_it_in_words(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "")
    asked = TournamentOrder(champion="u0123", strategies=("all",))
    with pytest.raises(DataError, match="u0123 is champion no more"):
        run_steps(request(town.directory, town.spec, tournament=codec.plain(asked))._replace(champion=town.champion), Told())


def test_a_plain_run_is_what_it_was_and_says_until_when_it_was_fitted(tmp_path: Path) -> None:
    results = run_steps(request(project(tmp_path / "p")), Told())
    lineage = LocalPackages().lineage(package_in(tmp_path / "p", results))
    assert [result.step for result in results] == ["snapshot", "validate", "train", "evaluate", "package"]
    assert lineage.strategy == ""
    assert START < lineage.fitted_until < lineage.snapshot.until < AS_OF


def test_a_job_may_look_at_the_rows_since_a_moment_alone(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    results = run_steps(request(directory, since=(START + timedelta(days=20)).isoformat()), Told())
    assert LocalPackages().lineage(package_in(tmp_path / "p", results)).snapshot.since >= START + timedelta(days=20)
    with pytest.raises(DataError, match="no row since"):
        run_steps(request(directory, since=AS_OF.isoformat()), Told())


def test_parameters_that_are_sought_anew_take_the_place_of_one_that_is_trained(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "")
    tuned = {**TUNED, "tuning": {"trials": 2, "space": {"C": [0.1, 10.0]}}}
    town.spec = spec(train=tuned, monitor={"window": "5d"}, evaluate={"holdout": "20d"})
    found = entrants_of(town.held("all", "since", "recent", "retune", chosen=False, since=CHANGE))
    assert len(found) == sum(each.fitted for each in found.values()) == tournament.MOST_FITS
    assert found["retune"].gain is not None


def test_who_found_the_parameters_of_another_is_not_judged_twice(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "", train={**TUNED, "tuning": {"trials": 2, "space": {"C": [0.7, 0.70000001]}}})
    found = entrants_of(town.held("all", "recalibrate", "retune"))
    assert (found["all"].gain is not None, found["retune"].gain) == (True, None)
    assert found["retune"].words == "it is the same as all: tuning found the same parameters"


def test_what_a_release_took_back_is_judged_by_rows_that_came_since_alone(tmp_path: Path) -> None:
    town = Town(tmp_path / "p", "level")
    town.earlier = (
        served(Path(town.champion.package), calibration=ScoreMap(method="platt", scores=(0.0, 1.0), answers=(0.2, 0.8), rows=1)),
    )
    names, earlier = ("recalibrate", "rethreshold", "earlier"), f"earlier:{town.earlier[0].unit.id}"
    order = {"earlier": (town.earlier[0].unit.id,)}
    before = entrants_of(town.held(*names, **order))
    assert {before[each].gain is not None for each in names} == {True}
    since = START + timedelta(days=113)
    told = {earlier: since, "recalibrate": since}  # by entrants' whole names
    after = entrants_of(town.held(*names, **order, judged_from=told))
    assert after["rethreshold"].gain == before["rethreshold"].gain
    for each in ("earlier", "recalibrate"):
        assert 0 < after[each].gain.n < before[each].gain.n
    never = entrants_of(town.held(*names, **order, judged_from=dict.fromkeys(told, START + timedelta(days=DAYS))))
    assert {never[each].gain for each in ("earlier", "recalibrate")} == {None}
    assert {never[each].words.partition(":")[0] for each in ("earlier", "recalibrate")} == {"no row judges it"}


def test_parameters_are_not_sought_where_the_job_would_end_before(tmp_path: Path) -> None:
    slow = LOGISTIC.replace("return make_pipeline(prepare", "import time; time.sleep(0.3)\n    return make_pipeline(prepare")
    tuning = {"trials": 900, "space": {"C": [0.1, 10.0]}}
    town = Town(tmp_path / "p", "concept", slow, train={"entrypoint": "pipeline:train", "time_limit": "2m"})
    town.spec = town.spec.model_copy(update={"train": town.spec.train.model_copy(update={"tuning": TuningSpec(**tuning)})})
    found = entrants_of(town.held("all", "retune", chosen=False))
    assert found["all"].gain is not None
    assert found["retune"].gain is None
    assert "900 trials of" in found["retune"].words
    assert "would not be done within train.time_limit (120 s)" in found["retune"].words
