"""What a worker says is its model's code's to choose: nonsense of any kind ends the process, and is a failure of the model."""

import asyncio
import contextlib
import os
import time

import pytest

from flyball.errors import ModelFailed
from flyball.gateway.runtimes.contract import CodeLimits
from flyball.gateway.runtimes.watched import AT_ONCE_BYTES
from flyball.gateway.runtimes.worker_process import Program, WorkerProcess

BABBLER = """
import json
from flyball.gateway.runtimes import pipe
order = json.loads(pipe.receive(0))
for said in order["says"]:
    pipe.send(1, bytes.fromhex(said))
    pipe.receive(0)
"""
READY, NESTED, LIST, NUMBER = b"\x81\xa5ready\xc3", b"\x91" * 5000 + b"\x00", b"\x91\x00", b"\x07"


def started(tmp_path, *says):
    (tmp_path / "babbler.py").write_text(BABBLER)
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    program = Program("babbler", "the babbler", {"says": [each.hex() for each in says]})
    return WorkerProcess(program, CodeLimits(deadline_seconds=5, environment=(("PYTHONPATH", paths),)))


@pytest.mark.parametrize("said", [NESTED, LIST, NUMBER])
def test_nonsense_in_place_of_ready_is_a_worker_that_did_not_start(said, tmp_path):
    with pytest.raises(ModelFailed, match="did not start"):
        started(tmp_path, said)


@pytest.mark.parametrize("said", [NESTED, LIST, NUMBER])
def test_nonsense_in_place_of_an_answer_ends_the_process(said, tmp_path):
    process = started(tmp_path, READY, said)
    try:
        with pytest.raises(ModelFailed, match="died") as failed:
            process.call({}, 1000000, lambda answer: answer["scores"])
        assert failed.value.died
    finally:
        process.close()


SLEEPER = """
import json, os, time
from flyball.gateway.runtimes import pipe
import msgspec
pipe.receive(0)
pipe.send(1, msgspec.msgpack.encode({"ready": True}))
while True:
    asked = msgspec.msgpack.decode(pipe.receive(0))
    if asked.get("die"):
        os._exit(3)
    time.sleep(asked.get("sleep", 0))
    said = {"error": asked["raise"]} if "raise" in asked else {"scores": asked["of"]}
    pipe.send(1, msgspec.msgpack.encode(said) + b"x" * asked.get("behind", 0))
"""


