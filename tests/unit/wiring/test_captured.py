"""Exports and imports of a whole project: what is asked for wrongly is refused before anything is read or sent."""

from pathlib import Path

import polars as pl
import pytest

from flyball.cli.init import start_project
from flyball.control.label_import import LabelImport
from flyball.errors import GatewayUnreachable, UserError
from flyball.gateway.capture_writer import CaptureWriter
from flyball.records.captured import LabelBatch
from flyball.wiring.captured import Captured
from flyball.wiring.workspace import open_workspace


def say(_style: str, _words: str) -> None:
    """Nobody listens."""


@pytest.fixture
def captured(tmp_path: Path) -> Captured:
    start_project(tmp_path / "shop")
    return open_workspace(tmp_path / "shop").captured


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (LabelImport(None, None, None), "no labels"),
        (LabelImport(Path("o.csv"), "ORDERS_URL", "select 1"), "a file and --sql"),
        (LabelImport(None, "postgresql://me:secret@host/orders", "select 1"), "not the name of an environment variable"),
        (LabelImport(None, "ORDERS_URL", None), "--sql without --query"),
    ],
)
def test_an_import_needs_a_file_or_a_named_database_and_repeats_no_secret(
    captured: Captured, wanted: LabelImport, words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        captured.import_labels(wanted, say)
    assert "secret" not in caught.value.message


def test_without_a_gateway_nothing_is_imported_and_the_next_step_is_told(captured: Captured) -> None:
    with pytest.raises(GatewayUnreachable, match="flyball up --detach"):
        captured.import_labels(LabelImport(Path("o.csv"), None, None), say)


def test_an_export_that_names_no_place_goes_below_the_state_for_this_account_alone(captured: Captured, tmp_path: Path) -> None:
    state = tmp_path / "shop" / ".flyball"
    writer = CaptureWriter(state / "capture", "0", lambda: 1)
    assert writer.hand_over([LabelBatch(at_us=1, model="shop", ids=["a"], values=["1"], observed_us=[None])])
    report = captured.export("delta", None, None, None, say)
    assert report.directory == str(state / "tables" / "delta")
    assert state.stat().st_mode & 0o777 == 0o700
    assert pl.read_delta(str(state / "tables" / "delta" / "labels"))["id"].to_list() == ["a"]
