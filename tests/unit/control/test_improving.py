"""What a still world looks like to who asks whether a tournament is worth it: simulations with fixed seeds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import ledger_world
import msgspec
import numpy as np
import pytest

from flyball.adapters.executor import MemoryExecutor
from flyball.autopilot import worth
from flyball.autopilot.worth import unexplained
from flyball.control import improving, jobs, tournaments
from flyball.control.ports import JobReport, StepRequest
from flyball.control.world import draft, put
from flyball.monitoring import reference
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.findings import RowLosses, WindowSummary
from flyball.records.jobs import Job, JobStatus, StepResult
from flyball.records.release import Champion, Phase, ReleaseState
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.tournaments import Entrant, Standings, TournamentOrder
from flyball.records.unit import Format, Lineage, SnapshotRef, Unit, Version

SIGNATURE = Signature(task="binary", classes=("0", "1"), columns=(Column(name="x", type=ColumnType.NUMBER),))
START, DAY = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1)
HELD, OWN = 12, 4
"""Windows of the holdout, and of the champion since."""


def losses(rng, sizes, luck):
    """Brier-like, of days with so many rows; `luck`: that a day's rows share."""
    return [np.clip(rng.beta(1.0, 4.0, n) + rng.normal(0.0, luck), 0.0, 1.0) for n in sizes]


def baseline(rng, luck):
    held = losses(rng, rng.integers(300, 900, HELD), luck)
    of_row = np.concatenate(held)
    times = np.repeat(np.arange(HELD), [part.size for part in held]) * 86_400_000_000
    holdout = reference.HoldoutScores(np.zeros((of_row.size, 1)), of_row, times)
    return reference.build(SIGNATURE, {"x": np.zeros(of_row.size)}, times, holdout, DAY, None).baseline


def own(rng, luck):
    return [
        WindowSummary(
            model="m", unit="u", start=START + k * DAY, end=START + (k + 1) * DAY, predictions=rows.size, labels=rows.size,
            mature=True, loss=RowLosses(mean=float(rows.mean()), spread=float(rows.std()), n=rows.size),
        )
        for k, rows in enumerate(losses(rng, rng.integers(300, 900, OWN), luck))
    ]  # fmt: skip


def share(rng, luck, *, told=True, windows=OWN):
    """`told`: the package says how rows of the holdout spread; of an earlier release it does not."""
    known = baseline(rng, luck) if told else msgspec.structs.replace(baseline(rng, luck), spread=None)
    return unexplained((*improving._holdout(known, START), *improving._own(own(rng, luck)[:windows])))


@pytest.mark.parametrize(("told", "windows"), [(True, OWN), (True, 1), (True, 0), (False, OWN), (False, 1)])
def test_windows_of_a_still_world_differ_by_their_rows_alone_those_of_the_holdout_too(told, windows):
    rng = np.random.default_rng(31)
    assert np.mean([share(rng, 0.0, told=told, windows=windows) for _ in range(60)]) < 0.2


@pytest.mark.parametrize("told", [True, False])
def test_days_that_differ_as_wholes_are_a_moving_world(told):
    rng = np.random.default_rng(32)
    assert np.mean([share(rng, 0.03, told=told) for _ in range(20)]) > 0.7


def test_where_no_spread_of_rows_is_known_nothing_is_said():
    assert share(np.random.default_rng(33), 0.03, told=False, windows=0) == 0.0


SPEC = {**ledger_world.SPEC, "project": "m", "model": "m"}


def trained_at(day, executor=None, **more):
    """A champion of 4,600 rows before START, beside whom somebody was trained on that day."""
    world = ledger_world.world_at(START + 60 * DAY, {**SPEC, **more}, executor=executor)
    snapshot = SnapshotRef(table="m", version=0, content_digest="c", schema_digest="d", rows=4600, since=None, until=START)
    lineage = Lineage(
        run_key="r", mlflow_run="", git_commit=None, git_dirty=False, code_digest="a", environment_digest="b", snapshot=snapshot,
        parameters={}, seed=0,
    )  # fmt: skip
    version = Version(model="m", number=1, manifest_digest="d", format=Format.ONNX, created_at=START, lineage=lineage, metrics={})
    unit = Unit(id="u", model="m", version=1, manifest_digest="d", threshold=0.5, policy_digest="p")
    job = Job(id="j-0002", model="m", status=JobStatus.REFUSED, requested_at=START, as_of=START + day * DAY, cause="d-000001")
    puts = (put("version", "m|000001", version), put("unit", "u", unit), put("job", job.id, job))
    world.take_over("test")
    world.record(draft(START, "test", "test", {}, puts))
    return world, Champion(model="m", unit="u", since=START, release="r-0001")


