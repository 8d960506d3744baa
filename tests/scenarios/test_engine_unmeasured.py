"""What cannot be measured keeps no release from being taken back, and no record from being read."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_world import AT_ONCE, DAY, HOUR, RELEASE, SIGNATURE, Project, spec_of

from flyball.control import commands, maturing, remedies
from flyball.control.loop import tick_once
from flyball.control.observe import WindowKey
from flyball.control.windows import SignalHistory, SignalsAt
from flyball.control.world import micros
from flyball.errors import ModelFailed, NotFound, TrackingFailed
from flyball.records.captured import PredictionBatch
from flyball.records.findings import WindowSummary
from flyball.records.release import Phase, Replayed


class Unreadable:
    """A controller in whose hands the champion's reference has become unreadable, in a way that nobody foresaw."""

    def __init__(self, project: Project) -> None:
        self.heard: list[str] = []
        project.engine.observation.files.reference = self._fails  # type: ignore[method-assign]

    def _fails(self, unit: str) -> Any:
        raise KeyError(f"reference of {unit}")


def ticks(project: Project, days: float) -> list[str]:
    """What ticks complained of."""
    words = []
    for _ in range(int(days * 4)):
        project.send(60)
        project.clock.sleep(6 * HOUR)
        project.deliver()
        words.append(tick_once(project.engine))
        if project.release().phase is Phase.ROLLED_BACK:
            break
    return words


def in_phase(project: Project, phase: str) -> None:
    project.first_champion()
    project.version()
    project.live(12 * DAY, until=lambda: project.phases("r-0002")[-1] == phase)
    assert project.phases("r-0002")[-1] == phase


@pytest.mark.parametrize(("phase", "scored"), [("shadow", 1), ("canary 0", 0), ("watching", 0)])
def test_failures_take_a_release_back_while_its_loss_cannot_be_measured(tmp_path: Path, phase: str, scored: int) -> None:
    project = Project(tmp_path)
    in_phase(project, phase)
    Unreadable(project)
    words = ticks(project, scored)  # in the shadow a loss is asked for once there are rows that both could answer
    project.failing.add(project.release().challenger)
    words += ticks(project, 3)
    assert project.release().phase is Phase.ROLLED_BACK, words
    assert "harm is shown: failure_rate" in project.release().reason
    assert any("KeyError" in each for each in words), "it is told all the same"


def test_a_guard_that_can_never_be_measured_holds_and_gives_up_at_the_deadline(tmp_path: Path) -> None:
    project = Project(tmp_path)
    in_phase(project, "shadow")
    Unreadable(project)
    ticks(project, 3)
    assert project.release().phase is Phase.SHADOW
    assert "loss: it could not be measured: KeyError" in project.engine.releases.waiting_for
    ticks(project, 2)
    assert project.release().phase is Phase.ROLLED_BACK
    assert "gave up" in project.release().reason


def test_an_ordered_rollback_ends_while_nothing_can_be_measured(tmp_path: Path) -> None:
    project = Project(tmp_path)
    in_phase(project, "canary 0")
    Unreadable(project)
    commands.order(project.door, "roll_back", "user:me", "it looks odd")
    tick_once(project.engine)
    assert project.release().phase is Phase.ROLLED_BACK


def test_a_slice_over_a_feature_that_a_unit_lacks_keeps_no_record_from_being_read(tmp_path: Path) -> None:
    guards = [{"metric": "loss", "slice": "far", "margin": 0.1}]
    slices = [{"name": "far", "where": "distance > 10.0"}]
    project = Project(tmp_path, spec_of({**RELEASE, "guards": guards}, monitor={"min_rows": 20, "slices": slices}))
    project.first_champion()
    project.version()
    members = project.engine.observation.members
    batch = PredictionBatch(
        at_us=2**60, model="shop", unit=project.release().champion or "", role="champion", revision=1, ids=["a"], keys=["a"],
        columns={"x": [1.0]}, scores=[[0.5]], latency_us=1,
    )  # fmt: skip
    members.add(batch)
    assert members.of("far") == frozenset()
    project.live(DAY)
    joined = project.engine.observation.join
    assert joined is not None
    assert joined.counts().predictions == project.sent


