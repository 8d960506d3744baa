"""When it is measured what an act brought: once labels of the rows that both units answered are there."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from ledger_world import SPEC, world_at

from flyball.capture.join import LabelJoin
from flyball.control.effects import Effects
from flyball.control.label_delay import LabelDelay
from flyball.control.todos import Todo
from flyball.control.world import World, draft, micros, put
from flyball.records.captured import LabelBatch, PredictionBatch
from flyball.records.decisions import Action
from flyball.records.effects import Effect, EffectTrack
from flyball.records.release import Champion, Phase, ReleaseState
from flyball.records.unit import Unit

BEGIN, DAY = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1)
SINCE, SETTLED = BEGIN + 7 * DAY, BEGIN + 14 * DAY
A_DAY = 20


class Life:
    """A week of a release in which both answer, a week in which u2 is champion and u1 answers beside it, and what comes after it."""

    def __init__(self, rows: int = A_DAY, **spec: Any) -> None:
        self.world: World = world_at(SETTLED, {**SPEC, **spec})
        release = ReleaseState(
            id="r-0002", model="shop", challenger="u2", champion="u1", phase=Phase.SETTLED, opened_at=BEGIN, entered_at=SETTLED,
            cause="d-000001", job="j-0002",
        )  # fmt: skip
        action = Action(kind="retrain", subject="model:shop", arguments={})
        todo = Todo(id="d-000001.0", decision="d-000001", action=action, done=True)
        champion = Champion(model="shop", unit="u2", since=SINCE, release="r-0002", verified=("u1", "u2"))
        puts = (put("release", release.id, release), put("todo", todo.id, todo), put("champion", "shop", champion))
        self.world.record(draft(BEGIN, "test.began", "model:shop", {}, puts))
        self.join = LabelJoin("binary", ("0", "1"), 1)
        self.truth: dict[str, str] = {}
        draw = np.random.default_rng(1)
        for day in range(14):
            ids = [f"{day}-{row}" for row in range(rows)]
            self.truth |= {name: "1" if draw.random() < 0.2 else "0" for name in ids}
            for unit, role in [("u1", "champion"), ("u2", "shadow")] if day < 7 else [("u2", "champion"), ("u1", "shadow")]:
                score = 0.4 if unit == "u1" else 0.3
                self.join.add(
                    PredictionBatch(
                        at_us=micros(BEGIN + day * DAY), model="shop", unit=unit, role=role, revision=1, ids=ids, keys=ids,
                        columns={}, scores=[[score]] * rows, latency_us=1,
                    )
                )  # fmt: skip
        self.delay = LabelDelay(self.world.spec, 14)
        files = SimpleNamespace(reference=lambda _unit: SimpleNamespace(task="binary", scale=1.0))
        self.effects = Effects(self.world, SimpleNamespace(join=self.join, label_delay=self.delay, files=files))  # type: ignore[arg-type]

    def tell(self, age: timedelta, share: float = 1.0) -> None:
        """Labels of the first rows of each day, at that age."""
        for name, value in self.truth.items():
            day, row = map(int, name.split("-"))
            if row < share * len(self.truth) / 14:
                at = micros(BEGIN + day * DAY + age)
                self.join.add(LabelBatch(at_us=at, model="shop", ids=[name], values=[value], observed_us=[at]))

    def look(self, at: datetime) -> Effect:
        self.world.ports.clock._now = at  # type: ignore[attr-defined]
        self.delay.windows = (at - BEGIN) // DAY
        self.effects.look()
        found = self.world.get("effect", "r-0002", Effect)
        assert found is not None
        return found

    def brought(self) -> float:
        """On all rows since u2 is champion."""
        return float(np.mean([(0.3 - y) ** 2 - (0.4 - y) ** 2 for y in self.later()]))

    def later(self) -> list[float]:
        return [float(value) for name, value in self.truth.items() if int(name.split("-")[0]) >= 7]


def test_labels_that_take_two_months_are_waited_for_where_nobody_has_said_so() -> None:
    life = Life()
    assert life.look(SETTLED).realised is None
    assert life.look(SETTLED + 30 * DAY).realised is None
    life.tell(60 * DAY)
    found = life.look(SETTLED + 61 * DAY)
    assert found.realised is not None
    assert found.realised.value == pytest.approx(life.brought())
    assert found.old_loss == pytest.approx(np.mean([(0.4 - y) ** 2 for y in life.later()]))


def test_nothing_is_foretold_from_labels_that_may_be_those_that_come_first() -> None:
    """Of each day a quarter has been told so far, and of no age is it known that no other comes."""
    life = Life()
    life.tell(DAY / 8, 0.25)
    assert life.delay.ripe(life.join, micros(SINCE + DAY / 4)).unknown
    found = life.look(SINCE + DAY / 4)
    assert found.predicted.value is None


def test_a_declared_delay_is_kept_to_and_more_labels_are_waited_for_where_too_few_have_come() -> None:
    life = Life(data=SPEC["data"] | {"label_delay": "10d"})
    life.tell(10 * DAY, 0.3)
    assert life.look(SETTLED + 9 * DAY).realised is None
    assert life.look(SETTLED + 11 * DAY).realised is None, "42 labelled rows are too few, and the others may have theirs yet"
    life.tell(12 * DAY)
    found = life.look(SETTLED + 13 * DAY)
    assert found.realised is not None
    assert found.realised.n == 7 * A_DAY


@pytest.mark.parametrize(("keep", "last"), [(None, SETTLED + 90 * DAY), ("30d", BEGIN + 30 * DAY)])
def test_labels_that_never_come_are_waited_for_as_long_as_those_of_a_window_and_hold_up_no_forgetting(
    keep: str | None, last: datetime
) -> None:
    life = Life(**({} if keep is None else {"capture": {"keep": keep}}))
    assert life.look(last - DAY).realised is None
    found = life.look(last)
    assert found.realised is not None
    assert found.realised.value is None
    assert "0 labels are too few" in found.words
    assert life.look(last + DAY) == found


def test_where_all_labels_are_there_and_too_few_nothing_is_waited_for() -> None:
    life = Life(rows=5)
    life.tell(DAY / 8)
    found = life.look(SETTLED + DAY)
    assert found.realised is not None
    assert found.realised.value is None
    assert found.words == "too few labelled rows that both units answered after it took effect"


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"policy_digest": "q"}, None),
        ({"threshold": 0.3}, "cost_difference"),
        ({"threshold": 0.3, "manifest_digest": "e", "version": 2}, "loss_difference"),
    ],
)
def test_what_answers_the_same_brings_nothing_and_a_threshold_what_wrong_answers_cost(
    changed: dict[str, Any], name: str | None
) -> None:
    """Else every one came to what was foretold, nothing, and no bad one could ever cost autonomy."""
    life = Life()
    old = Unit(id="u1", model="shop", version=1, manifest_digest="d", threshold=0.5, policy_digest="p")
    new = msgspec.structs.replace(old, id="u2", **changed)
    life.world.record(draft(BEGIN, "test.began", "model:shop", {}, [put("unit", each.id, each) for each in (old, new)]))
    life.tell(DAY / 8)
    found = life.look(SETTLED + DAY)
    assert found.realised is not None
    assert (found.words == found.realised.note == found.predicted.note) is (name is None)
    assert (life.world.get("effects", "retrain", EffectTrack) is None) is (name is None)
    if name is None:
        assert found.realised.value is None
        return
    assert found.predicted.name == found.realised.name == name
    # 0.3 is yes at 0.3 and wrong where the label is no; 0.4 is no at 0.5 and wrong where it is yes: one half each
    costs = float(np.mean([0.5 * (1 - y) - 0.5 * y for y in life.later()]))
    assert found.realised.value == pytest.approx(costs if name == "cost_difference" else life.brought(), abs=1e-6)


def track_of(life: Life) -> EffectTrack:
    found = life.world.get("effects", "retrain", EffectTrack)
    assert found is not None
    return found


def test_an_act_that_did_harm_counts_however_wide_was_what_was_foretold() -> None:
    """Four good days and three bad ones foretell next to nothing; whatever comes then was to be expected."""
    life = Life()
    life.truth = {name: "0" if int(name.split("-")[0]) < 4 else "1" for name in life.truth}
    life.tell(DAY / 8)
    found = life.look(SETTLED + DAY)
    assert found.expected is not None
    assert found.realised is not None
    assert found.expected[0] < 0.0 < found.realised.value < found.expected[1]  # type: ignore[operator]
    assert (found.missed, found.harmed, found.worse, found.untold) == (False, True, True, False)
    assert found.words.endswith("was to be expected: it did harm (+0.1300 to +0.1300)")
    track = track_of(life)
    assert (track.judged, track.missed, track.worse, track.harmed) == (1, 0, 1, 1)


def test_of_an_act_that_was_not_foretold_harm_is_told_and_nothing_else() -> None:
    life = Life()
    life.truth = dict.fromkeys(life.truth, "1")
    assert life.look(SINCE + DAY / 4).predicted.value is None
    life.tell(DAY / 8)
    found = life.look(SETTLED + DAY)
    assert (found.expected, found.missed, found.worse) == (None, None, True)
    assert found.words.endswith("; nothing was foretold: it did harm (+0.1300 to +0.1300)")
    track = track_of(life)
    assert (track.judged, track.unforetold, track.missed, track.worse) == (1, 1, 0, 1)


def test_what_came_as_foretold_and_would_have_if_it_brought_nothing_is_told_so() -> None:
    life = Life()
    draw = np.random.default_rng(3)
    life.truth = {name: str(int(draw.random() < 0.35)) for name in life.truth}
    life.tell(DAY / 8)
    found = life.look(SETTLED + DAY)
    assert (found.missed, found.worse, found.untold) == (False, False, True)
    assert found.words.endswith("was to be expected: too wide to tell whether it helped")
