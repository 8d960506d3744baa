"""Given a gateway under load, when its workers are killed, replaced, cut off from the disk or asked too much, then what it promises still holds.

The same subjects run at full size, and timed, by `python -m bench.serving.survival`. Here nothing is timed but what is counted in whole seconds.
"""

import json
import socket
import threading
import time

import pytest
from bench.serving.survival import breaker, bulkhead, connections, kills, large, overload, restarts, segments, shadow, sink, swap
from bench.serving.survival.client import ask as ask_all
from bench.serving.survival.models import CodeModel, code_unit, linear_unit
from bench.serving.survival.stand import CLIENT, ONE_ROW, Stand
from gateway_rig import wait_until

from flyball.records.routing import Route

pytestmark = pytest.mark.slow


def test_the_champion_changes_again_and_again_and_every_answer_is_by_the_one_of_its_time():
    seen = swap.measure(swap.Scale(promotions=30, requests=3_000, connections=8))
    assert (seen.failed, seen.out_of_time, seen.other_in_capture) == (0, 0, 0), seen
    assert seen.promotions >= 30
    assert seen.certain > 0


def test_killed_workers_lose_no_answered_prediction_and_fail_only_what_was_under_way():
    seen = kills.measure(kills.Scale(kills=4, connections=8, between_seconds=0.3))
    assert (seen.lost, seen.damaged, seen.twice, seen.unexplained) == (0, 0, 0, 0), seen
    assert seen.most_failed_at_once <= 8
    assert seen.answered > 500
    assert seen.torn <= 4


def test_workers_are_replaced_one_after_the_other_and_nobody_notices():
    seen = restarts.measure(restarts.Scale(rounds=2, requests=500))
    assert (seen.failed, seen.lost) == (0, 0), seen
    assert seen.requests >= 500


@pytest.mark.parametrize("way", ["no byte more", "some bytes more", "no directory"])
def test_a_dead_disk_costs_no_answer_and_what_it_loses_is_counted_to_the_row(way):
    told = sink.measure(sink.Scale((way,), dead_seconds=2.0, rate=300))[way]
    assert (told.failed, told.damaged) == (0, 0), told
    assert told.lost_rows == told.answered - told.captured_rows > 0
    assert told.lost_records == told.batches - told.captured_records > 0
    assert told.resumed_seconds < 10
    assert told.grown_mb < 64


def test_a_slow_model_that_is_asked_too_much_answers_what_it_can_and_refuses_the_rest_with_a_time():
    told = overload.measure(overload.Scale(3.5, ways=("slow",))).told["slow model, open loop"]
    assert told.broken == 0
    assert told.shed > 0
    assert told.without_retry_after == 0
    assert told.scored_rows <= told.answered_rows * 1.1  # nothing is scored for those who were refused
    assert told.goodput > 0.5 * told.capacity
    assert told.recovery_seconds < 30


def test_a_saturated_model_takes_no_place_from_the_others():
    (told,) = bulkhead.measure(bulkhead.Scale(2.0, 1, kinds=("0.7 ms a row",))).values()
    assert told.failed_others == 0, told.first_failure
    assert told.saturated[429] > 0
    assert told.others > 100


def test_a_canary_that_fails_every_second_time_is_left_alone_until_it_has_healed():
    seen = breaker.measure(breaker.Scale(4.0))
    assert seen.failed == 0
    assert seen.opened_seconds < 4
    assert all(each > breaker.OPEN_SECONDS for each in seen.probes)
    assert seen.closed_seconds < 12


def test_what_a_slow_shadow_does_not_score_is_waiting_or_counted_as_dropped():
    seen = shadow.measure(shadow.Scale(3.0, 300, call_seconds=0.5))
    assert seen.failed == 0
    assert seen.shadowed + seen.waiting + seen.dropped == seen.answered
    assert seen.shadowed > 0
    assert seen.waiting > 0


def test_a_request_of_a_hundred_thousand_rows_takes_less_than_three_times_its_own_size():
    told = large.measure(large.Scale(100_000, 0.5, 1, forms=("plain",)))["plain"]
    assert set(told.statuses) == {200}
    assert (told.wrong, told.failed_others) == (0, 0)
    assert max(told.grown_mb) <= 3 * told.payload_mb
    assert (told.too_many[0], told.too_large[0]) == (422, 413)
    assert "at most 100000" in told.too_many[1]
    assert "at most 67108864" in told.too_large[1]


