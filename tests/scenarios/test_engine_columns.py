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


def test_a_release_says_when_it_opens_what_will_be_refused(tmp_path: Path) -> None:
    """Nobody else would: such requests are answered as long as the champion answers any, and no guard sees one that is refused."""
    project = Project(tmp_path, spec_of(AT_ONCE))
    narrow = msgspec.structs.replace(SIGNATURE.columns[0], maximum=100)
    project.workshop.signatures["j-0003"] = msgspec.structs.replace(SIGNATURE, columns=(narrow, *SIGNATURE.columns[1:]))
    project.first_champion()
    project.version()
    project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    assert [words for _, words in project.told.heard if "refuses what" in words] == []
    project.version()
    (told,) = [words for _, words in project.told.heard if "refuses what" in words]
    assert f"refuses what {project.release().champion} takes: 'x' above 100. Such requests" in told
    with pytest.raises(RequestError, match="x: found 120"):
        read(project, b'{"rows": [{"x": 120}]}')
