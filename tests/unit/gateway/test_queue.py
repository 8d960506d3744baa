"""Claims about the queue of one model: first come first served, bounded by the time that waits, not by a number."""

from itertools import pairwise

import pytest

from flyball.errors import Overloaded
from flyball.gateway.batches import Job
from flyball.gateway.deaths import Deaths
from flyball.gateway.queueing import MAX_BATCH_ROWS, MAX_QUEUED_ROWS, MAX_WAITING_REQUESTS, REFUSING, STANDING_SECONDS, Queue
from flyball.gateway.validation import Rows


def job(n=1, until=None):
    return Job(Rows(n, {}, None, None, [()] * n), None, until, None)


def test_jobs_come_out_as_they_came_and_a_large_one_alone():
    queue = Queue("shop")
    jobs = [job(3), job(4), job(500), job(1)]
    for each in jobs:
        queue.admit(each, 0.0)
    assert queue.take(10) == jobs[:2]
    assert queue.take(10) == jobs[2:3]
    assert queue.rows == 1
    assert queue.take(10) == jobs[3:]
    assert queue.take(10) == []
    assert queue.rows == 0


def test_a_request_that_would_wait_too_long_is_refused_with_when_to_come_again():
    queue = Queue("shop")
    queue.learn(1, 0.3)
    for _ in range(4):
        queue.admit(job(), 0.0)
    with pytest.raises(Overloaded, match="4 rows wait for shop") as caught:
        queue.admit(job(), 0.0)
    assert caught.value.http_status == 429
    assert caught.value.retry_after == 2
    assert queue.rows == 4


def test_a_request_with_a_short_deadline_is_refused_earlier_and_one_that_finds_nobody_waiting_never():
    queue = Queue("shop")
    queue.learn(1, 0.3)
    queue.admit(job(until=100.01), 100.0)
    with pytest.raises(Overloaded):
        queue.admit(job(until=100.2), 100.0)
    queue.admit(job(until=100.4), 100.0)


def test_rows_that_wait_are_bounded_whatever_the_estimate_says():
    queue = Queue("shop")
    queue.admit(job(MAX_QUEUED_ROWS), 0.0)
    with pytest.raises(Overloaded):
        queue.admit(job(1), 0.0)


def test_a_queue_that_goes_on_from_another_knows_how_slow_its_rows_are_and_counts_those_that_wait_there():
    first, second, third = Queue("shop"), Queue("shop"), Queue("shop")
    first.learn(1, 0.3)
    for _ in range(4):
        first.admit(job(), 0.0)
    second.go_on_from(first)
    third.go_on_from(second)
    with pytest.raises(Overloaded, match="4 rows wait for shop"):
        third.check_room(0.0)
    assert third.take(10) == []
    first.take(10)
    third.admit(job(), 0.0)
    assert (third.rows, third.ahead()) == (1, 0)