REPLAYED: dict[str, Any] = {**RELEASE, "replay": {"rows": 400}}


def replayed_of(project: Project) -> Replayed:
    found = project.door.get("replayed", project.release().id, Replayed)
    assert found is not None
    return found


def test_captured_requests_that_do_not_fit_a_challenger_are_not_asked(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(REPLAYED))
    project.first_champion()
    project.scorer.score = _does_not_fit  # type: ignore[method-assign]
    project.version()
    assert project.release().phase is Phase.SHADOW
    replayed = replayed_of(project)
    assert replayed.rows == 0
    assert replayed.words.endswith("they do not fit its signature (ValueError in the feature 'x')")
    told_only_in_the_log(project)


@pytest.mark.parametrize(
    ("outcome", "asked", "words"),
    [
        (["died"], 0, "no captured request could be asked: the scoring child ended with exit code -9"),
        ([0.5] * 396 + [None] * 4, 400, "it answered 396 of 400 captured rows"),
        ([0.5] * 200, 200, "it answered 200 captured rows, and for 200 more there was no time"),
    ],
)
def test_a_challenger_answers_for_those_captured_requests_alone_that_it_failed_by(
    tmp_path: Path, outcome: list[Any], asked: int, words: str
) -> None:
    project = Project(tmp_path, spec_of({**REPLAYED, "margin": 1.0}))
    project.first_champion()
    project.live(DAY, rows=200)

    def score(package: Path, rows: Any) -> Any:
        if outcome == ["died"]:
            raise ModelFailed("the scoring child ended with exit code -9", died=True)
        return np.array(outcome, dtype=np.float64)[:, None]

    project.scorer.score = score  # type: ignore[method-assign]
    project.version()
    replayed = replayed_of(project)
    assert (replayed.rows, replayed.words) == (asked, words)
    assert project.release().phase is Phase.SHADOW, project.release().reason


@pytest.mark.parametrize(("failing", "phase"), [(False, Phase.ROLLED_BACK), (True, Phase.SHADOW)])
def test_what_a_challenger_fails_by_is_held_against_what_the_champion_failed_by_meanwhile(
    tmp_path: Path, failing: bool, phase: Phase
) -> None:
    project = Project(tmp_path, spec_of({**REPLAYED, "margin": 1.0}))
    champion = project.first_champion()
    for fails in (False, failing, False):
        project.failing = {champion} if fails else set()
        project.send(20 if fails else 200)
        project.clock.sleep(HOUR)
    project.failing = set()
    project.deliver()
    project.scorer.score = lambda *_: np.array([0.5] * 380 + [np.nan] * 20)[:, None]  # type: ignore[method-assign]
    project.version()
    assert project.release().phase is phase, project.release().reason
    (found,) = (each for each in replayed_of(project).evidence if each.name == "replay:failure_rate")
    assert found.note == f"champion {'20 of 420' if failing else '0 of 400'}, challenger 20 of 400"


def _does_not_fit(package: Path, rows: Any) -> Any:
    rows[0]["x"] = PRIVATE
    return [float(row["x"]) for row in rows]


PRIVATE = "Jane Doe, 3 Elm St"


def told_only_in_the_log(project: Project) -> None:
    assert PRIVATE not in repr(project.ledger.events())
    assert any(PRIVATE in words for _, words in project.said)


