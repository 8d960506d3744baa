"""What is learned of a label delay, by simulation with fixed seeds."""

import msgspec
import numpy as np
import pytest
from labelled_late import DAY, HOUR, NEVER, STRATA, Late, lived
from monitored_world import watched

from flyball.monitoring.delays import Delays, age_at, duration, learn, place_of, strata_of, together
from flyball.records import codec
from flyball.stats.age_grid import EDGES_US, AgeCounts, merge
from flyball.stats.label_strata import LabelStrata

NOW = 60 * DAY


def learned(late, now_us=NOW, strata=STRATA):
    return learn(late.counts(now_us, strata), now_us)


def of(delays, label, score=-1):
    return next(part.curve for part in delays.parts if (part.label, part.score) == (label, score))


def at(curve, age_us, delays):
    return curve[int(place_of(age_us, delays))]


def exponential(days, place):
    return 1.0 - np.exp(-EDGES_US[place] / DAY / days)


def test_the_delay_is_learned_though_the_young_have_few_labels():
    late = lived(np.random.default_rng(1), mean_days=4.0)
    delays = learned(late)
    for days in (1, 4, 12):
        place = int(place_of(days * DAY, delays))
        assert delays.come.lower[place] - 0.005 <= exponential(4.0, place) <= delays.come.upper[place] + 0.005
    assert delays.ever == pytest.approx(1.0, abs=0.005)
    assert (late.received_us <= NOW).mean() < 0.95  # what a bare count says


def test_labels_that_never_come_are_a_plateau():
    delays = learned(lived(np.random.default_rng(2), mean_days=1.0, ever=0.7))
    assert delays.ever == pytest.approx(0.7, abs=0.02)
    assert delays.tail < 0.01
    assert "have none by then" in delays.words
    assert of(delays, 0).share[-1] == 1.0  # of those that come, all have


def test_each_class_has_its_own_delay_though_the_unlabelled_have_no_class():
    delays = learned(lived(np.random.default_rng(3), mean_days=lambda _, y, __: np.where(y == 1, 6.0, 1.0)))
    for label, days in ((0, 1.0), (1, 6.0)):
        for age in (1, 3, 9):
            place = int(place_of(age * DAY, delays))
            assert of(delays, label).share[place] == pytest.approx(exponential(days, place), abs=0.04)


def test_what_the_model_got_wrong_may_come_later_and_is_told_apart():
    delays = learned(lived(np.random.default_rng(4), mean_days=lambda s, y, _: np.where((s >= 0.5) == (y == 1), 1.0, 6.0)))
    right, wrong = of(delays, 1, 2), of(delays, 1, 0)
    assert at(right.share, 2 * DAY, delays) > at(wrong.share, 2 * DAY, delays) + 0.3


@pytest.mark.parametrize(("mean_days", "batch"), [(2.0, 0), (1.0, DAY)])
def test_the_intervals_cover_as_often_as_they_claim(mean_days, batch):
    rng, missed, looks = np.random.default_rng(5), 0, 0
    for _ in range(60):
        late = lived(rng, days=40, a_day=120, mean_days=mean_days, ever=0.8, batch_us=batch)
        delays = learned(late, 40 * DAY)
        truth = lived(rng, days=200, a_day=200, mean_days=mean_days, ever=0.8, batch_us=batch)
        delay = truth.received_us - truth.at_us
        for age in (DAY, 2 * DAY, 5 * DAY):
            place = int(place_of(age, delays))
            looks += 1
            missed += not delays.come.lower[place] - 0.005 <= (delay < EDGES_US[place]).mean() <= delays.come.upper[place] + 0.005
    # three standard errors of 60 independent draws above the claim (looks of one draw go together)
    assert missed / looks <= 0.05 + 3 * (0.05 * 0.95 / 60) ** 0.5


def test_an_unchanged_delay_is_rarely_called_changed_and_a_slower_one_is():
    rng = np.random.default_rng(6)
    called = sum(learned(lived(rng, days=40, a_day=100, batch_us=DAY), 40 * DAY).changed for _ in range(100))
    assert called <= 1 + 3  # 1 % of 100, and three standard errors
    slower = lived(rng, days=60, a_day=200, mean_days=lambda _, __, t: np.where(t > 40 * DAY, 4.0, 1.0))
    delays = learned(slower)
    assert delays.changed
    assert "otherwise than those of earlier ones" in delays.words


