"""From when on a model is to learn: what the findings that stand say of it."""

from datetime import UTC, datetime, timedelta

import pytest

from flyball.control import remedies
from flyball.control.windows import SignalsAt
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind

AT = datetime(2026, 11, 27, tzinfo=UTC)
RISEN = SignalsAt(window=AT.isoformat(), unit="u1", signals={}, risen_since=AT)


def found(number: int, kind: FindingKind, day: int | None) -> Finding:
    return Finding(
        id=f"f-{number}", number=number, kind=kind, model="shop", unit="u1", subject="x", window_start=AT, window_end=AT, effect=1.0,
        effect_unit="share", evidence=Evidence(name="share", value=1.0, n=100), share_of_budget=None, words="",
        changed_since=None if day is None else AT + timedelta(days=day),
    )  # fmt: skip


@pytest.mark.parametrize("kind", [FindingKind.OPERATIONS, FindingKind.SERVING, FindingKind.DATA_QUALITY])
def test_since_when_the_service_is_unusual_is_no_time_from_which_on_to_learn(kind: FindingKind) -> None:
    strange = found(9, kind, 9)
    assert remedies._changed_since((found(1, FindingKind.PERFORMANCE, 3), strange), [RISEN]) == AT + timedelta(days=3)
    assert remedies._changed_since((strange,), [RISEN]) == AT
    assert remedies._changed_since((strange,), []) is None


@pytest.mark.parametrize("kind", [FindingKind.PERFORMANCE, FindingKind.ESTIMATED_PERFORMANCE, FindingKind.CONCEPT_DRIFT])
def test_what_tells_of_the_loss_or_the_concept_comes_before_newer_drift(kind: FindingKind) -> None:
    drift = found(9, FindingKind.FEATURE_DRIFT, 9)
    assert remedies._changed_since((found(1, kind, 3), drift), [RISEN]) == AT + timedelta(days=3)
    assert remedies._changed_since((drift, found(10, kind, None)), [RISEN]) == AT + timedelta(days=9)
    assert remedies._changed_since((found(1, kind, 3), found(2, kind, 4)), [RISEN]) == AT + timedelta(days=4)
