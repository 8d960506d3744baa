"""Crash-point enumeration: a controller dies before and after every writing call of five whole stories; the end is the untouched run's.

K, the calls around which it dies: 50 in a release, 76 in a rollback, 53 in a remedy, 91 in two tournaments, 51 in a stop (at least so many are
asserted). Nothing outside changes between two calls, so dying after one is dying before the next; that is tried all the same. On real files, inside
commits too: tests/simulation.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_deaths import Mortal, end_of
from engine_world import AT_ONCE, DAY, HOUR, Model, Project, spec_of
from tests.simulation.forks import Forks
from tests.simulation.fuse import Fuse

from flyball.control import commands, decisions, verification
from flyball.control.ports import StepRequest
from flyball.errors import Fenced
from flyball.records.jobs import Job, JobStatus
from flyball.records.release import Phase
from flyball.records.tournaments import Tournament

QUICK = {
    "shadow": {"at_least": "6h", "at_most": "4d", "min_labels": 150},
    "steps": [{"traffic": "20%", "at_least": "6h", "at_most": "4d", "min_requests": 5}],
    "watch": "6h",
    "margin": 0.1,
}
ASK = [{"name": "old", "when": "champion.age_days >= 1", "do": "retrain", "needs": "approval", "cooldown": "30d"}]
TELL = [
    {"name": "tell", "when": "window.predictions > 0", "do": {"action": "notify", "message": "a day is over"}, "cooldown": "30d"}
]


TOURNAMENT = [
    {"name": "back", "when": "window.predictions > 100 && window.predictions < 140", "do": "reactivate", "cooldown": "300d"},
    {
        "name": "new",
        "when": "window.predictions > 140",
        "do": {"action": "improve", "entrants": ["all", "earlier"]},
        "cooldown": "300d",
    },
]
MEND = [
    {"name": "map", "when": "window.predictions > 100", "do": "recalibrate", "cooldown": "300d"},
    {"name": "stop", "when": "window.predictions > 140", "do": {"action": "stop", "message": "harm"}, "cooldown": "300d"},
]


def a_release(project: Project) -> None:
    """A first version, a second one through all phases, and a third that its gate refuses."""
    project.version()
    project.live(DAY, rows=150)
    project.version()
    project.live(3 * DAY, rows=150, until=lambda: project.release().phase is Phase.SETTLED and len(project.releases()) == 2)
    project.version(Model(passes=False))
    assert project.release().phase is Phase.SETTLED


def a_rollback(project: Project) -> None:
    """Rolled back in canary for harm; then, from settled, by a person: two of them at once."""
    project.version()
    project.live(DAY, rows=150)
    project.version()
    project.live(2 * DAY, rows=150, until=lambda: project.release().phase is Phase.SETTLED and len(project.releases()) == 2)
    worse = project.version()
    project.live(2 * DAY, rows=150, until=lambda: project.release().phase is Phase.CANARY)
    project.wrong[worse] = 1.0
    project.live(2 * DAY, rows=150, until=lambda: project.release().phase is Phase.ROLLED_BACK)
    project.roll_back()
    assert [release.phase for release in project.releases()] == ["settled", "settled", "rolled_back", "rolled_back"], project.said


def a_remedy(project: Project) -> None:
    """The autopilot tells a person, asks whether to retrain, is told yes, and the new version is released."""
    project.version()
    project.live(3 * DAY, rows=40, step=12 * HOUR, until=lambda: bool(project.approvals()))
    (asked,) = project.approvals()
    commands.answer(project.door, asked.id, yes=True, actor="user:me", reason="go on")
    project.live(DAY, rows=150)
    assert len(project.releases()) == 2


def a_tournament(project: Project) -> None:
    """The world turns, and the autopilot lets everybody compete; the unit before is released again. Then whoever was trained wins and is gated."""
    project.version(Model(wrong=1.0))
    project.live(DAY, rows=20)
    project.version()
    project.live(DAY, rows=20)
    project.turned = project.workshop.turned["j-0003"] = 1.0
    project.live(3 * DAY, rows=30, until=lambda: project.release().phase is Phase.SETTLED and len(project.releases()) == 3)
    project.turned = 0.5
    project.workshop.turned["j-0004"], project.workshop.plans["j-0004"] = 0.5, Model(wrong=0.5)
    project.live(3 * DAY, rows=40, until=lambda: project.release().phase is Phase.SETTLED and len(project.releases()) == 4)
    assert [each.winner.partition(":")[0] for each in project.door.all("tournament", Tournament)] == ["earlier", "all"]
    assert project.champion().unit == project.unit_of(4)


def a_stop(project: Project) -> None:
    """A recalibrated champion takes over; then the policy stops it, and a person resumes it."""
    first = project.version(Model(wrong=0.35))
    project.live(3 * DAY, rows=30, until=lambda: project.release().phase is Phase.SETTLED and len(project.releases()) == 2)
    project.live(2 * DAY, rows=40, until=lambda: project.answering() is None)
    assert project.answering() is None
    commands.order(project.door, "resume_serving", "user:me", "mended")
    project.tick()
    assert project.answering() == project.champion().unit != first


AT_ONCE_TOO = {"tournament", "stop"}
"""What a release goes through is killed in the others."""
STORIES: dict[str, tuple[Callable[[Project], None], list, int]] = {
    "release": (a_release, [], 49),
    "rollback": (a_rollback, [], 75),
    "remedy": (a_remedy, [*ASK, *TELL], 52),
    "tournament": (a_tournament, TOURNAMENT, 90),
    "stop": (a_stop, MEND, 50),
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packages")


def lived(root: Path, packages: Path, story: str, fuse: Fuse, instead: Callable[[Mortal], object] | None = None) -> Mortal:
    """In the same place each time: a package's path is part of what is compared."""
    live, policies, _ = STORIES[story]
    shutil.rmtree(root / "registry", ignore_errors=True)
    project = Mortal(root, packages, spec_of(AT_ONCE if story in AT_ONCE_TOO else QUICK, policies), fuse)
    fuse.instead = (lambda: instead(project)) if instead else None
    live(project)
    return project


