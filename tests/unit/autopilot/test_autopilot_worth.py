from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from flyball.autopilot.tournament import PastTournament, Standing
from flyball.autopilot.worth import (
    HARM_ALPHA,
    LEAST_RISK,
    CostPolicy,
    JudgedWindow,
    Worth,
    WorthSituation,
    assess,
    differing,
    rise_of,
    unexplained,
)

DAY = datetime(2026, 1, 1, tzinfo=UTC)
FREE = CostPolicy()


def windows(losses: list[float], rows: int = 400, spread: float = 0.2) -> tuple[JudgedWindow, ...]:
    return tuple(
        JudgedWindow(start=DAY + timedelta(days=k), rows=rows, loss=loss, spread=spread) for k, loss in enumerate(losses)
    )


def held(
    relative: float, *, growth: float = 1.0, excess: float = 0.0, day: int = 0, rows_since_change: int = 0
) -> PastTournament:
    standing = Standing(
        entrant="all", estimate=relative * 0.2, lower=-1.0, upper=1.0, alpha=0.1, relative=relative, windows=1, rows=400
    )
    winner = "all" if relative > 0.0 else None
    return PastTournament(
        at=DAY + timedelta(days=day), kind=None, growth=growth, excess=excess, standings=(standing,), winner=winner,
        rows_since_change=rows_since_change,
    )  # fmt: skip


STILL, MOVING = [0.2] * 10, [0.2, 0.3] * 5
"""Windows that differ by no more than their rows do, and by far more."""


def asked(losses: list[float], doublings: float, *past: PastTournament, cost: CostPolicy = FREE, minutes: float = 0.0) -> Worth:
    rows = round(5_000 * 2**doublings)
    situation = WorthSituation(windows=windows(losses), rows=rows, trained_rows=5_000, past=past, training_minutes=minutes)
    return assess(situation, cost)


def first(losses: list[float], *past: PastTournament) -> float:
    """Doublings at which it first acts; 6: not before."""
    return next((tenths / 10 for tenths in range(1, 60) if asked(losses, tenths / 10, *past).act), 6.0)


def test_a_moving_world_is_worth_a_try_with_a_quarter_more_rows_and_a_still_one_with_more_than_twice_as_many():
    assert first(MOVING) == 0.4
    assert first(STILL) in {1.2, 1.3}  # RISK lies on the edge
    assert asked(STILL, 1.3).reason == "growth"
    assert asked(STILL, 0.14).reason == "too_soon"


def test_windows_differ_by_their_rows_alone_or_by_more():
    draw = np.random.default_rng(2)
    shares = [unexplained(windows((0.2 + draw.normal(0.0, 0.2 / np.sqrt(400), 12)).tolist())) for _ in range(200)]
    assert np.mean(shares) < 0.2
    assert unexplained(windows(MOVING)) > 0.9
    assert unexplained(windows([0.1, 0.9])) == 0.0


def test_a_tournament_that_nobody_won_puts_the_next_one_off_and_one_that_paid_brings_it_forward():
    assert first(STILL, held(0.2)) < first(STILL) < first(STILL, held(-0.1))
    assert first(MOVING, held(0.2)) < first(MOVING) < first(MOVING, held(-0.1)) < first(MOVING, held(-0.1), held(-0.1))


def test_a_tournament_that_measured_badly_teaches_little():
    noisy = msgspec.structs.replace(held(-0.1), standings=(msgspec.structs.replace(held(-0.1).standings[0], error=0.3),))
    assert first(MOVING) <= first(MOVING, noisy) < first(MOVING, held(-0.1))


@pytest.mark.parametrize("realised", [None, 0.3])
def test_what_a_map_gave_is_no_gain_of_training(realised):
    lost = held(-0.1)
    mapped = msgspec.structs.replace(lost.standings[0], entrant="recalibrate", relative=0.3)
    won = msgspec.structs.replace(lost, standings=(*lost.standings, mapped), winner="recalibrate", realised=realised)
    assert first(MOVING, won) == first(MOVING, lost)


