"""A real gateway whose model is stopped: told why at every door, ready for nobody, and still taking labels."""

import pytest
from gateway_rig import ROW, SIGNATURE, onnx_model, package, table

from flyball.records.captured import LabelBatch, PredictionBatch
from flyball.records.unit import Format

WORDS = "shop is stopped: prices come in cents; requests are refused"


@pytest.fixture
def champion(tmp_path):
    return package(tmp_path / "v1", Format.ONNX, onnx_model()[0], SIGNATURE)


def test_requests_are_refused_with_a_problem_and_labels_are_taken_until_it_is_resumed(rig, champion):
    rig.publish(table(1, champion))
    rig.renew_lease()
    worker = rig.start("w0")
    assert worker.predict(ROW, ids=["a"]).status_code == 200
    rig.publish(table(2, champion, stopped=WORDS))
    worker.reload()
    report = worker.report()
    assert (report.revision, report.fingerprints) == (2, {champion.unit.id: champion.unit.manifest_digest})
    inputs = [{"name": "age", "datatype": "FP64", "shape": [1, 1], "data": [1.0]}]
    for refused in (worker.predict(ROW), worker.http.post("/v2/models/shop/infer", json={"inputs": inputs})):
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "60"
        assert refused.json()["error"].startswith(WORDS)
    assert worker.predict(ROW).headers["content-type"] == "application/problem+json"
    assert worker.http.get("/v2/models/shop/ready").status_code == 503
    assert worker.http.get("/v2/health/ready").status_code == 200
    labelled = worker.http.post("/models/shop/labels", json={"labels": [{"id": "a", "label": "yes"}]})
    assert labelled.status_code == 200, labelled.text
    rig.publish(table(3, champion))
    worker.reload()
    assert worker.predict(ROW, ids=["b"]).status_code == 200
    records = rig.captured()
    assert [each.ids for each in records if isinstance(each, PredictionBatch)] == [["a"], ["b"]]
    assert [each.ids for each in records if isinstance(each, LabelBatch)] == [["a"]]
    assert worker.stop() == 0