def branched(forks: Forks, end: int, root: Path) -> bool:
    """Whether this is the child that goes on to this end. What a child registers lies where the teller will register."""
    before = set(root.glob("registry/*/*"))
    if forks.branch(end):
        return True
    for made in set(root.glob("registry/*/*")) - before:
        shutil.rmtree(made)
    return False


def told_of(found: dict[str, Any], expected: dict[str, Any]) -> str:
    different = [part for part, value in expected.items() if found[part] != value]
    return f"other {different}" if different else ""


LONG = ("tournament", "rollback", "remedy")
"""Dying after a call is dying before the next one here: of these that is tried every night."""


@pytest.mark.parametrize(
    ("story", "after"),
    [
        *((story, False) for story in STORIES),
        *(pytest.param(story, True, marks=[pytest.mark.nightly] if story in LONG else []) for story in STORIES),
    ],
)
def test_a_controller_that_dies_around_any_write_leaves_the_end_as_it_was(
    story: str, after: bool, tmp_path: Path, packages: Path
) -> None:
    whole = lived(tmp_path, packages, story, Fuse())
    expected, calls = end_of(whole), whole.fuse.names
    points = [number for number, name in enumerate(calls, 1) if name != "gateways.renew_lease"]
    assert len(points) > STORIES[story][2]
    print(f"{story}: K = {len(points)}")  # noqa: T201 - the figure of R2 and R3
    assert whole.deaths == 0
    fuse, forks = Fuse(points, after=after), Forks()
    fuse.asked = lambda: branched(forks, fuse.calls, tmp_path)

    def told() -> str:
        project = lived(tmp_path, packages, story, fuse)
        found = end_of(project)
        assert project.deaths == (1 if forks.is_child else 0)
        assert verification.verify(project.door, project.ledger).ok
        return told_of(found, expected)

    assert forks.tell(told) == ""
    wrong = {(place, calls[place - 1]): forks.told.get(place, "nobody died") for place in points}
    assert {place: words for place, words in wrong.items() if words} == {}


def test_a_second_death_during_recovery_changes_nothing_either(tmp_path: Path, packages: Path) -> None:
    whole = lived(tmp_path, packages, "rollback", Fuse())
    expected, n = end_of(whole), whole.fuse.calls
    generator = np.random.default_rng(20261122)
    for number in range(24):
        first = int(generator.integers(1, n))
        pair = {first, first + int(generator.integers(1, 6))}
        project = lived(tmp_path, packages, "rollback", Fuse(pair, after=bool(number % 2)))
        assert end_of(project) == expected, pair


@pytest.mark.parametrize("story", list(STORIES))
def test_a_controller_that_another_has_taken_over_from_cannot_write_any_more(story: str, tmp_path: Path, packages: Path) -> None:
    """Taken over from at every fifth call of the story, it goes on ticking beside its successor to the end."""
    whole = lived(tmp_path, packages, story, Fuse())
    expected, calls = end_of(whole), whole.fuse.names
    places = range(7, len(calls), 5)  # the first are those of its start
    fuse, forks = Fuse(places), Forks()

    def usurp(project: Mortal) -> None:
        if branched(forks, fuse.calls, tmp_path):
            project.ledger.claim("another", project.clock.now())

    def told() -> str:
        project = lived(tmp_path, packages, story, fuse, usurp)
        found = end_of(project)
        assert project.deaths == 0
        assert len(project.stale) <= (1 if forks.is_child else 0)
        return told_of(found, expected) or "fenced" * len(project.stale)

    assert forks.tell(told) == ""
    wrong = {(place, calls[place - 1]): forks.told.get(place, "nobody came") for place in places}
    assert {place: words for place, words in wrong.items() if words not in ("", "fenced")} == {}
    fenced = list(wrong.values()).count("fenced")
    assert fenced >= len(calls) // 5 - 2  # but for those after which nothing is left to write


def test_a_write_of_the_old_epoch_is_refused_whatever_it_is(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.version()
    old = project.engine
    project.restart()
    before = project.ledger.head()
    with pytest.raises(Fenced):
        old.releases.propose("u000000000000", "user:me")
    commands.order(project.door, "run", "user:me", "")
    with pytest.raises(Fenced):
        old.tick()
    assert project.ledger.head().seq == before.seq + 1  # the order itself
    project.tick()
    assert len(decisions.recorded(project.door)) == len({made.id for made in decisions.recorded(project.door)})


@pytest.mark.parametrize(("death", "attempts"), [("before it was launched", 1), ("with its child", 2)])
def test_an_attempt_counts_when_a_child_was_there(tmp_path: Path, death: str, attempts: int) -> None:
    """Who died between the record and the launch has launched nothing: the ledger of a run that was killed there is that of one that was not."""
    project = Project(tmp_path)
    launch, died = project.executor.launch, []

    def dying(request: StepRequest) -> None:
        if died or death == "with its child":
            if not died:
                project.executor.lost_launches.add(request.job.id)
            launch(request)
        died.append(request.job.id)

    project.executor.launch = dying
    project.version()
    project.restart()
    project.tick()
    (job,) = project.door.all("job", Job)
    assert (job.status, job.attempt) == (JobStatus.REGISTERED, attempts)
    assert [event.payload["attempt"] for event in project.ledger.events(kinds=("job.launched",))] == [*range(1, attempts + 1)]
    project.holds()