def test_rows_whose_labels_came_after_a_training_are_new_to_it():
    """100 rows a day, labels after two weeks: on day 14 those of no day since START were known."""
    world, champion = trained_at(14)
    days = [
        WindowSummary(
            model="m", unit="u", start=START + k * DAY, end=START + (k + 1) * DAY, predictions=100, labels=100, mature=True,
            loss=RowLosses(mean=0.1, spread=0.1, n=100),
        )
        for k in range(29)
    ]  # fmt: skip
    known = baseline(np.random.default_rng(34), 0.0)
    grown = [improving.assess(world, champion, known, days, (), delay * DAY).growth for delay in (14, 4, 0)]
    rows = [4600, 5600, 6000]
    assert grown == [pytest.approx(np.log2(7500 / trained), abs=0.01) for trained in rows]


@pytest.mark.parametrize("void", [False, True])
def test_a_tournament_whose_champion_went_meanwhile_teaches_nothing_of_what_training_gives(void):
    """Somebody would have won it, and nobody could: neither does it say that training is in vain, nor has anybody learned the rows up to then."""
    world, champion = trained_at(14)
    gain = Evidence(name="loss_gain", value=0.05, lower=0.02, upper=0.08, alpha=0.1, n=500)
    entrant = Entrant(name="all", fitted=True, gain=gain, relative=0.25, error=0.02, windows=1, minutes=3.0)
    at, before = START + 14 * DAY, "u" if not void else "v"
    standings = Standings(champion=before, champion_loss=0.2, rows=500, since=START, until=at, alpha=0.3, entrants=(entrant,))
    order = TournamentOrder(champion=before, strategies=("all",), growth=1.0)
    asked = jobs.request(world, "d-000001", overrides={tournaments.STEP: codec.plain(order)})
    held = StepResult(step=tournaments.STEP, key="k", values={"standings": codec.plain(standings)}, seconds=1.0)
    world.record(draft(at, "test", "test", {}, (put("champion", "m", champion),)))
    concluded = tournaments.conclude(world, asked, JobReport("done", (held,), (), ""))
    refused = msgspec.structs.replace(concluded, status=JobStatus.REFUSED, as_of=at)
    forgotten = msgspec.structs.replace(world.get("job", "j-0002", Job), status=JobStatus.FAILED)
    world.record(draft(at, "test", "test", {}, (put("job", refused.id, refused), put("job", forgotten.id, forgotten))))
    assert [(each.void, each.winner) for each in tournaments.remembered(world)] == [(void, None if void else "all")]
    found = improving.assess(world, champion, baseline(np.random.default_rng(34), 0.0), days("u", [0.2] * 29, 0), ())
    rows = 7500 / (4600 if void else 6000)
    assert found.growth == pytest.approx(np.log2(rows), abs=0.01)
    none, _ = trained_at(14)
    none.record(draft(at, "test", "test", {}, (put("job", forgotten.id, forgotten),)))
    alike = improving.assess(none, champion, baseline(np.random.default_rng(34), 0.0), days("u", [0.2] * 29, 0), ())
    assert (found.gain == alike.gain) is void


TRIALS = [{"parameters": {"C": 0.1 * number}, "log_loss": 0.5} for number in range(5)]