def test_what_a_winner_really_gave_counts_rather_than_what_was_promised():
    promised = held(0.2)
    assert first(STILL, promised) < first(STILL, msgspec.structs.replace(promised, realised=0.0))


def test_history_that_grows_tenfold_allows_seventeen_trainings_at_most():
    past, rows, trained, trainings = [held(0.9)], 1_000, 1_000, 0
    while rows < 10_000:
        rows += 10
        situation = WorthSituation(windows=windows([0.5] * 10), rows=rows, trained_rows=trained, past=tuple(past))
        if assess(situation, FREE).act:
            past, trained, trainings = [*past, held(0.9, day=trainings)], rows, trainings + 1
    assert 12 <= trainings <= 17


def test_training_that_costs_more_than_it_saves_is_left_alone():
    dear = CostPolicy(error=1.0, training_minute=1.0)
    assert asked(MOVING, 1.0, cost=dear, minutes=10.0).act
    assert not asked(MOVING, 1.0, cost=dear, minutes=100.0).act
    assert asked(MOVING, 1.0, cost=CostPolicy(error=10.0, training_minute=1.0), minutes=100.0).act


def test_after_a_change_rows_must_grow_by_more():
    def at(*, since_change):
        past = (held(0.5),)
        return assess(
            WorthSituation(windows=windows(STILL), rows=1_300, trained_rows=1_000, since_change=since_change, past=past), FREE
        )

    assert at(since_change=False).act
    assert at(since_change=True).reason == "too_soon"


def test_a_model_that_hardly_errs_is_not_trained_for_ever():
    perfect = windows([0.003] * 10, spread=0.01)
    assert not assess(WorthSituation(windows=perfect, rows=20_000, trained_rows=5_000, past=(held(0.2),)), FREE).act


def test_a_rise_is_a_reason_before_there_are_more_rows():
    situation = WorthSituation(windows=windows([0.2, 0.21, 0.19, 0.2, 0.2, 0.3, 0.31]), rows=5_800, trained_rows=5_000)
    found = assess(situation, FREE)
    assert (found.act, found.reason) == (True, "harm")
    assert found.since == DAY + timedelta(days=5)
    assert 0.45 < found.excess < 0.6
    assert "the loss is up by" in found.words


def test_a_rise_that_a_tournament_could_not_lower_is_normal_until_there_are_twice_the_rows_of_it():
    losses = [0.2, 0.21, 0.19, 0.2, 0.2, 0.3, 0.31]
    past = (held(-0.05, growth=0.2, excess=0.5, day=7, rows_since_change=800),)
    tried = WorthSituation(windows=windows(losses), rows=5_800, trained_rows=5_700, past=past)
    assert not assess(tried, FREE).act
    longer = WorthSituation(windows=windows([*losses, 0.3, 0.31]), rows=6_600, trained_rows=5_700, past=past)
    assert assess(longer, FREE).reason == "harm"


@pytest.mark.parametrize(
    ("became", "normal"),
    [
        ({}, False),
        ({"in_vain": True}, True),
        ({"realised": -0.01}, True),
        ({"realised": 0.2}, False),
        ({"winner": "rethreshold"}, True),
    ],
)
def test_a_winner_that_came_to_nothing_has_lowered_nothing(became: dict, normal: bool):
    """One whose release goes on, or was not measured yet, may still."""
    losses = [0.2, 0.205, 0.195, 0.2, 0.21, 0.19, 0.2, 0.2, 0.3, 0.3]
    won = msgspec.structs.replace(held(0.16, growth=0.1, excess=0.5, day=9, rows_since_change=800), **became)
    found = assess(WorthSituation(windows=windows(losses), rows=9_000, trained_rows=9_000, past=(won,)), FREE)
    assert (found.act, found.reason) == ((False, "too_soon") if normal else (True, "harm"))


