from datetime import UTC, datetime, timedelta

import pytest

from flyball.autopilot.entrants import NOT_THE_WORLD, Entrant, History, Strategy, entrant_of, possible
from flyball.records.findings import IncidentKind

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def history(**changed: object) -> History:
    return History(**{"begin": BEGIN, "until": BEGIN + timedelta(days=80), "rows": 8_000, "earlier": ("u1", "u2"), **changed})  # type: ignore[arg-type]


def names(known: History, kind: IncidentKind | None) -> list[str]:
    return [entrant.name for entrant in possible(known, kind)]


def test_a_name_gives_the_entrant_back():
    changed = history(change=BEGIN + timedelta(days=70), rows_since_change=1_000)
    everything = possible(changed, IncidentKind.CONCEPT_SHIFT)
    assert {each.strategy for each in everything} >= {
        Strategy.ALL,
        Strategy.SINCE,
        Strategy.RECENT,
        Strategy.WEIGHTED,
        Strategy.EARLIER,
    }
    assert tuple(entrant_of(each.name) for each in everything) == everything


def test_an_unknown_strategy_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match=r"expected a strategy .*recent.*, found 'recnt:60d'"):
        entrant_of("recnt:60d")


@pytest.mark.parametrize("kind", [IncidentKind.DATA_FAULT, IncidentKind.INFRASTRUCTURE])
def test_what_is_mended_elsewhere_is_no_reason_to_try_anything(kind):
    assert names(history(), kind) == []


@pytest.mark.parametrize("kind", sorted(NOT_THE_WORLD))
def test_nothing_is_trained_when_the_world_did_not_move(kind):
    assert not any(entrant.trains for entrant in possible(history(), kind))


def test_a_bad_release_is_answered_by_earlier_units_alone():
    assert names(history(), IncidentKind.BAD_RELEASE) == ["earlier:u1", "earlier:u2"]


def test_what_costs_no_training_comes_first():
    trains = [entrant.trains for entrant in possible(history(), None)]
    assert trains == sorted(trains)


def test_rows_since_the_change_are_an_entrant_once_there_are_enough():
    change = BEGIN + timedelta(days=75)
    assert f"since:{change.isoformat()}" in names(history(change=change, rows_since_change=500), IncidentKind.CONCEPT_SHIFT)
    assert not [name for name in names(history(change=change, rows_since_change=30), None) if name.startswith("since")]


def test_few_rows_are_not_divided_further():
    assert names(history(rows=100), None) == ["recalibrate", "earlier:u1", "earlier:u2", "all"]
    assert names(history(rows=10, earlier=()), None) == ["recalibrate"]


def test_a_recent_window_is_a_quarter_in_words_that_people_read():
    assert "recent:20d" in names(history(), None)
    assert "recent:6h" in names(history(until=BEGIN + timedelta(hours=25)), None)


def test_entrants_are_sorted_the_same_way_everywhere():
    assert sorted([Entrant(Strategy.WEIGHTED, "9d"), Entrant(Strategy.ALL)])[0] == Entrant(Strategy.ALL)