@pytest.fixture
def asleep(tmp_path):
    """Starts a sleeper."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with contextlib.ExitStack() as ends:

        def start(deadline_seconds=5.0):
            limits = CodeLimits(deadline_seconds=deadline_seconds, environment=(("PYTHONPATH", paths),))
            process = WorkerProcess(Program("sleeper", "the sleeper", {}), limits)
            ends.callback(process.close)
            return process

        yield start


def scores(answer):
    return answer["scores"]


async def begun(process, **request):
    answer = process.begin(request, 100_000, scores)
    assert answer is not None
    return await answer


async def back(process):
    """Until it answers again."""
    for _ in range(2000):
        answer = process.begin({"of": "again"}, 100_000, scores)
        if answer is not None:
            return await answer
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come back")


def test_calls_that_the_loop_watches_are_answered_one_after_the_other(asleep):
    process = asleep()

    async def play():
        return [await begun(process, of=number) for number in range(50)]

    assert asyncio.run(play()) == list(range(50))
    assert process.call({"of": "in a thread"}, 1000, scores) == "in a thread"


def test_what_the_model_raises_ends_nothing(asleep):
    process = asleep()

    async def play():
        with pytest.raises(ModelFailed, match="the model raised no") as failed:
            await begun(process, **{"raise": "no"})
        assert not failed.value.died
        return await begun(process, of=1)

    assert asyncio.run(play()) == 1


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"die": 1}, "died"),
        ({"of": 1, "behind": 3}, "died"),
        ({"not": "of"}, "died"),
        ({"of": 1, "sleep": 30}, "deadline of 0.5 s"),
    ],
)
def test_a_process_that_dies_hangs_or_talks_nonsense_is_told_and_comes_back(request_, words, asleep):
    process = asleep(deadline_seconds=0.5)

    async def play():
        with pytest.raises(ModelFailed, match=words) as failed:
            await begun(process, **request_)
        assert failed.value.died
        return await back(process)

    assert asyncio.run(play()) == "again"


def test_nobody_is_begun_beside_another_call_nor_with_more_than_a_pipe_takes(asleep):
    process = asleep()

    async def play():
        first = process.begin({"of": 1, "sleep": 0.2}, 1000, scores)
        assert process.begin({"of": 2}, 1000, scores) is None
        assert await first == 1
        calling = asyncio.create_task(asyncio.to_thread(process.call, {"of": 3, "sleep": 2}, 1000, scores))
        await asyncio.sleep(0.5)
        assert process.begin({"of": 4}, 1000, scores) is None
        assert await calling == 3
        assert process.begin({"of": "x" * AT_ONCE_BYTES}, 10_000, scores) is None
        return await begun(process, of=5)

    assert asyncio.run(play()) == 5


def test_an_answer_that_came_while_the_loop_was_held_up_is_not_late(asleep):
    process = asleep(deadline_seconds=0.3)

    async def play():
        answer = process.begin({"of": 1, "sleep": 0.1}, 1000, scores)
        time.sleep(0.5)
        return await answer

    assert asyncio.run(play()) == 1
    assert process.call({"of": 2}, 1000, scores) == 2


def no_more_threads(*_, **__):
    raise RuntimeError("can't start new thread")


def test_a_process_dies_and_comes_back_where_no_thread_may_be_started_for_a_while(asleep, monkeypatch):
    process = asleep()

    async def play():
        with monkeypatch.context() as full:
            full.setattr("threading.Thread.start", no_more_threads)
            with pytest.raises(ModelFailed, match="died"):
                await begun(process, die=1)
        return await asyncio.to_thread(process.call, {"of": 1}, 1000, scores)

    assert asyncio.run(play()) == 1


def test_a_call_that_nobody_waits_for_any_more_frees_the_process_all_the_same(asleep):
    process = asleep()

    async def play():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(begun(process, of=1, sleep=0.3), 0.05)
        return await back(process)

    assert asyncio.run(play()) == "again"


def test_it_is_closed_though_its_loop_ended_in_the_middle_of_a_call(asleep):
    process = asleep(deadline_seconds=0.5)

    async def play():
        assert process.begin({"of": 1, "sleep": 30}, 1000, scores) is not None

    asyncio.run(play())
    process.close()
    assert process.begin({"of": 1}, 1000, scores) is None


def dies(process):
    with pytest.raises(ModelFailed, match="died") as failed:
        process.call({"die": 1}, 1000, scores)
    return failed.value.died


def test_requests_that_kill_it_keep_no_other_from_being_answered_however_many_come(asleep):
    process = asleep()
    for number in range(6):
        assert dies(process)
        assert process.call({"of": number}, 1000, scores) == number, "as soon as it stands again"
    asyncio.run(begun(process, of=1))


def test_one_that_dies_of_everything_is_started_again_with_growing_pauses(asleep, monkeypatch):
    monkeypatch.setattr("flyball.gateway.runtimes.worker_process.DEATHS_IN_A_ROW", 2)
    process = asleep()
    for _ in range(4):
        assert dies(process)
    with pytest.raises(ModelFailed, match="is being restarted"):
        process.call({"of": 1}, 1000, scores)
    assert asyncio.run(back(process)) == "again"
    assert dies(process)
    assert process.call({"of": 1}, 1000, scores) == 1, "it has answered since"


def test_one_whose_model_raises_between_does_not_die_of_everything(asleep, monkeypatch):
    monkeypatch.setattr("flyball.gateway.runtimes.worker_process.DEATHS_IN_A_ROW", 2)
    process = asleep()
    for _ in range(3):
        assert dies(process)
        assert dies(process)
        with pytest.raises(ModelFailed, match="the model raised no"):
            process.call({"raise": "no"}, 1000, scores)
    assert process.call({"of": 1}, 1000, scores) == 1
