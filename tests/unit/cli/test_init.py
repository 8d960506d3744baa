"""`flyball init` makes a project that works as it is."""

import importlib.util
import time
from pathlib import Path

import polars as pl
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from flyball.cli.app import app
from flyball.cli.init import start_project
from flyball.cli.orders_story import DAYS, ROWS, orders_csv
from flyball.errors import Conflict, SpecError
from flyball.spec.load import load_project


def test_the_project_declares_itself_without_a_fault(tmp_path: Path) -> None:
    start_project(tmp_path / "shop")
    spec = load_project(tmp_path / "shop")
    assert (spec.project, spec.model, spec.task) == ("shop", "shop", "binary")
    assert {policy.name for policy in spec.policies} == {"retrain-when-worse", "tell-me-of-drift"}
    assert len((tmp_path / "shop" / "flyball.yaml").read_text().splitlines()) <= 66, "one page"


def test_the_orders_are_two_thousand_over_sixty_days_and_always_the_same() -> None:
    text = orders_csv(7)
    assert text == orders_csv(7) != orders_csv(8)
    frame = pl.read_csv(text.encode(), try_parse_dates=True)
    assert frame.height == ROWS == frame["order_id"].n_unique()
    days = (frame["ordered_at"].max() - frame["ordered_at"].min()).days  # type: ignore[operator, union-attr]
    assert DAYS - 2 <= days < DAYS
    assert frame["customer_return_rate"].null_count() > 0
    assert 0.2 < frame["returned"].mean() < 0.45  # type: ignore[operator]


def test_the_model_trains_in_seconds_and_passes_its_gate(tmp_path: Path) -> None:
    start_project(tmp_path / "shop")
    spec = load_project(tmp_path / "shop")
    frame = pl.read_csv(tmp_path / "shop" / "data" / "orders.csv")
    columns = [
        pl.col(name).cast(pl.String).fill_null("") if spec.data.feature(name).type == "category" else pl.col(name).cast(pl.Float32).fill_null(float("nan"))
        for name in spec.data.feature_names
    ]  # fmt: skip
    features, label = frame.select(columns), frame[spec.data.label]
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_file_location("init_pipeline", tmp_path / "shop" / "pipeline.py")
    )  # type: ignore[arg-type]
    module.__spec__.loader.exec_module(module)  # type: ignore[union-attr]
    started = time.perf_counter()
    model = module.train(features[:1500], label[:1500], spec.train.parameters, spec.train.seed)
    assert time.perf_counter() - started < 5.0
    gate = spec.gates.absolute[0].at_least
    assert gate is not None
    assert roc_auc_score(label[1500:], model.predict_proba(features[1500:])[:, 1]) > gate


def test_a_directory_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "shop").mkdir()
    start_project(tmp_path / "shop")
    with pytest.raises(Conflict, match="not empty"):
        start_project(tmp_path / "shop")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(Conflict):
        start_project(tmp_path / "file")
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["../evil", "", ".", "/tmp/evil", "a/b"])
def test_a_path_is_not_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    result = CliRunner().invoke(app, ["init", name])
    assert result.exit_code == 2
    assert f"NAME: found {name!r}, expected a name, not a path" in result.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


@pytest.mark.parametrize("name", ["My Shop", "9lives", "x" * 70])
def test_a_name_that_cannot_be_one_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError):
        start_project(tmp_path / name)
    assert not list(tmp_path.iterdir())
