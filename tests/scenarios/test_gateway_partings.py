"""Given callers that leave or give up early, when their work goes on behind them, then nobody else is harmed by it."""

import time

import httpx
import pytest
from gateway_rig import ROW, SIGNATURE, Rig, code_package, onnx_model, package, table

from flyball.records.captured import PredictionBatch
from flyball.records.unit import Format


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    return package(tmp_path_factory.mktemp("unit") / "v1", Format.ONNX, onnx_model(1)[0], SIGNATURE)


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path / "state")
    yield rig
    rig.close()


def test_a_model_whose_caller_left_during_a_swap_stays_loaded_for_the_table_that_is_live(rig, tmp_path, quick):
    """The call outlives its caller and the table that it was made under; its shadows come after both."""
    slow = code_package(tmp_path / "slow", "slow")
    rig.publish(table(1, slow, shadows=(quick,)))
    worker = rig.start()
    with pytest.raises(httpx.ReadTimeout):
        worker.http.post("/models/shop/predict", json={"rows": [{**ROW, "age": 13}]}, timeout=0.3)
    rig.publish(table(2, slow, shadows=(quick,), salt="next"))
    assert worker.reload().status_code == 200
    time.sleep(1.5)
    for _ in range(3):
        answer = worker.predict(ROW)
        assert answer.status_code == 200, answer.text
    assert worker.process.poll() is None
    assert {record.role for record in rig.captured() if isinstance(record, PredictionBatch)} == {"champion", "shadow"}