@pytest.mark.parametrize(
    ("asked", "trials", "minutes"),
    [
        (None, [], 2 * 3.0 + 2 * 3.0),  # two entrants, and the winner twice more: without the holdout, and on all rows
        (None, TRIALS, 2 * 0.5 + 2 * 0.5),  # parameters are not sought anew
        (["recalibrate", "all", "since", "recent"], TRIALS, 3 * 0.5 + 2 * 0.5),
        (["all", "retune"], TRIALS, 0.5 + 3.0 + 2 * 3.0),
        (["recalibrate"], [], 2 * 3.0 + 2 * 3.0),
    ],
)
def test_what_training_costs_is_known_before_the_first_tournament(asked, trials, minutes):
    """From the job of the first version: three minutes."""
    trained = StepResult(step="train", key="k", values={"trials": trials}, seconds=180.0)
    executor = MemoryExecutor(lambda _request, _report: (trained,))
    do = {"action": "improve"} if asked is None else {"action": "improve", "entrants": asked}
    tuning = {"tuning": {"trials": 5, "space": {"C": [0.1, 1.0]}}} if trials else {}

    def assessed(price, first=JobStatus.REGISTERED):
        more = {
            "cost": {"error": 1.0, "training_minute": price}, "policies": [{"name": "better", "when": "improvement.worthwhile", "do": do}],
            "train": {**SPEC["train"], **tuning},
        }  # fmt: skip
        world, champion = trained_at(14, executor, **more)
        job = Job(id="j-0001", model="m", status=first, requested_at=START, as_of=START, cause="user:me", version=1, unit="u")
        world.record(draft(START, "test", "test", {}, (put("job", job.id, job),)))
        executor.launch(StepRequest(job, world.spec, Path(), Path(), None))
        return improving.assess(world, champion, baseline(np.random.default_rng(34), 0.0), days("u", [0.2] * 120, 0), ())

    free, dear = assessed(0.0), assessed(1e6)
    assert dear.cost - free.cost == pytest.approx(minutes * 1e6)
    assert (free.act, dear.act, dear.reason) == (True, False, "not_worth_it")
    executor.set_aside("j-0001")
    assert assessed(1e6, JobStatus.FAILED).act, "of a job that came to no version nothing is known"


def days(unit, losses, first):
    return [
        WindowSummary(
            model="m", unit=unit, start=START + k * DAY, end=START + (k + 1) * DAY, predictions=100, labels=100, mature=True,
            loss=RowLosses(mean=loss, spread=0.1, n=100),
        )
        for k, loss in enumerate(losses, first)
    ]  # fmt: skip


def test_a_change_that_the_champion_before_had_to_answer_through_is_not_how_its_windows_differ():
    """It changed on day 6, was seen when that day's labels came, two days later, and the release took three days more."""
    world, champion = trained_at(8)
    opened = START + 9 * DAY
    release = ReleaseState(
        id="r-0001",
        model="m",
        challenger="u",
        champion="w",
        phase=Phase.SETTLED,
        opened_at=opened,
        entered_at=opened,
        job="j-0002",
    )
    windows = [*days("w", [0.2, 0.21, 0.2, 0.19, 0.2, 0.21, *[0.6] * 6], 0), *days("u", [0.2], 12)]
    moved = msgspec.structs.replace(champion, since=START + 12 * DAY)
    assert improving._tenures(world, moved, [], 2 * DAY) == []
    assert len(improving._tenures(world, moved, windows, 2 * DAY)[0]) == 12 - 2
    world.record(draft(opened, "test", "test", {}, (put("release", release.id, release),)))
    assert improving._tenures(world, moved, windows, 2 * DAY) == [[0.2, 0.21, 0.2, 0.19, 0.2, 0.21]]
    assert worth.differing(improving._tenures(world, moved, windows, 2 * DAY)).spread < 0.05
    assert worth.differing([[each.loss.mean for each in windows[:12]]]).spread > 0.1


def test_a_release_that_opens_and_ends_within_one_window_is_the_one_that_chose():
    """v answered, then w for a month, then v again after a rollback of some hours: what w did is known up to that."""
    world, champion = trained_at(8)
    opened = {"r-0001": ("v", 0.0), "r-0002": ("w", 30.0), "r-0003": ("v", 60.125)}
    for name, (unit, day) in opened.items():
        at = START + day * DAY
        release = ReleaseState(
            id=name, model="m", challenger=unit, champion=None, phase=Phase.SETTLED, opened_at=at, entered_at=at
        )  # fmt: skip
        world.record(draft(at, "test", "test", {}, (put("release", name, release),)))
    windows = [*days("v", [0.2] * 30, 0), *days("w", [0.2] * 30, 30), *days("v", [0.2], 60), *days("u", [0.2], 61)]
    assert [len(each) for each in improving._tenures(world, champion, windows, 0 * DAY)] == [30, 30, 1]


def test_an_earlier_unit_that_comes_back_is_measured_by_what_it_answers_since_and_the_one_between_by_how_its_windows_differ():
    """u did well, then badly, w took over, the world changed once more, and u came back: badly, though not as badly as before it was replaced."""
    world, champion = trained_at(8)
    windows = [
        *days("u", [*[0.2] * 4, *[0.7] * 6], 0),
        *days("w", [0.2, 0.21, 0.2, 0.19, 0.2, 0.6], 10),
        *days("u", [0.4] * 4, 16),
    ]
    back = msgspec.structs.replace(champion, since=START + 16 * DAY)
    assert [window.start for window in improving._term(world, back, windows)] == [START + day * DAY for day in range(16, 20)]
    assert [len(each) for each in improving._tenures(world, back, windows, 0 * DAY)] == [10, 6]
    found = improving.assess(world, back, baseline(np.random.default_rng(35), 0.0), windows, ())
    assert (found.reason, found.since) == ("harm", START + 16 * DAY)