def test_what_nobody_foresaw_is_in_the_ledger_by_its_kind_and_place(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.engine.forgetting.look = lambda: float(PRIVATE)  # type: ignore[method-assign, assignment, return-value]
    words = tick_once(project.engine)
    assert re.fullmatch(r"ValueError in flyball\.control\.engine, line \d+", words)
    assert tick_once(project.engine) == words
    (event,) = project.ledger.events(kinds=("tick.failed",))
    assert event.payload == {"words": words}
    told_only_in_the_log(project)


def test_a_guard_that_cannot_be_measured_quotes_nobody(tmp_path: Path) -> None:
    project = Project(tmp_path)
    in_phase(project, "canary 0")

    def fails(unit: str) -> Any:
        return float(PRIVATE)

    project.engine.observation.files.reference = fails  # type: ignore[method-assign]
    ticks(project, 3)
    assert "it could not be measured: ValueError in flyball.control." in repr(project.ledger.events())
    told_only_in_the_log(project)


def test_a_challenger_that_can_never_be_asked_is_given_up(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(REPLAYED))
    project.first_champion()
    Unreadable(project)
    order = commands.order(project.door, "run", "user:me", "")
    assert order.status == "open"
    assert any("KeyError" in each for each in ticks(project, 2))
    assert project.release().phase is Phase.PROPOSED
    ticks(project, 3)
    assert project.release().phase is Phase.ROLLED_BACK
    assert "gave up" in project.release().reason


def test_captured_answers_of_an_earlier_champion_are_not_taken_for_this_ones(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of({**REPLAYED, "replay": {"rows": 20_000}, "labels": "never", "watch": "6h"}))
    first = project.first_champion()
    project.version()
    project.live(6 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    project.live(DAY, rows=50)
    project.scorer.asked.clear()
    project.version()
    (asked,) = project.scorer.asked
    kept = project.engine.observation.recent_rows
    assert asked == len(kept.whole(project.release().champion or "", SIGNATURE)) > 0
    assert kept.whole(first, SIGNATURE)


def test_windows_that_cannot_be_closed_are_closed_unjudged_and_policies_look_at_the_end_of_each(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor={"min_rows": 20}))
    unit = project.version()
    project.live(2 * DAY)
    read, began = project.engine.observation.files.reference, project.clock.now()
    Unreadable(project)
    words = ticks(project, 1)
    assert all("KeyError" in each for each in words[3:])
    assert len(looks_since(project, began)) == 0, "it may be mended at the next look"
    words = ticks(project, 3)
    assert len(looks_since(project, began)) == 3, "each is tried for a quarter of its length"
    words += ticks(project, 0.25)
    mine = [window for window in project.windows() if window.end > began]
    assert len(mine) == 4
    assert all(window.void.startswith("it could not be judged: KeyError in flyball.") for window in mine)
    assert all((window.predictions, window.drift) == (240, {}) for window in mine)
    assert [look["signals"]["window.predictions"] for look in looks_since(project, began)] == [240] * 4
    project.engine.observation.files.reference = read  # type: ignore[method-assign]
    project.live(2 * DAY)
    closed = [event.subject for event in project.ledger.events(kinds=("window.closed",))]
    assert closed == sorted(closed), "in order of time"
    assert len(remedies._in_a_row(project.door, seen_by_policies(project))) == 8
    last = project.windows()[-1]
    assert (last.unit, last.void, bool(last.drift)) == (unit, "", True)
    project.holds()


def test_one_window_that_cannot_be_closed_costs_policies_no_look(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor={"min_rows": 20}))
    project.version()
    project.live(2 * DAY)
    counted, bad = project.engine.observation.counted, micros(project.clock.now())
    asked: list[int] = []

    def fails(key: WindowKey) -> Any:
        asked.append(key[1])
        if key[1] == bad:
            raise KeyError(PRIVATE)
        return counted(key)

    project.engine.observation.counted = fails  # type: ignore[method-assign]
    ticks(project, 4)
    assert [bool(window.void) for window in project.windows()] == [False, False, True, False, False, False]
    assert asked == sorted(asked)
    assert len(remedies._in_a_row(project.door, seen_by_policies(project))) == 6
    told_only_in_the_log(project)


