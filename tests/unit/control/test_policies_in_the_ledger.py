"""What the ledger says of incidents, and of what policies did, whatever their numbers have become and whatever a clock said then."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from flyball.adapters.clock import SimulatedClock
from flyball.adapters.ledger import MemoryLedger
from flyball.control import diagnosing
from flyball.control.world import Place, Ports, World, draft, put
from flyball.records.diagnosis import Diagnosis
from flyball.records.findings import FindingKind, Incident, IncidentKind
from flyball.spec import ProjectSpec

NOW, DAY = datetime(2026, 6, 1, tzinfo=UTC), timedelta(days=1)
SPEC = {
    "project": "m", "model": "m", "task": "binary", "train": {"entrypoint": "pipeline:train"},
    "data": {"source": {"files": "*.csv"}, "features": {"x": {"type": "number"}}, "time": "at", "key": "id", "label": "y"},
}  # fmt: skip


@pytest.fixture
def world() -> World:
    ports = Ports(SimulatedClock(NOW), MemoryLedger(), None, None, None, None, None, None)  # type: ignore[arg-type]
    made = World(ProjectSpec.model_validate(SPEC), Place(Path(), Path()), ports, lambda _style, _words: None)
    made.take_over("test")
    return made


def write(world: World, kind: str, key: str, value: msgspec.Struct, *, event: str = "test", subject: str = "test") -> None:
    world.record(draft(world.now(), event, subject, {}, (put(kind, key, value),)))


def taken_for(number: int, kind: IncidentKind, days: int) -> Diagnosis:
    return Diagnosis(incident=number, model="m", unit="u", at=NOW + days * DAY, kind=kind, score=1.0, hypotheses=(), words="")


def incident(*findings: int) -> Incident:
    return Incident(
        number=findings[0], model="m", unit="u", began=NOW, ended=None, owner="", findings=findings,
        standing=(FindingKind.PERFORMANCE,), subjects=(), harm=None, words="",
    )  # fmt: skip


def test_what_an_incident_was_taken_for_is_known_when_it_has_grown_together_with_an_earlier_one(world: World) -> None:
    for number, kind, days in ((2, IncidentKind.DATA_FAULT, 0), (4, IncidentKind.CONCEPT_SHIFT, 1)):
        write(world, "diagnosis", str(number), taken_for(number, kind, days))
    told = [diagnosing.of(world, incident(*numbers)) for numbers in ((2, 4), (1, 2, 4), (1, 3))]
    assert [each and each.kind for each in told] == [IncidentKind.DATA_FAULT, IncidentKind.CONCEPT_SHIFT, None]
