"""Requests that were understood before a release are understood after it, whichever way it ended."""

from pathlib import Path

import msgspec
import pytest
from engine_world import AT_ONCE, DAY, HOUR, SIGNATURE, Project, spec_of

from flyball.errors import RequestError
from flyball.gateway.servable import accepted
from flyball.gateway.validation import RowReader
from flyball.records.release import Phase
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