def test_what_a_winner_promised_that_came_to_nothing_is_no_gain_of_training():
    in_vain = msgspec.structs.replace(held(0.2), in_vain=True)
    assert first(MOVING, in_vain) == first(MOVING, held(-0.1))


def test_nothing_is_learned_while_a_data_fault_stands():
    situation = WorthSituation(windows=windows([0.2] * 5 + [0.5]), rows=50_000, trained_rows=5_000, fault=True)
    assert (assess(situation, FREE).act, assess(situation, FREE).reason) == (False, "fault")


def test_without_a_mature_window_nothing_is_said():
    assert assess(WorthSituation(windows=(), rows=50_000, trained_rows=5_000), FREE).reason == "no_windows"


@pytest.mark.parametrize(("day", "rows"), [(0.0, 400), (0.03, 400), (0.03, 5_000)])
@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 12])
def test_windows_that_did_not_change_are_called_worse_no_more_often_than_stated(day, rows, count):
    draw, wrong, looks = np.random.default_rng([4, int(100 * day), rows, count]), 0, 600
    for _ in range(looks):
        losses = 0.2 + draw.normal(0.0, np.hypot(day, 0.2 / np.sqrt(rows)), count)
        wrong += rise_of(windows(np.clip(losses, 0.01, 1.0).tolist(), rows)).excess > 0.0
    assert wrong <= looks * HARM_ALPHA + 2.0 * np.sqrt(looks * HARM_ALPHA)


@pytest.mark.parametrize(("tenures", "length"), [(2, 4), (6, 2), (4, 6)])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_how_windows_of_champions_before_differed_keeps_the_stated_rate(tenures, length, count):
    draw, wrong, looks = np.random.default_rng([8, tenures, count]), 0, 600
    for _ in range(looks):
        past = differing((0.2 + draw.normal(0.0, 0.03, (tenures, length))).tolist())
        wrong += rise_of(windows(np.clip(0.2 + draw.normal(0.0, 0.03, count), 0.01, 1.0).tolist(), 5_000), past).excess > 0.0
    assert wrong <= looks * HARM_ALPHA + 2.0 * np.sqrt(looks * HARM_ALPHA)


def test_a_weekend_is_no_rise_where_champions_before_have_seen_some():
    def weeks(days: int, first: int) -> list[float]:
        return [0.36 if (first + day) % 7 >= 5 else 0.3 for day in range(days)]

    luck = np.array([0.0, 0.004, -0.003, 0.002, -0.004, 0.001, 0.0])
    saturday = windows((np.array(weeks(7, 6)) + luck).tolist(), 5_000)
    friday = windows((np.array(weeks(6, 0)) + luck[1:]).tolist(), 5_000)
    before = differing([weeks(20, first) for first in range(7)])
    assert (rise_of(saturday, before).excess, rise_of(friday, before).excess) == (0.0, 0.0)


def test_harm_that_comes_right_after_a_training_is_seen_by_what_champions_before_tell():
    past = differing([[0.2, 0.22, 0.19, 0.21, 0.2, 0.21, 0.22, 0.2, 0.6, 0.58]])
    soon = windows([0.2, 0.21, 0.6], 5_000)
    assert (rise_of(soon).excess, rise_of(soon, past).since) == (0.0, DAY + timedelta(days=2))


def test_windows_that_all_begin_at_once_as_those_of_a_holdout_do_are_told_apart():
    together = tuple(msgspec.structs.replace(each, start=DAY) for each in windows([0.2, 0.21, 0.19, 0.2, 0.21, 0.9, 0.9], 5_000))
    assert rise_of(together).rows == 10_000


@pytest.mark.parametrize("lasted", [1, 2, 3, 5])
def test_a_rise_that_was_seen_is_no_more_normal_while_it_lasts(lasted):
    """Two windows of its own are normal; whoever cannot learn from the first risen one alone asks again at the second."""
    past = differing([[0.2, 0.21, 0.19, 0.2], [0.2, 0.19, 0.21, 0.2]])
    found = rise_of(windows([0.2, 0.21, *[0.5] * lasted]), past)
    assert (found.since, found.rows) == (DAY + timedelta(days=2), 400 * lasted)
    assert rise_of(windows([0.2, 0.21, 0.5, *[0.2] * 4]), past).since is None