def test_a_queue_that_lacks_the_last_rows_of_a_request_refuses_before_one_is_read():
    queue = Queue("shop")
    for _ in range(MAX_QUEUED_ROWS // 100 - 1):
        queue.admit(job(100), 0.0)
    queue.check_room(0.0)
    queue.admit(job(60), 0.0)
    with pytest.raises(Overloaded):
        queue.check_room(0.0)
    queue.admit(job(40), 0.0)


def test_a_queue_that_stands_on_the_loop_holds_less_than_a_burst_may():
    late = STANDING_SECONDS + 0.1
    queue = Queue("shop")
    queue.learn(1, 0.1)
    for now in (0.0, 0.1, 0.2):
        queue.admit(job(), now)
    with pytest.raises(Overloaded):
        queue.check_room(late)
    queue.take(2)
    queue.check_room(late)
    queue.take(1)
    queue.check_room(late)
    for _ in range(5):
        queue.admit(job(), late)


def test_a_queue_beside_the_loop_may_stand():
    """A few callers who ask again at once keep a slow model's queue from ever being empty."""
    queue = Queue("shop")
    queue.learn(1, 0.1)
    queue.busy_rows = 1
    for now in (0.0, 0.1, STANDING_SECONDS + 0.1):
        queue.admit(job(), now)


def test_a_queue_beside_the_loop_may_stand_between_two_calls():
    queue = Queue("shop", on_loop=False)
    queue.learn(1, 0.1)
    for now in (0.0, 0.1, STANDING_SECONDS + 0.1):
        queue.admit(job(), now)


def test_refusals_have_a_share_of_the_time_that_a_batch_took():
    queue = Queue("shop")
    queue.worked(0.5)
    assert queue.allowance == pytest.approx(REFUSING * 0.5)


def test_requests_that_nobody_has_read_yet_count_as_those_that_wait():
    queue = Queue("shop")
    queue.learn(1, 0.01)
    queue.admit(job(10), 0.0)
    assert queue.too_long(0.0, coming=8) is None
    assert queue.too_long(0.0, coming=10) == pytest.approx(1.1)
    queue.take(100)
    assert queue.too_long(0.0, coming=8) is None
    assert queue.too_long(0.0, coming=11) == pytest.approx(1.1)


def test_while_a_call_is_made_no_more_are_let_in_than_may_wait():
    queue = Queue("shop", on_loop=False)
    queue.learn(1, 1e-6)
    queue.busy_rows = 1
    assert queue.too_long(0.0, coming=MAX_WAITING_REQUESTS - 1) is None
    assert queue.too_long(0.0, coming=MAX_WAITING_REQUESTS) is not None


def test_what_a_call_waits_for_others_counts_once_a_call_and_not_once_a_row():
    """Behind slices of a large request a call of one row takes 0.3 s for its millisecond; ten such rows that wait are one call."""
    queue = Queue("shop", on_loop=False)
    queue.learn(1, 0.301, 0.001)
    for _ in range(10):
        queue.admit(job(), 0.0)
    assert queue.too_long(0.0) is None
    assert queue.too_long(0.0, patience=0.3) == pytest.approx(0.31)
    queue.take(10)
    queue.busy_rows = 10
    queue.admit(job(MAX_BATCH_ROWS), 0.0)
    assert queue.too_long(0.0, patience=0.8) == pytest.approx(0.866), "behind the call that is made now"
    assert queue.too_long(0.0, coming=1) == pytest.approx(1.422)
    later = Queue("shop", on_loop=False)
    later.go_on_from(queue)
    assert later.too_long(0.0, patience=0.8) == pytest.approx(0.866)


def test_rows_that_take_long_themselves_are_refused_as_before():
    queue = Queue("shop", on_loop=False)
    queue.learn(1, 0.3, 0.3)
    for _ in range(4):
        queue.admit(job(), 0.0)
    assert queue.too_long(0.0) == pytest.approx(1.2)


def test_a_call_that_fails_tells_what_a_call_costs():
    queue = Queue("shop", on_loop=False)
    queue.learn(20, 0.6, 0.0)
    queue.admit(job(20), 0.0)
    assert queue.too_long(0.0) is None
    queue.admit(job(MAX_BATCH_ROWS), 0.0)
    assert queue.too_long(0.0) == pytest.approx(1.2)


def test_what_calls_waited_for_a_process_that_died_is_not_taken_for_their_rows():
    queue = Queue("shop", on_loop=False)
    queue.learn(1, 0.01, 0.01)
    for _ in range(20):
        queue.learn(40, 2.0, 1.9, died=True)  # one of them killed it, and it was started twice
        queue.learn(10, 1.0, 1.0)  # while it was started again
        queue.learn(1, 0.001, 0.0, died=True)
        queue.learn(1, 1.0, 0.0, died=True)  # waited, and killed it
        queue.learn(10, 1.0, 1.0)
        queue.learn(10, 0.1, 0.1)
    queue.admit(job(40), 0.0)
    assert queue.too_long(0.0) is None
    assert queue.row_seconds == pytest.approx(0.01)
    assert queue.cost.row_seconds == pytest.approx(0.01)


def test_calls_behind_one_in_which_a_process_died_end_as_it_would_have():
    deaths, waited, came = Deaths(), job(), job()
    waited.admitted, came.admitted = 9.0, 11.0
    assert deaths.bound([waited], 3.0) is None
    deaths.struck(10.0)
    assert (deaths.bound([waited], 3.0), deaths.bound([waited, came], 3.0)) == (13.0, 14.0)
    assert deaths.bound([came], 3.0) is None, "it has waited for none that died"
    deaths.struck(14.0)
    deaths.called(died=True)
    assert deaths.bound([waited], 3.0) == 13.0, "it has gone on dying since then"
    assert deaths.bound([came], 3.0) == 14.0
    deaths.called(died=False)
    assert deaths.bound([waited], 3.0) is None


def test_what_a_process_took_to_be_given_up_is_learned():
    queue = Queue("shop", on_loop=False)
    queue.learn(1, 0.01, 0.01)
    queue.learn(1, 5.0, 0.0, died=True)
    queue.learn(1, 5.5, 0.0, died=True)
    queue.admit(job(), 0.0)
    queue.busy_rows = 1
    assert queue.too_long(0.0) is not None


def called(queue, n, seconds, **more):
    queue.learn(n, seconds, seconds)
    queue.resize(n, **more)


def test_a_model_that_is_slow_for_each_row_is_called_often_and_beside_slices_with_all_that_waits():
    queue = Queue("shop", on_loop=False)
    for n in (1, 5, 30, 140):
        called(queue, n, n * 0.007)
    assert queue.call_rows == 7
    later = Queue("shop", on_loop=False)
    later.go_on_from(queue)
    assert later.call_rows == 7
    called(queue, 7, 0.049, beside_large=True)
    assert queue.call_rows == MAX_BATCH_ROWS
    called(queue, 7, 0.049)
    assert queue.call_rows == 7


def test_a_call_that_waited_for_another_queue_of_the_same_process_is_followed_by_no_larger_one():
    queue = Queue("shop", on_loop=False)
    for n in (1, 5, 30, 140, *[7] * 40):
        queue.learn(n, n * 0.007 + 0.4, n * 0.007)
        queue.resize(n)
    assert queue.call_rows == 7


def test_one_large_call_that_was_held_up_is_not_believed_for_ever():
    """A restart that others waited for lies within what a call took; after it no call is so large again, unless one is made to see."""
    queue = Queue("shop", on_loop=False)

    def play(calls, held_up=0.0, rows=None):
        for _ in range(calls):
            taken = rows or queue.call_rows
            called(queue, taken, 0.03 + 0.0001 * taken + held_up)

    for rows in (1, 4, 16, 64):
        play(1, rows=rows)
    play(20)
    assert queue.call_rows == MAX_BATCH_ROWS
    play(1, held_up=30.0)
    assert queue.call_rows < MAX_BATCH_ROWS
    play(100)
    assert queue.call_rows == MAX_BATCH_ROWS


def test_a_process_that_dies_of_many_rows_is_given_so_many_more_and_more_seldom():
    """2 ms a row, and 80 rows are more memory than it has: it answers whose requests they are one by one, once it stands again."""
    queue, deaths = Queue("shop", on_loop=False), []
    for n in (1, 5, 20):
        called(queue, n, 0.002 * n)
    for at in range(20_000):
        rows = queue.call_rows
        died = rows > 80
        deaths += [at] * died
        queue.learn(rows, 3.3 if died else 0.002 * rows, 0.002 * rows)
        queue.resize(rows, died=died)
    assert 0 < len(deaths) <= 12
    assert all(after >= 1.5 * before for before, after in pairwise(deaths) if before < 4000)