def test_while_a_registry_is_away_policies_look_at_what_is_known_and_windows_are_judged_in_order_later(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor={"min_rows": 20}))
    project.version()
    project.live(2 * DAY)
    files, began = project.engine.observation.files, project.clock.now()
    read = files.reference

    def away(unit: str) -> Any:
        raise TrackingFailed("the registry does not answer")

    files.reference = away  # type: ignore[method-assign]
    ticks(project, 3)
    assert len(project.windows()) == 2
    assert [look["signals"]["window.predictions"] for look in looks_since(project, began)] == [240] * 3
    files.reference = read  # type: ignore[method-assign]
    project.live(DAY)
    assert [(window.predictions, window.void) for window in project.windows()] == [(240, "")] * 6
    closed = [event.subject for event in project.ledger.events(kinds=("window.closed",))]
    assert closed == sorted(closed)
    assert len(looks_since(project, began)) == 4
    project.holds()


def test_rows_that_cannot_be_counted_keep_no_record_from_being_read(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor={"min_rows": 20}))
    project.version()
    project.send(60)
    project.tick()
    Unreadable(project)
    for rows in (2_100, 60):
        project.send(rows)
        project.tick()
    joined = project.engine.observation.join
    assert joined is not None
    assert joined.counts().predictions == project.sent == 2_220


@pytest.mark.parametrize("lasts", [True, False])
def test_labels_are_joined_where_the_champion_s_version_is_no_longer_registered_and_wait_for_a_registry_that_is_away(
    tmp_path: Path, *, lasts: bool
) -> None:
    """One that was taken out comes back no more, and without it the shape of the join is told from the routing table. One that is away is waited for: strata
    that a join began without would lack until the controller is started again."""
    project = Project(tmp_path, spec_of(AT_ONCE, monitor={"min_rows": 20}))
    project.version()
    project.restart()
    files = project.engine.observation.files
    read = files.reference

    def gone(unit: str) -> Any:
        raise NotFound("version 1 of shop is not registered") if lasts else TrackingFailed("the registry does not answer")

    files.reference = gone  # type: ignore[method-assign]
    project.send(60)
    assert bool(tick_once(project.engine)) != lasts
    assert (project.engine.observation.join is not None) == lasts
    files.reference = read  # type: ignore[method-assign]
    project.tick()
    joined = project.engine.observation.join
    assert joined is not None
    assert joined.counts().predictions == project.sent == 60


def test_a_window_that_cannot_be_revised_keeps_no_other_from_it(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor={"min_rows": 20, "mature_share": 0.5}))
    project.version()
    late = []
    for _ in range(2):
        project.live(DAY - HOUR, step=HOUR, rows=10)
        project.send(10)
        late += [batch for _, batch in project.late[-1:]]
        project.late = []
        project.clock.sleep(HOUR)
        project.tick()
    project.live(DAY)
    first, second = [window for window in project.windows() if window.mature][:2]
    hands = project.engine.windows._maturing
    judged = hands._judged

    def fails(window: WindowSummary, read: Any) -> Any:
        if window.start == first.start:
            raise KeyError("x")
        return judged(window, read)

    hands._judged = fails  # type: ignore[method-assign]
    project.capture.hand_over(late)
    assert any("KeyError" in each for each in ticks(project, 1))
    assert [(window.start, window.labels) for window in revised(project)] == [(second.start, second.labels + 10)]
    hands._judged = judged  # type: ignore[method-assign]
    project.live(DAY)
    assert (first.start, first.labels + 10) in [(window.start, window.labels) for window in revised(project)]


def revised(project: Project) -> list[WindowSummary]:
    changed = {event.subject.removeprefix("window:") for event in project.ledger.events(kinds=("window.revised",))}
    return [window for window in project.windows() if maturing.window_of(window).id in changed]


def looks_since(project: Project, began: datetime) -> list[dict[str, Any]]:
    told = [event.payload for event in project.ledger.events(kinds=("signals.gathered",))]
    return [look for look in told if datetime.fromisoformat(look["window"]) >= began]


def seen_by_policies(project: Project) -> list[SignalsAt]:
    history = project.door.get("signals", "shop", SignalHistory)
    assert history is not None
    return list(history.recent)