def test_a_rise_by_half_is_seen_in_its_first_window():
    draw, seen = np.random.default_rng(6), 0
    for _ in range(100):
        losses = 0.2 + draw.normal(0.0, 0.02, 9)
        losses[-1] += 0.1
        seen += rise_of(windows(losses.tolist())).since == DAY + timedelta(days=8)
    assert seen >= 65


def test_a_rise_over_windows_that_never_differed_at_all_is_one():
    found = rise_of(windows([0.25] * 6 + [0.5], spread=0.0))
    assert found.since == DAY + timedelta(days=6)
    assert rise_of(windows([0.25] * 7, spread=0.0)).since is None


def test_a_rise_of_a_model_that_never_erred_is_one_and_is_worth_what_it_costs():
    found = rise_of(windows([0.0] * 6 + [0.2]))
    assert found.since == DAY + timedelta(days=6)
    assert assess(WorthSituation(windows=windows([0.0] * 6 + [0.2]), rows=5_800, trained_rows=5_000), FREE).reason == "harm"
    one_error = (*windows([0.0] * 6, spread=0.0), JudgedWindow(start=DAY, rows=400, loss=1 / 400, spread=0.05))
    assert rise_of(one_error).since is None
    assert rise_of(windows([0.0] * 7, spread=0.0)).since is None


@pytest.mark.parametrize("level", [LEAST_RISK, 0.003, 0.07, 0.2, 0.61])
def test_a_rise_is_told_relative_to_the_loss_before_it(level):
    draw = np.random.default_rng(8)
    losses = [*(level * (1.0 + draw.normal(0.0, 0.01, 8))), 1.5 * level]
    before = np.mean(losses[:-1])
    found = rise_of(windows(losses, spread=level / 10.0))
    assert found.excess == pytest.approx(losses[-1] / before - 1.0, rel=0.02)


def test_a_gain_counts_for_answers_that_never_get_a_label_too():
    """The same 100,000 answers a day and the same costs of training: all of them labelled, or one in fifty."""
    price = CostPolicy(error=1.0, training_minute=20.0)

    def at(rows: int, answers_per_label: float) -> Worth:
        seen = windows([0.2, 0.201, 0.202] * 4 + [0.3, 0.3], rows=rows)
        situation = WorthSituation(
            windows=seen, rows=20 * rows, trained_rows=15 * rows, training_minutes=60.0, answers_per_label=answers_per_label
        )
        return assess(situation, price)

    every, some = at(100_000, 1.0), at(2_000, 50.0)
    assert (some.act, some.reason) == (every.act, every.reason) == (True, "harm")
    assert some.value == pytest.approx(every.value, rel=0.01)
    assert not at(2_000, 1.0).act


def test_a_fall_of_the_loss_is_no_rise():
    assert rise_of(windows([0.3] * 6 + [0.1])).since is None


def followed(before: list[float], own: list[float], past: tuple[PastTournament, ...] = (), spread: float = 0.02) -> Worth:
    """A champion whose windows come after those of another one."""
    all_of_them = windows([*before, *own], spread=spread)
    tenures = (all_of_them[: len(before)],)
    situation = WorthSituation(
        windows=all_of_them[len(before) :], answered=len(own), tenures=tenures, rows=5_800, trained_rows=5_000, past=past
    )
    return assess(situation, FREE)


NINE_DAYS, CHANGED = [0.1, 0.11, 0.1, 0.09, 0.1, 0.1, 0.11, 0.1, 0.09], [0.5, 0.5]


