"""What a worker says is its model's code's to choose: nonsense of any kind ends the process, and is a failure of the model."""

import os

import pytest

from flyball.errors import ModelFailed
from flyball.gateway.runtimes.contract import CodeLimits
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
