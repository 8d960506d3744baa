from datetime import UTC, datetime

import ledger_world
import msgspec
import pytest

from flyball.control import queries
from flyball.control.world import draft, put
from flyball.records.jobs import Job, JobStatus
from flyball.records.unit import Format, Lineage, SnapshotRef, Unit, Version

START = datetime(2026, 1, 5, tzinfo=UTC)
METRICS = {"accuracy": 0.9, "f1": 0.4, "log_loss": 0.2}


@pytest.mark.parametrize(
    ("measured", "answers", "left_out"),
    [(None, 0.5, False), (None, None, False), (0.2, 0.2, False), (None, 0.2, True), (0.2, 0.42, True)],
)
def test_metrics_of_answers_at_another_threshold_are_not_shown_as_the_units(measured, answers, left_out):
    world = ledger_world.world_at(START, {**ledger_world.SPEC, "project": "m", "model": "m"})
    snapshot = SnapshotRef(table="m", version=0, content_digest="c", schema_digest="d", rows=9, since=None, until=START)
    lineage = Lineage(
        run_key="r", mlflow_run="", git_commit=None, git_dirty=False, code_digest="a", environment_digest="b", snapshot=snapshot,
        parameters={}, seed=0, threshold=measured,
    )  # fmt: skip
    version = Version(
        model="m", number=1, manifest_digest="d", format=Format.ONNX, created_at=START, lineage=lineage, metrics=METRICS
    )
    unit = Unit(id="u", model="m", version=1, manifest_digest="d", threshold=answers, policy_digest="p")
    world.take_over("test")
    world.record(draft(START, "test", "test", {}, (put("version", "m|000001", version), put("unit", "u", unit))))
    (row,) = queries.versions(world)
    assert row.metrics == ({"log_loss": 0.2} if left_out else METRICS)
    words = f"accuracy and f1 were measured at the threshold {measured or 0.5:g}, and it answers at {answers or 0.5:g}"
    assert row.note == (words if left_out else "")


def test_a_version_is_told_with_its_parameters_and_with_the_job_that_trained_it():
    world = ledger_world.world_at(START, {**ledger_world.SPEC, "project": "m", "model": "m"})
    snapshot = SnapshotRef(table="m", version=0, content_digest="c", schema_digest="d", rows=9, since=None, until=START)
    lineage = Lineage(
        run_key="r", mlflow_run="", git_commit=None, git_dirty=False, code_digest="a", environment_digest="b", snapshot=snapshot,
        parameters={"C": 0.3}, seed=0,
    )  # fmt: skip
    version = Version(
        model="m", number=1, manifest_digest="d", format=Format.ONNX, created_at=START, lineage=lineage, metrics=METRICS
    )
    first = Job(
        id="j-0001", model="m", status=JobStatus.REGISTERED, requested_at=START, as_of=START, cause="user:x", version=1, unit="u"
    )
    later = msgspec.structs.replace(
        first, id="j-0002", overrides={"tournament": {"champion": "u", "strategies": ["all"]}}, unit="w"
    )
    puts = (put("version", "m|000001", version), put("job", "j-0001", first), put("job", "j-0002", later))
    world.record(draft(START, "test", "test", {}, puts))
    (row,) = queries.versions(world)
    assert (row.parameters, row.job) == ({"C": 0.3}, "j-0001")