def test_a_rise_under_the_champion_before_stands_while_who_came_after_is_above_what_was_normal():
    """An earlier unit came back, which is better than who was there and far from good; beside its own windows it does as ever."""
    found = followed([*NINE_DAYS, *CHANGED], [0.3, 0.3, 0.31])
    assert found.since == DAY + timedelta(days=9)
    assert found.excess == pytest.approx(2.0, abs=0.1)
    assert found.rows_since == 5 * 400
    assert found.reason == "harm"


@pytest.mark.parametrize(
    ("before", "own"),
    [
        pytest.param([*NINE_DAYS, *CHANGED], [0.1, 0.11, 0.1], id="undone"),
        pytest.param(NINE_DAYS, [0.3, 0.3, 0.31], id="never risen under the one before"),
        pytest.param([*NINE_DAYS, *CHANGED], [0.3, 0.31] * 9, id="long ago"),
        pytest.param([*NINE_DAYS, *CHANGED], [], id="nothing answered yet"),
    ],
)
def test_who_came_after_a_rise_is_no_worse_than_it_was(before: list[float], own: list[float]) -> None:
    found = followed(before, own or [])
    assert found.since is None


def test_a_rise_that_a_tournament_under_the_next_champion_could_not_lower_is_normal_then():
    tried = held(-0.1, excess=2.0, day=12, rows_since_change=1_200)
    assert followed([*NINE_DAYS, *CHANGED], [0.3, 0.3], past=(tried,)).excess == 0.0


def test_champions_before_bring_no_more_false_rises():
    """2,000 still worlds: the rate of a look, simulated."""
    draw, own_alone, with_before = np.random.default_rng(8), 0, 0
    for _ in range(2_000):
        losses = draw.normal(0.2, 0.02, 14)
        before, own = losses[:10].tolist(), losses[10:].tolist()
        own_alone += followed([], own).since is not None
        with_before += followed(before, own).since is not None
    assert with_before - own_alone <= HARM_ALPHA / 2 * 2_000


def test_what_a_person_has_taken_as_normal_is_no_rise_whoever_answered_it() -> None:
    all_of_them = windows([*NINE_DAYS, *CHANGED, 0.3, 0.3, 0.31, 0.3], spread=0.02)
    for count in (0, 4):  # one champion, or one after another
        own = all_of_them[len(all_of_them) - count :] if count else all_of_them
        tenures = (all_of_them[: len(all_of_them) - count],) if count else ()
        asked = WorthSituation(windows=own, answered=len(own), tenures=tenures, rows=5_800, trained_rows=5_000)
        assert assess(asked, FREE).excess > 1.0
        accepted = msgspec.structs.replace(asked, normal_since=DAY + timedelta(days=9))
        assert assess(accepted, FREE).excess == 0.0
    again = windows([*NINE_DAYS, *[0.3, 0.31, 0.3, 0.29, 0.3, 0.31, 0.3], 0.6, 0.6], spread=0.02)
    risen = WorthSituation(
        windows=again, answered=len(again), rows=5_800, trained_rows=5_000, normal_since=DAY + timedelta(days=9)
    )
    assert assess(risen, FREE).since == DAY + timedelta(days=16)


def test_a_rise_that_a_champion_between_has_undone_does_not_come_back_with_the_next_one() -> None:
    between = [0.1, 0.11, 0.1, 0.09] * 2
    all_of_them = windows([*NINE_DAYS, *CHANGED, *between, 0.13, 0.13], spread=0.02)
    tenures = (all_of_them[:11], all_of_them[11:19])
    asked = WorthSituation(windows=all_of_them[19:], answered=2, tenures=tenures, rows=5_800, trained_rows=5_000)
    assert assess(asked, FREE).since is None
    short = (*tenures[:1], all_of_them[11:12])  # one good window of somebody may be chance
    worse = windows([*NINE_DAYS, *CHANGED, 0.1, 0.3, 0.31], spread=0.02)
    asked = WorthSituation(windows=worse[12:], answered=2, tenures=(worse[:11], short[1]), rows=5_800, trained_rows=5_000)
    assert assess(asked, FREE).since == DAY + timedelta(days=9)
