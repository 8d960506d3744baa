"""A real gateway under rules of what may be kept: its answers are as ever, and its segments hold nothing that was declared out."""

import hmac

import pytest
from gateway_rig import ROW, SIGNATURE, Rig, code_package, onnx_model, package, table

from flyball.records.captured import FailureBatch, PredictionBatch
from flyball.records.keeping import Keeping
from flyball.records.unit import Format

RULES = Keeping(drop=("income",), hash=("town", "visits"), sample={"age": 0.5}, keys="hash")


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path / "state")
    yield made
    made.close()


def segments(rig) -> bytes:
    return b"".join(path.read_bytes() for path in (rig.directory / "capture").glob("*.seg"))


def test_a_rule_takes_effect_with_its_table_and_answers_stay_what_they_were(rig, tmp_path):
    unit = package(tmp_path / "v1", Format.ONNX, onnx_model()[0], SIGNATURE)
    rig.publish(table(1, unit))
    worker = rig.start()
    row = {**ROW, "town": "Bergen-77", "income": 1234.5}
    bare = worker.predict(row, ids=["p0"], keys=["ann@example.com"]).json()
    assert b"Bergen-77" in segments(rig)
    assert b"ann@example.com" in segments(rig)
    assert not (rig.directory / "capture.key").exists()
    size = len(segments(rig))

    rig.publish(table(2, unit, keeping=RULES))
    assert worker.reload().status_code == 200
    ids = [f"p{n}" for n in range(1, 41)]
    kept = worker.predict(*[row] * 40, ids=ids, keys=["ann@example.com"] * 40).json()
    assert kept["predictions"][0]["score"] == bare["predictions"][0]["score"]
    since = segments(rig)[size:]
    for secret in (b"Bergen", b"ann@", b"income"):
        assert secret not in since
    batch = rig.captured()[-1]
    assert isinstance(batch, PredictionBatch)
    key = (rig.directory / "capture.key").read_bytes()
    assert batch.hashed["town"] == [hmac.digest(key, b"town\0Bergen-77", "sha256")[:12].hex()] * 40
    assert batch.keys == [hmac.digest(key, b"\0ann@example.com", "sha256")[:12].hex()] * 40
    assert set(batch.columns) == {"member"}
    assert 5 < len(batch.sampled["age"].rows) < 35
    assert batch.ids == ids
    assert worker.stop() == 0


def test_a_second_worker_and_a_restarted_one_hash_alike(rig, tmp_path):
    rig.publish(table(1, package(tmp_path / "v1", Format.ONNX, onnx_model()[0], SIGNATURE), keeping=RULES))
    one, other = rig.start("w0"), rig.start("w1")
    one.predict(ROW)
    other.predict(ROW)
    one.stop()
    rig.start("w2").predict(ROW)
    hashes = {batch.hashed["town"][0] for batch in rig.captured()}
    assert len(hashes) == 1
    assert len(rig.captured()) == 3


def test_without_its_key_no_table_with_hashes_is_taken_and_the_one_before_goes_on(rig, tmp_path):
    unit = package(tmp_path / "v1", Format.ONNX, onnx_model()[0], SIGNATURE)
    rig.publish(table(1, unit))
    worker = rig.start()
    (rig.directory / "capture.key").write_bytes(b"k" * 32)
    (rig.directory / "capture.key").chmod(0o644)
    rig.publish(table(2, unit, keeping=RULES))
    answer = worker.reload()
    assert answer.status_code == 503
    assert "0600" in answer.json()["detail"]
    assert worker.predict(ROW).status_code == 200
    assert worker.report().revision == 1
    assert "capture.key" in worker.report().error


def test_what_a_model_says_when_it_fails_may_quote_a_row_and_is_not_kept(rig, tmp_path):
    rig.publish(table(1, code_package(tmp_path / "v1", "raise"), keeping=RULES))
    worker = rig.start()
    assert worker.predict({**ROW, "age": 13.0}).status_code == 503
    assert [each.reason for each in rig.captured() if isinstance(each, FailureBatch)] == ["the model raised ValueError"]
    assert b"thirteens" not in segments(rig)
