"""Requests that were understood before a release are understood after it, whichever way it ended."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_models import scores_of
from engine_world import AT_ONCE, DAY, HOUR, SIGNATURE, Project, spec_of

from flyball.control.world import micros
from flyball.errors import RequestError
from flyball.gateway.answering import Answering
from flyball.gateway.batches import Batch, Job
from flyball.gateway.capture_writer import NoCapture
from flyball.gateway.metrics import Metrics
from flyball.gateway.runtimes.contract import Columns
from flyball.gateway.servable import accepted
from flyball.gateway.shadow_calls import ShadowCalls
from flyball.gateway.tables import LiveRoute, LiveTable, LiveUnit
from flyball.gateway.units import LoadedModel
from flyball.gateway.validation import RowReader
from flyball.records.captured import Captured
from flyball.records.release import Phase
from flyball.records.routing import RoutingTable
from flyball.records.scores import Scores
from flyball.records.signature import Column, ColumnType

DISCOUNT = Column(name="discount", type=ColumnType.NUMBER, minimum=0)
WITH_DISCOUNT = msgspec.structs.replace(SIGNATURE, columns=(*SIGNATURE.columns, DISCOUNT))
BOTH, ALONE = b'{"rows": [{"x": 1, "discount": 0}]}', b'{"rows": [{"x": 1}]}'


def read(project: Project, body: bytes) -> int:
    """As the gateways would; raises RequestError."""
    table = project.gateways.served["0"]
    assert table is not None
    return RowReader(accepted(table.routes[0]), 10).read(body).n


def test_a_column_that_the_champion_before_took_may_still_come_once_its_release_is_settled(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.workshop.signatures["j-0001"] = WITH_DISCOUNT
    project.first_champion()
    for _ in range(2):  # and after the next release, too
        project.version()
        assert read(project, BOTH) == 1
        project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
        assert project.release().phase is Phase.SETTLED
        assert read(project, BOTH) == read(project, ALONE) == 1
    with pytest.raises(RequestError, match="unknown field"):
        read(project, b'{"rows": [{"x": 1, "discuont": 0}]}')
    revision = project.gateways.served["0"].revision
    project.live(DAY)
    assert project.gateways.served["0"].revision == revision  # it stays, and is not written anew
    project.holds()


def test_a_column_that_only_a_challenger_took_may_still_come_when_it_is_taken_back(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.first_champion()
    project.workshop.signatures["j-0002"] = WITH_DISCOUNT
    second = project.version()
    assert project.champion().unit == second
    assert read(project, BOTH) == 1
    project.roll_back()
    project.live(12 * HOUR)
    assert project.release().phase is Phase.ROLLED_BACK
    assert read(project, BOTH) == read(project, ALONE) == 1


def test_a_column_that_comes_back_is_held_against_the_champion_again(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.workshop.signatures |= {"j-0001": WITH_DISCOUNT, "j-0003": WITH_DISCOUNT}
    project.first_champion()
    for _ in range(2):
        project.version()
        project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    with pytest.raises(RequestError, match="discount: found nothing"):
        read(project, ALONE)


class Says:
    """What a version that is right says to an `x`."""

    steady = True

    def score(self, columns: Columns, n: int) -> Scores:
        return scores_of(0.0, columns["x"])

    def close(self) -> None:
        """It holds nothing."""


class Answered(Project):
    """Each row is a request, read and answered as a gateway does: raises RequestError where that would be a 422."""

    def _answers(self, table: RoutingTable, ids: list[str], x: np.ndarray) -> list[Captured]:
        route, metrics = table.routes[0], Metrics(NoCapture())
        units = {each.unit.id: LiveUnit(each, LoadedModel("", each.signature, Says(), 10)) for each in route.units}
        live = LiveRoute(route, units, None, route, 1000)
        answering = Answering(metrics, lambda: True, lambda: 0.0)

        async def answered() -> list[Captured]:
            loop = asyncio.get_running_loop()
            read = [live.reader.read(msgspec.json.encode({"rows": [{"x": value}]})) for value in x.tolist()]
            batch = Batch(
                [Job(rows, None, None, loop.create_future()) for rows in read], micros(self.clock.now()), ids, live.builder
            )
            found = answering.at_once(live, batch)
            assert found.failed == {}
            shadows = ShadowCalls(answering, metrics, lambda: [live])
            own = LiveTable(table, {route.model: live}, [], {})
            return [
                *found.records(live, batch, table.revision),
                *await shadows.records(own, live, [(batch, found)], at_once=True),
            ]

        records = asyncio.run(answered())
        for unit in units.values():
            unit.model.close()
        return records


def raised(project: Project, **limits: float) -> None:
    """The second version takes less."""
    narrow = msgspec.structs.replace(SIGNATURE.columns[0], **limits)
    project.workshop.signatures["j-0002"] = msgspec.structs.replace(SIGNATURE, columns=(narrow, *SIGNATURE.columns[1:]))


@pytest.mark.parametrize(
    "release", [AT_ONCE, {**AT_ONCE, "steps": [{"traffic": "50%", "at_most": "4d"}]}], ids=["full", "canary"]
)
def test_a_version_whose_limits_are_narrower_is_taken_back_and_nobody_is_refused(tmp_path: Path, release: dict[str, Any]) -> None:
    """One request in twenty is below the raised minimum; every one of them is answered."""
    project = Answered(tmp_path, spec_of(release))
    first = project.first_champion()
    raised(project, minimum=-1.8)
    second = project.version()
    assert project.release().challenger == second
    project.live(4 * DAY, rows=200, step=HOUR, until=lambda: project.release().phase is Phase.ROLLED_BACK)
    assert project.release().phase is Phase.ROLLED_BACK, project.engine.releases.waiting_for
    assert "harm is shown: failure_rate" in project.release().reason
    assert project.champion().unit == first
    project.holds()


def test_a_version_whose_limits_hold_what_comes_settles(tmp_path: Path) -> None:
    project = Answered(tmp_path, spec_of(AT_ONCE))
    project.first_champion()
    raised(project, minimum=-2, maximum=2)
    second = project.version()
    project.live(2 * DAY, rows=200, step=HOUR, until=lambda: project.release().phase is Phase.SETTLED)
    assert (project.release().phase, project.champion().unit) == (Phase.SETTLED, second)


def test_a_release_says_when_it_opens_what_its_version_does_not_take(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    narrow = msgspec.structs.replace(SIGNATURE.columns[0], maximum=100)
    project.workshop.signatures["j-0003"] = msgspec.structs.replace(SIGNATURE, columns=(narrow, *SIGNATURE.columns[1:]))
    project.first_champion()
    project.version()
    project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    assert [words for _, words in project.told.heard if "takes less" in words] == []
    project.version()
    (told,) = [words for _, words in project.told.heard if "takes less" in words]
    assert f"takes less than {project.release().champion}: not 'x' above 100. Such requests count as its failures until" in told
    assert "no guard" not in told
    assert read(project, b'{"rows": [{"x": 120}]}') == 1
    project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    with pytest.raises(RequestError, match="x: found 120"):
        read(project, b'{"rows": [{"x": 120}]}')


def test_a_release_says_that_no_guard_sees_which_fields_will_be_refused(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.workshop.signatures["j-0001"] = msgspec.structs.replace(SIGNATURE, extra="ignore")
    project.first_champion()
    project.version()
    (told,) = [words for _, words in project.told.heard if "no guard sees" in words]
    assert "refuses fields that are no columns. Such requests are answered until all traffic is its own" in told
    assert "takes less" not in told
    with pytest.raises(RequestError, match="unknown field"):
        read(project, b'{"rows": [{"x": 1, "y": 2}]}')
