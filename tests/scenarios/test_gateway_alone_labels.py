"""A gateway without a project is given labels from files and databases, as one with a project is."""

import json
import sqlite3
from pathlib import Path

import polars as pl
import pytest
from gateway_rig import ROW, SIGNATURE, onnx_model, package
from test_gateway_standalone import Standalone, flyball

from flyball.records.unit import Format
from flyball.wiring.standalone_captured import captured_of

ONE, TWO = "models: {shop: {champion: one}}", "models: {shop: {champion: one}, other: {champion: one}}"


@pytest.fixture
def alone(tmp_path):
    package(tmp_path / "one", Format.ONNX, onnx_model()[0], SIGNATURE)
    gateway = Standalone(tmp_path, ONE)
    yield gateway
    gateway.close()


def labels(directory: Path) -> list[tuple[str, str, str]]:
    """(id, label, when it was known) of the tables, one for each record."""
    captured_of(directory / ".flyball-gateway").export("parquet", directory / "tables", None, None, lambda *_: None)
    return pl.read_parquet(directory / "tables" / "labels").select("id", "label", "observed_at").unique().sort("id").rows()


def brought(*arguments: object) -> dict:
    done = flyball("labels", "import", *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_labels_come_from_a_file_and_a_query_and_twice_is_once(alone, tmp_path, monkeypatch):
    state = alone.state
    answered = alone.http.post("/models/shop/predict", json={"rows": [ROW] * 3, "ids": ["a", "b", "c"]})
    assert answered.status_code == 200
    (tmp_path / "outcomes.csv").write_text("id,label,observed_at\na,no,2026-01-02\nb,yes,2026-01-03\n")
    for _ in range(2):
        assert brought(tmp_path / "outcomes.csv", "--state-dir", state)["accepted"] == 2
    told = labels(tmp_path)
    assert [row[:2] for row in told] == [("a", "no"), ("b", "yes")]
    with sqlite3.connect(tmp_path / "orders.db") as database:
        database.execute("create table o as select 'c' as id, 'yes' as label, '2026-01-04T00:00:00Z' as observed_at")
    monkeypatch.setenv("ORDERS_URL", f"sqlite:///{tmp_path / 'orders.db'}")
    assert brought("--sql", "ORDERS_URL", "--query", "select * from o", "--state-dir", state, "--model", "shop")["accepted"] == 1
    assert [row[:2] for row in labels(tmp_path)] == [("a", "no"), ("b", "yes"), ("c", "yes")]
    (tmp_path / "wrong.csv").write_text("id,label\na,perhaps\n")
    refused = flyball("labels", "import", tmp_path / "wrong.csv", "--state-dir", state)
    assert refused.returncode == 1
    assert "perhaps" in refused.stdout + refused.stderr


def test_of_several_models_one_is_named(alone, tmp_path):
    alone.file.write_text(TWO)
    alone.wait_for("is served by every worker (1)")
    (tmp_path / "outcomes.csv").write_text("id,label\na,yes\n")
    for more, words in (
        ((), "2 models are served from"),
        (("--model", "third"), "no model 'third' is served from"),
    ):
        refused = flyball("labels", "import", tmp_path / "outcomes.csv", "--state-dir", alone.state, *more)
        assert refused.returncode == 2
        assert words in " ".join((refused.stdout + refused.stderr).split())
        assert "other, shop" in refused.stderr or "shop, other" in refused.stderr
    assert brought(tmp_path / "outcomes.csv", "--state-dir", alone.state, "--model", "other")["accepted"] == 1


def test_where_none_runs_or_none_ever_did_that_is_told(alone, tmp_path):
    (tmp_path / "outcomes.csv").write_text("id,label\na,yes\n")
    alone.close()
    refused = flyball("labels", "import", tmp_path / "outcomes.csv", "--state-dir", alone.state)
    assert "start its `flyball gateway`" in " ".join(refused.stderr.split())
    refused = flyball("labels", "import", tmp_path / "outcomes.csv", "--state-dir", tmp_path / "one")
    assert "no gateway ever served from" in refused.stderr
    refused = flyball("labels", "import", tmp_path / "outcomes.csv", "--model", "shop")
    assert refused.returncode == 2
    assert "found no --state-dir" in refused.stderr
