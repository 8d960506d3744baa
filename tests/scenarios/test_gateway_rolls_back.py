"""The release unit moves as one: after a rollback a replay set is answered with the bytes of before."""

from pathlib import Path

import msgspec
import pytest
from gateway_rig import ROW, SIGNATURE, onnx_model, package, table

from flyball.records.unit import Format

REPLAY_SET = [{**ROW, "age": 18.0 + step, "visits": step % 9, "town": ("Oslo", "Rome")[step % 2]} for step in range(60)]


@pytest.fixture
def units(tmp_path: Path):
    """Two models; the newer one's unit decides from another threshold on."""
    old, new = (
        package(tmp_path / f"v{seed}", Format.ONNX, onnx_model(seed)[0], SIGNATURE, version=seed + 1) for seed in range(2)
    )
    return old, msgspec.structs.replace(new, unit=msgspec.structs.replace(new.unit, id="u-other-bar", threshold=0.9))


def answers(worker) -> bytes:
    """As the client reads them, one after the other and all at once."""
    alone = [worker.predict(row, ids=[f"r{at}"]).content for at, row in enumerate(REPLAY_SET)]
    return b"\n".join([*alone, worker.predict(*REPLAY_SET, ids=[f"b{at}" for at in range(len(REPLAY_SET))]).content])


def test_after_a_rollback_a_replay_set_is_answered_byte_for_byte_as_before(rig, units):
    old, new = units
    rig.publish(table(1, old))
    worker = rig.start()
    before = answers(worker)
    rig.publish(table(2, new))
    assert worker.reload().status_code == 200
    between = answers(worker)
    assert between != before
    assert b"u-other-bar" in between
    rig.publish(table(3, old))
    assert worker.reload().status_code == 200
    assert answers(worker) == before
