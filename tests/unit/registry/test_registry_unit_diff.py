from datetime import UTC, datetime, timedelta

import msgspec

from flyball.records.maps import ScoreMap
from flyball.records.unit import Format, Lineage, SnapshotRef, Version
from flyball.registry.diff import diff
from flyball.registry.unit import altered, unit_of

AT = datetime(2026, 3, 1, tzinfo=UTC)
SNAPSHOT = SnapshotRef(table="shop", version=0, content_digest="c" * 64, schema_digest="d" * 64, rows=100, since=AT, until=AT)
LINEAGE = Lineage(
    run_key="k" * 64, mlflow_run="r", git_commit="1" * 40, git_dirty=False, code_digest="a" * 64, environment_digest="b" * 64,
    snapshot=SNAPSHOT, parameters={"depth": 3}, seed=1,
)  # fmt: skip
VERSION = Version(
    model="shop", number=1, manifest_digest="m" * 64, format=Format.ONNX, created_at=AT, lineage=LINEAGE, metrics={"roc_auc": 0.7}
)


def changed(**changes: object) -> Version:
    lineage = msgspec.structs.replace(
        LINEAGE, **{name: value for name, value in changes.items() if name in LINEAGE.__struct_fields__}
    )
    rest = {name: value for name, value in changes.items() if name not in LINEAGE.__struct_fields__}
    return msgspec.structs.replace(VERSION, lineage=lineage, **rest)


def test_the_same_parts_are_the_same_unit() -> None:
    unit = unit_of(VERSION, 0.5, "p" * 64)
    assert unit == unit_of(VERSION, 0.5, "p" * 64)
    assert unit.id.startswith("u")
    assert len(unit.id) == 13
    others = {
        unit_of(VERSION, 0.4, "p" * 64).id,
        unit_of(VERSION, 0.5, "q" * 64).id,
        unit_of(changed(number=2), 0.5, "p" * 64).id,
    }
    assert len(others | {unit.id}) == 4


def test_a_unit_without_a_calibration_has_the_id_that_it_had_before_there_was_any() -> None:
    assert unit_of(VERSION, 0.5, "p" * 64).id == "u054bbcb3426f"


def test_another_calibration_or_threshold_is_another_unit_of_the_same_version() -> None:
    unit = unit_of(VERSION, 0.5, "p" * 64)
    line = ScoreMap(method="platt", scores=(0.0, 1.0), answers=(0.1, 0.9), rows=100)
    made = [
        altered(unit, "p" * 64, calibration=line), altered(unit, "p" * 64, threshold=0.4), altered(unit, "q" * 64),
        altered(unit, "p" * 64, calibration=msgspec.structs.replace(line, rows=101)),
    ]  # fmt: skip
    assert len({each.id for each in made} | {unit.id}) == 5
    assert {(each.version, each.manifest_digest) for each in made} == {(1, "m" * 64)}
    assert altered(made[0], "p" * 64, calibration=None) == unit


def test_a_version_does_not_differ_from_itself() -> None:
    assert diff(VERSION, VERSION) == ()


def test_what_differs_is_told_in_words() -> None:
    snapshot = SnapshotRef(
        table="shop",
        version=4,
        content_digest="e" * 64,
        schema_digest="d" * 64,
        rows=150,
        since=AT,
        until=AT + timedelta(days=30),
    )
    new = changed(
        snapshot=snapshot, code_digest="f" * 64, git_commit="2" * 40, git_dirty=True, environment_digest="9" * 64, seed=2,
        parameters={"depth": 5, "rate": 0.1}, metrics={"roc_auc": 0.75}, format=Format.CODE,
    )  # fmt: skip
    words = [f"{one.subject}: {one.words}" for one in diff(VERSION, new)]
    assert words == [
        "data: snapshot shop@0 → shop@4",
        "data: rows: 100 → 150 (+50)",
        "data: newest row: 2026-03-01 00:00 → 2026-03-31 00:00",
        "code: 111111111111 → 222222222222 with uncommitted changes",
        "parameters: depth: 3 → 5 (+2)",
        "parameters: rate: new, 0.1",
        "parameters: seed: 1 → 2",
        "environment: another Python, platform or set of packages: bbbbbbbbbbbb → 999999999999",
        "metrics: roc_auc: 0.7 → 0.75 (+0.05)",
        "package: format: onnx → code",
    ]