def test_a_worker_with_hundreds_of_kept_connections_ends_without_resetting_one():
    seen = connections.measure(connections.Scale(kept=200, odd=0, drains=1, patience_seconds=0))
    assert (seen.broken, seen.not_captured, seen.captured_of_vanished) == (0, 0, 0), seen
    assert seen.answered > 200
    assert max(seen.drain_seconds) < 30


def ask(port, row, *, timeout_ms=None):
    """An open connection on which one row was asked for."""
    body = json.dumps({"rows": [row]}).encode()
    deadline = f"X-Flyball-Timeout-Ms: {timeout_ms}\r\n" if timeout_ms else ""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(
        f"POST /models/shop/predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {CLIENT}\r\n"
        f"Content-Type: application/json\r\n{deadline}Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return connection


def test_no_work_begins_for_a_deadline_that_has_passed_or_a_client_that_has_gone(tmp_path):
    journal = tmp_path / "journal"
    with Stand(tmp_path / "stand") as stand:
        stand.publish(
            Route(model="shop", champion=code_unit(tmp_path, "slow", CodeModel(seconds_a_call=1.0, journal=str(journal))))
        )
        stand.start()
        row = json.loads(ONE_ROW)
        told = {}

        def answered(number, connection):
            told[number] = connection.recv(65536)[:12], time.monotonic()
            connection.close()

        first = ask(stand.port, row | {"feature_0": 1.0})
        wait_until(lambda: journal.exists() and " 1.000\n" in journal.read_text())  # it is being scored now
        late = [ask(stand.port, row | {"feature_0": 100.0 + number}, timeout_ms=50) for number in range(20)]
        gone = [ask(stand.port, row | {"feature_0": 200.0 + number}) for number in range(20)]
        stays = ask(stand.port, row | {"feature_0": 2.0})
        threads = [threading.Thread(target=answered, args=(number, each)) for number, each in enumerate([first, stays, *late])]
        for each in threads:
            each.start()
        time.sleep(0.05)
        for each in gone:
            each.close()
        for each in threads:
            each.join()
        time.sleep(0.5)
    assert [told[number][0] for number in range(2)] == [b"HTTP/1.1 200"] * 2
    assert {told[number][0] for number in range(2, 22)} == {b"HTTP/1.1 504"}
    scored = [float(value) for line in journal.read_text().splitlines() for value in line.split()[3:]]
    assert {1.0, 2.0} <= set(scored)
    assert [value for value in scored if value >= 100] == []


def test_a_code_model_whose_256_rows_would_take_longer_than_its_deadline_is_served(tmp_path):
    with Stand(tmp_path / "stand", "--deadline-seconds", "1") as stand:
        stand.publish(Route(model="shop", champion=code_unit(tmp_path, "slow", CodeModel(seconds_a_row=0.02))))
        stand.start()
        with stand.client() as client:
            assert client.post("/models/shop/predict", json={"rows": [json.loads(ONE_ROW)]}).status_code == 200


def test_a_withdrawn_shadow_leaves_nothing_that_goes_on_for_it(tmp_path):
    """It was far behind: what waited for it is dropped and counted, and its process ends."""
    journal = tmp_path / "journal"
    with Stand(tmp_path / "stand") as stand:
        champion = linear_unit(tmp_path, 0)
        slow = code_unit(tmp_path, "slow", CodeModel(seconds_a_call=2.5, journal=str(journal)))
        stand.publish(Route(model="shop", champion=champion, shadows=(slow,)))
        gateway = stand.start()
        told = ask_all(stand.plan(rate=200.0, seconds=1.5))
        assert gateway.metric("flyball_shadow_waiting_rows") > 100
        stand.publish(Route(model="shop", champion=champion))
        gateway.reload()
        until = time.monotonic() + 20
        while gateway.metric("flyball_shadow_waiting_rows") and time.monotonic() < until:
            time.sleep(0.05)
        shadowed = sum(len(record["ids"]) for record in segments.read(stand.capture).predictions("shadow"))
        assert shadowed + gateway.metric("flyball_shadow_dropped_rows_total") == told.good.sum()
        assert shadowed < 60, "more than what came in the tenth of a second before the call that was running"
        while gateway.children() and time.monotonic() < until:
            time.sleep(0.05)
        assert gateway.children() == []