def test_another_map_over_the_same_model_does_not_begin_its_windows_anew():
    world, champion = trained_at(8)
    mapped = msgspec.structs.replace(world.get("unit", "u", Unit), id="u+1", policy_digest="q")
    world.record(draft(START, "test", "test", {}, (put("unit", mapped.id, mapped),)))
    windows = [*days("w", [0.2] * 3, 0), *days("u", [0.2] * 4, 3), *days("u+1", [0.2] * 2, 7)]
    now = msgspec.structs.replace(champion, unit="u+1", since=START + 7 * DAY)
    assert len(improving._term(world, now, windows)) == 6
    assert [len(each) for each in improving._tenures(world, now, windows, 0 * DAY)] == [3]


@pytest.mark.parametrize(("answered", "promised"), [(100, 1.0), (400, 4.0), (5000, 50.0)])
def test_rows_without_labels_are_answers_that_a_tournament_is_worth_holding_for(answered, promised):
    """100 labels a day, of so many answers: what is expected to be gained and what it costs is that many times as much."""
    world, champion = trained_at(14)
    known = baseline(np.random.default_rng(34), 0.0)
    lived = [msgspec.structs.replace(day, predictions=answered) for day in days("u", [0.1] * 29, 0)]
    found = improving.assess(world, champion, known, lived, ())
    labelled = improving.assess(world, champion, known, days("u", [0.1] * 29, 0), ())
    assert found.value == pytest.approx(promised * labelled.value)
    assert (found.gain, found.growth) == (labelled.gain, labelled.growth)


def test_how_many_answers_get_a_label_is_told_by_the_newest_windows():
    old = [msgspec.structs.replace(day, predictions=5000) for day in days("u", [0.1] * 20, 0)]
    assert improving._answers_per_label([*old, *days("u", [0.1] * 7, 20)]) == 1.0
    assert improving._answers_per_label(old) == 50.0
    assert improving._answers_per_label([]) == 1.0


def test_labels_of_a_canarys_answers_count_as_its_answers_do():
    half = [msgspec.structs.replace(day, loss=RowLosses(mean=0.1, spread=0.1, n=50)) for day in days("u", [0.1] * 7, 0)]
    assert improving._answers_per_label(half) == 1.0


def test_what_champions_before_answered_is_told_version_by_version_and_a_rise_under_them_stands():
    """It rose on day 9; who took over on day 11 is better than that and far from what was normal."""
    world, champion = trained_at(8)
    windows = [*days("w", [0.1, 0.11, 0.1, 0.09, 0.1, 0.1, 0.11, 0.1, 0.09, 0.5, 0.5], 0), *days("u", [0.3, 0.3, 0.31], 11)]
    moved = msgspec.structs.replace(champion, since=START + 11 * DAY)
    (before,) = improving._answered_before(world, moved, windows)
    assert [each.loss for each in before][-2:] == [0.5, 0.5]
    assert len(before) == 11
    unknown = msgspec.structs.replace(baseline(np.random.default_rng(34), 0.0), n=0)
    found = improving.assess(world, moved, unknown, windows, ())
    assert found.since == START + 9 * DAY
    assert found.excess == pytest.approx(2.0, abs=0.1)


def test_losses_of_numbers_are_held_against_those_of_champions_before_in_one_scale():
    """A scale of 4 beside 8: the same errors are twice the loss to whoever learned from the newer labels."""
    windows = [*days("w", [0.1, 0.12], 0), *days("u", [0.2, 0.22], 2), *days("gone", [0.2], 4)]
    seen = improving.comparable(windows, "u", {"w": 8.0, "u": 4.0}.get)
    assert [round(each.loss.mean, 4) for each in seen] == [0.2, 0.24, 0.2, 0.22, 0.2]
    assert [round(each.loss.spread, 4) for each in seen] == [0.2, 0.2, 0.1, 0.1, 0.1]
    assert [each.loss.n for each in seen] == [100] * 5
    assert improving.comparable(windows, "gone", {"w": 8.0, "u": 4.0}.get) == windows
