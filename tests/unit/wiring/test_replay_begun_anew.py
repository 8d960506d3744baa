"""A replay that begins: nothing of the one before acts in it, and it acts on nothing but its own directory."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from late_rows import write_rows

from flyball.adapters.clock import SystemClock
from flyball.adapters.executor import ProcessExecutor
from flyball.adapters.replay_files import Begun, ReplayFiles
from flyball.control.ports import StepRequest
from flyball.control.replay_position import Position
from flyball.errors import DataError, UserError
from flyball.records.jobs import Job, JobStatus
from flyball.spec import ProjectSpec, ReplaySpec
from flyball.wiring.replay import begin_anew, lived_report, parts_of, replay, replay_of, standing
from flyball.wiring.replay_policies import Comparison, replay_policies
from flyball.wiring.worlds import Home, replayed_world, say_nothing

AT = datetime(2026, 1, 9, tzinfo=UTC)
SPEC = {
    "project": "shop", "model": "shop", "task": "binary", "tracking_url": "http://127.0.0.1:9",
    "data": {"source": {"files": "rows.parquet"}, "time": "at", "key": "id", "label": "late", "label_delay": "1h", "features": {"hour": "number"}},
    "train": {"entrypoint": "pipeline:train"},
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(ProjectSpec.model_validate(SPEC), tmp_path, tmp_path / "replay", SystemClock())


def test_a_training_of_the_replay_before_ends_and_leaves_no_result_for_this_one(home: Home) -> None:
    begun, position = Begun(parts={"the data": "a"}), Position(at=AT)
    files = ReplayFiles(home.state_dir, lambda: 0.0)
    begin_anew(home, files, begun, position)
    job = Job(id="j-0001", model="shop", status=JobStatus.RUNNING, requested_at=AT, as_of=AT, cause="user:replay")
    before = set(psutil.Process().children())
    sleeper = (sys.executable, "-c", "import time; time.sleep(600)")
    ProcessExecutor(home.state_dir, home.clock.now, sleeper).launch(
        StepRequest(job, home.spec, home.project_dir, home.state_dir, None)
    )
    (child,) = set(psutil.Process().children()) - before
    begin_anew(home, files, begun, position)
    with pytest.raises(psutil.NoSuchProcess):
        _ended(child)
    assert sorted(path.name for path in home.state_dir.iterdir()) == ["begun.json", "position"]
    assert files.take_up() == position


def _ended(child: psutil.Process) -> None:
    """Raises NoSuchProcess."""
    if child.status() == psutil.STATUS_ZOMBIE:
        raise psutil.NoSuchProcess(child.pid)


def test_a_replay_asks_nothing_of_the_mlflow_server_that_the_project_uses(home: Home) -> None:
    home.state_dir.mkdir()
    world = replayed_world(home, lambda _style, _words: None, home.clock, home.project_dir / "replays")
    assert world.ports.registry.versions("shop") == (), "the server does not answer, and a server would know others"
    assert (home.state_dir / "mlflow.db").exists()
    assert world.place.steps_dir == home.project_dir / "replays"
    world.ports.ledger.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("year", "words"), [(2031, "no rows between"), (1999, "no row with a known label at 1999-01-01")])
def test_a_time_that_no_row_fits_takes_nothing_away(home: Home, year: int, words: str) -> None:
    write_rows(home.project_dir / "rows.parquet", 96)
    before, files = Begun(parts={"the data": "a"}), ReplayFiles(home.state_dir, lambda: 0.0)
    begin_anew(home, files, before, Position(at=AT))
    with pytest.raises(DataError, match=words):
        lived_report(home, plan_of(year), say_nothing, home.project_dir / "replays", fresh=True)
    assert files.begun() == before


def test_a_span_that_ends_before_the_first_row_is_told_as_such(home: Home) -> None:
    write_rows(home.project_dir / "rows.parquet", 96)
    times = {"train_until": "1999-01-01T00:00:00Z", "until": "1999-02-01T00:00:00Z"}
    with pytest.raises(DataError, match="no rows between 1999-01-01"):
        lived_report(home, ReplaySpec.model_validate(times), say_nothing, home.project_dir / "replays", fresh=True)


def test_a_replay_is_begun_from_a_copy_of_the_schema_which_is_a_part_of_it(home: Home) -> None:
    write_rows(home.project_dir / "rows.parquet", 96)
    frame, files, schema = (
        pl.read_parquet(home.project_dir / "rows.parquet"),
        ReplayFiles(home.state_dir, lambda: 0.0),
        "features: {hour: {type: number}}",
    )
    none = Begun(parts=parts_of(home, plan_of(2026), frame))
    (home.project_dir / "schema.yaml").write_text(schema)
    begun = Begun(parts=parts_of(home, plan_of(2026), frame))
    # Not a change: the first `flyball run` writes the file, and it would throw away a replay that took hours.
    assert none.changed(begun.parts) == ()
    assert begun.changed(none.parts) == ("schema.yaml",)
    (home.project_dir / "schema.yaml").write_text(f"# Ours.\nextra: refuse\n{schema}\n")
    assert begun.changed(parts_of(home, plan_of(2026), frame)) == (), "comments and what goes without saying"
    (home.project_dir / "schema.yaml").write_text(schema)
    begin_anew(home, files, begun, Position(at=AT))
    (home.project_dir / "schema.yaml").write_text(schema.replace("number", "category"))
    assert begun.changed(parts_of(home, plan_of(2026), frame)) == ("schema.yaml",)
    assert (home.state_dir / "schema.yaml").read_text() == schema


def test_a_replay_that_is_over_is_replaced_by_nothing_that_is_not_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(home.project_dir / "rows.parquet", 96)
    frame, plan, said = pl.read_parquet(home.project_dir / "rows.parquet"), plan_of(2026), []
    files = ReplayFiles(home.state_dir, lambda: 0.0)
    begun = Begun(parts=parts_of(home, plan, frame))
    begin_anew(home, files, begun, Position(at=AT))
    monkeypatch.setattr(files, "report", lambda: "a report")
    (home.project_dir / "schema.yaml").write_text("features: {hour: {type: number}}")

    def say(_style: str, words: str) -> None:
        said.append(words)

    assert standing(files, Begun(parts=parts_of(home, plan, frame)), say) == begun
    (home.project_dir / "pipeline.py").write_text("def train(): ...")
    assert standing(files, Begun(parts=parts_of(home, plan, frame)), say) is None
    assert said[1] == "Since this replay was lived to its end this changed: the project's code. It is lived anew."


def plan_of(year: int) -> ReplaySpec:
    return ReplaySpec.model_validate({"train_until": f"{year}-01-01T00:00:00Z"})


def test_an_end_before_the_beginning_is_told_in_words(home: Home) -> None:
    with pytest.raises(UserError, match=r"times do not fit: 2026-01-08.*Expected: until after 2026-01-09.*Next: look at --since"):
        replay_of(home, AT, AT - timedelta(days=1))


def test_where_reports_cannot_go_is_said_before_anything_is_lived(home: Home) -> None:
    """There are no rows either, which would be said first otherwise."""
    home = home._replace(state_dir=home.project_dir / ".flyball")
    plan = ReplaySpec.model_validate({"train_until": AT})
    (home.project_dir / "file").write_text("x")
    with pytest.raises(UserError, match=r"reports cannot be written to .*file/below.* --output"):
        replay(home, plan, say_nothing, home.project_dir / "file" / "below", fresh=False)
    with pytest.raises(UserError, match=r"reports cannot be written to .*file/below.* --output"):
        replay_policies(home, plan, Comparison(("never",), 1, fresh=False), say_nothing, home.project_dir / "file" / "below")