def test_a_changed_delay_is_learned_from_the_recent_as_far_as_they_are_old_enough():
    late = lived(np.random.default_rng(7), days=60, a_day=300, mean_days=lambda _, __, t: np.where(t > 40 * DAY, 4.0, 1.0))
    delays = learned(late)
    place = int(place_of(2 * DAY, delays))
    assert delays.come.share[place] == pytest.approx(exponential(4.0, place), abs=0.06)  # 0.83 before


def test_where_labels_stop_what_came_before_is_what_is_known():
    late = lived(np.random.default_rng(9), days=60, a_day=300, mean_days=lambda _, __, t: np.where(t > 35 * DAY, 1e6, 1.0))
    delays = learned(late)
    assert delays.changed
    assert "of recent predictions hardly a label has come" in delays.words
    assert of(delays, -1).share[-1] == 1.0


def test_labels_that_come_in_batches_make_rows_alike_and_intervals_wider():
    rng = np.random.default_rng(8)

    def weekly(scores, labels, at):
        return np.where((at // DAY) % 7 < 2, 4.0, 0.5)

    alone, together = (learned(lived(rng, mean_days=mean)) for mean in (1.5, weekly))
    assert together.correlation > 10 * alone.correlation + 0.001


def test_counts_of_two_halves_teach_the_same_as_all():
    late = lived(np.random.default_rng(9))
    odd = np.arange(late.at_us.size) % 2 == 1
    halves = [Late(*(part[mine] for part in late)).counts(NOW) for mine in (odd, ~odd)]
    assert learn(merge(*halves), NOW) == learned(late)


@pytest.mark.parametrize(("days", "most"), [(12, 12 * 24), (60, 200)])
def test_cohorts_that_were_added_up_teach_the_same(days, most):
    now = days * DAY + HOUR // 2
    counts = lived(np.random.default_rng(14), days=days).counts(now)
    group = together(counts.start_us, now)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    added = AgeCounts(counts.start_us[first], *(np.add.reduceat(of, first, axis=0) for of in counts[1:]))
    assert first.size <= most
    assert learn(added, now) == learn(counts, now)


def test_the_same_counts_give_the_same_bytes_and_few_of_them():
    delays = learned(lived(np.random.default_rng(10)))
    encoded = codec.encode(delays)
    assert codec.decode(encoded, Delays) == delays
    assert codec.encode(learned(lived(np.random.default_rng(10)))) == encoded
    assert len(encoded) < 40_000


@pytest.mark.parametrize("received", [NEVER, 59 * DAY])
def test_without_labels_or_with_too_few_nothing_is_claimed(received):
    late = Late(np.arange(40) * DAY, np.full(40, received), np.full((40, 1), 0.2), np.zeros(40))
    delays = learned(late)
    assert delays.reach == 0
    assert age_at(delays, 0.5) is None
    assert "too few" in delays.words


def test_no_rows_at_all_are_nothing_known():
    empty = Late(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros((0, 1)), np.zeros(0))
    assert learned(empty).reach == 0


def test_ages_are_told_in_the_unit_that_fits():
    assert [duration(age) for age in (90_000_000, 5 * HOUR, 3 * DAY)] == ["1.5 minutes", "5 hours", "3 days"]


def test_numbers_have_strata_by_their_size():
    strata = LabelStrata("regression", score_bounds=(0.5,), label_bounds=(0.5,))
    late = lived(np.random.default_rng(11), mean_days=lambda _, y, __: np.where(y == 1, 6.0, 1.0))
    delays = learned(late, strata=strata)
    assert at(of(delays, 0).share, 2 * DAY, delays) > at(of(delays, 1).share, 2 * DAY, delays) + 0.4


def test_strata_are_quarters_of_the_reference_and_tell_right_from_wrong():
    reference = watched(np.random.default_rng(12), days=10, n=100)
    strata = strata_of(reference)
    assert strata.n_labels == 2
    assert 0.5 in strata.score_bounds
    assert 3 <= len(strata.score_bounds) <= 4
    assert strata_of(msgspec.structs.replace(reference, task="multiclass", classes=("a", "b", "c"))).n_labels == 3
    numbers = strata_of(msgspec.structs.replace(reference, task="regression", classes=()))
    assert numbers.label_bounds == numbers.score_bounds
    assert strata_of(msgspec.structs.replace(reference, streams=())).score_bounds == (0.5,)
