"""What units are called where several are told of."""

from datetime import UTC, datetime

import msgspec

from flyball.control.unit_names import names_of, with_id
from flyball.records.maps import ScoreMap
from flyball.records.unit import Unit

FIRST = Unit(id="ua", model="m", version=1, manifest_digest="d", threshold=0.5, policy_digest="p")


def made(unit: str, day: int | None = None, **changed: object) -> Unit:
    calibration = None
    if day is not None:
        until = datetime(2024, 2, day, 5, tzinfo=UTC)
        calibration = ScoreMap(method="isotonic", scores=(0.0, 1.0), answers=(0.0, 1.0), rows=9, until=until)
    return msgspec.structs.replace(FIRST, id=unit, calibration=calibration, **changed)


def test_units_of_one_version_are_told_apart_by_what_they_do_with_its_scores() -> None:
    units = FIRST, made("ub", 5), made("uc", threshold=0.88), made("ud", 7, threshold=0.88), made("ue", version=2)
    assert names_of(units, 0.5) == {
        "ua": "v1", "ub": "v1 (map of 2024-02-05)", "uc": "v1 (threshold 0.88)", "ud": "v1 (map of 2024-02-07, threshold 0.88)", "ue": "v2",
    }  # fmt: skip


def test_what_would_have_the_name_of_another_has_its_id() -> None:
    units = FIRST, made("ub", policy_digest="q"), made("uc", 5), made("ud", 5, policy_digest="q")
    assert names_of(units, 0.5) == {unit: f"v1 ({unit})" for unit in ("ua", "ub", "uc", "ud")}


def test_of_another_task_no_threshold_is_told() -> None:
    assert names_of((made("ua", threshold=None),), 0.5) == {"ua": "v1"}


def test_a_unit_by_itself_is_told_with_its_id_once() -> None:
    assert with_id("v1", 1, "ua") == with_id("", 1, "ua") == with_id("v1 (ua)", 1, "ua") == "version 1 (ua)"
    assert with_id("v1 (map of 2024-02-05)", 1, "ub") == "version 1 (map of 2024-02-05, ub)"
    assert with_id("", None, "ub") == "version ? (ub)"


def test_no_threshold_is_told_as_another_one_and_none_as_if_it_let_everything_through() -> None:
    """0.304 stood as `threshold 0.3` beside a declared 0.3, and 0.996 as `threshold 1`."""
    for threshold, told in (
        (0.304, "0.304"),
        (0.996, "0.996"),
        (0.99996, "0.99996"),
        (0.0012, "0.0012"),
        (0.88, "0.88"),
        (1.0, "1"),
        (0.0, "0"),
    ):
        assert names_of((made("ua", threshold=threshold),), 0.3) == {"ua": f"v1 (threshold {told})"}
    assert names_of((made("ua", threshold=1.0 - 1e-12),), 0.5) == {"ua": "v1 (threshold 0.999999999999)"}
