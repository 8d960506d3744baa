"""Strategies and guards of releases through the whole engine: what decides, and what a late label changes."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engine_world import AT_ONCE, DAY, HOUR, RELEASE, Model, Project, spec_of

from flyball.errors import SpecError
from flyball.records.release import Phase, ReleaseLook, Replayed
from flyball.spec.load import parse_project

AB: dict[str, Any] = {
    "strategy": "ab",
    "shadow": None,
    "steps": [{"traffic": "50%", "at_least": "6h", "at_most": "6d", "min_requests": 100}],
    "labels": "never",
    "watch": "1d",
    "margin": 0.1,
    "guards": [{"metric": "reward", "between": [0, 1], "margin": 0.0}],
}
LATE: dict[str, Any] = {
    "strategy": "blue_green",
    "shadow": {"at_least": "6h", "at_most": "4d", "min_labels": 0},
    "labels": "while_watching",
    "watch": "1d",
    "watch_at_most": "14d",
    "margin": 0.05,
}


def until_decided(project: Project, days: int = 8, **traffic: Any) -> Phase:
    """The phase that the newest release comes to: champion's or taken back, or where it stands at the end."""
    ends = {Phase.FULL, Phase.WATCHING, Phase.SETTLED, Phase.ROLLING_BACK, Phase.ROLLED_BACK}
    project.live(timedelta(days=days), until=lambda: project.release().phase in ends, **traffic)
    return project.release().phase


def challenged(tmp_path: Path, release: dict[str, Any], model: Model = Model()) -> tuple[Project, str, str]:  # noqa: B008 - frozen
    """A settled champion and a proposed challenger."""
    project = Project(tmp_path, spec_of(release))
    champion = project.first_champion()
    return project, champion, project.version(model)


@pytest.mark.parametrize(("earned", "end"), [(0.8, Phase.WATCHING), (0.2, Phase.ROLLED_BACK)])
def test_an_a_b_release_is_decided_by_what_its_answers_earn(tmp_path: Path, earned: float, end: Phase) -> None:
    project, champion, challenger = challenged(tmp_path, AB)
    project.earns = {champion: 0.5, challenger: earned}
    assert until_decided(project, rows=120, step=HOUR) is end, project.said[-3:]
    reason = project.release().reason
    assert ("harm is shown: reward" in reason) is (end is Phase.ROLLED_BACK), reason
    project.holds()


def test_without_a_reward_an_a_b_release_waits_and_gives_up(tmp_path: Path) -> None:
    project, champion, _ = challenged(tmp_path, AB)
    project.live(5 * DAY, rows=60)
    assert project.release().phase is Phase.CANARY
    assert "not both have a reward yet" in project.engine.releases.waiting_for
    project.live(3 * DAY, rows=60)
    assert (project.release().phase, project.answering()) == (Phase.ROLLED_BACK, champion)


def test_a_bandit_gives_the_better_one_more_of_the_keys(tmp_path: Path) -> None:
    bandit = {**AB, "strategy": "bandit", "steps": [{"traffic": "10%", "at_least": "2d", "at_most": "6d", "min_requests": 50}]}
    project, champion, challenger = challenged(tmp_path, bandit)
    project.earns = {champion: 0.5, challenger: 0.8}
    project.live(2 * DAY, rows=120, step=HOUR, until=lambda: (project.release().weight or 0.0) > 0.5)
    table = project.gateways.served[min(project.gateways.served)]
    assert table is not None
    assert table.routes[0].canary_weight == project.release().weight > 0.5
    assert until_decided(project, rows=120, step=HOUR) is Phase.WATCHING
    assert project.release().weight is None
    project.holds()


def test_with_late_labels_a_release_goes_on_to_full_and_settles_only_when_they_have_come(tmp_path: Path) -> None:
    project, _, challenger = challenged(tmp_path, LATE)
    project.label_delay = 5 * DAY
    assert until_decided(project, rows=100) is Phase.WATCHING
    project.live(4 * DAY, rows=100)
    assert (project.release().phase, project.answering()) == (Phase.WATCHING, challenger)
    assert "waits for loss to pass" in project.engine.releases.waiting_for
    project.live(6 * DAY, rows=100, until=lambda: project.release().phase is Phase.SETTLED)
    assert project.release().phase is Phase.SETTLED
    assert "loss" in project.release().passed
    project.holds()


def test_a_bad_model_found_by_labels_a_week_later_is_rolled_back_by_itself(tmp_path: Path) -> None:
    project, champion, challenger = challenged(tmp_path, LATE, Model(wrong=0.6))
    project.label_delay = 7 * DAY
    assert until_decided(project, rows=100) is Phase.WATCHING
    project.live(6 * DAY, rows=100)
    assert project.answering() == challenger
    assert champion in project.mentioned(), "kept warm"
    project.live(4 * DAY, rows=100, until=lambda: project.release().phase is Phase.ROLLED_BACK)
    assert (project.release().phase, project.answering()) == (Phase.ROLLED_BACK, champion)
    assert "harm is shown: loss" in project.release().reason
    project.holds()


def test_a_newer_version_does_not_settle_one_whose_labels_are_still_to_come(tmp_path: Path) -> None:
    project, _, watched = challenged(tmp_path, LATE)
    project.label_delay = 5 * DAY
    assert until_decided(project, rows=100) is Phase.WATCHING
    project.version()
    project.live(DAY, rows=100)
    assert (len(project.releases()), project.release().challenger) == (2, watched)
    project.live(14 * DAY, rows=100, until=lambda: len(project.releases()) == 3)
    assert project.releases()[1].phase is Phase.SETTLED


def test_where_labels_never_come_in_time_the_deadline_takes_it_back(tmp_path: Path) -> None:
    project, champion, _ = challenged(tmp_path, LATE)
    project.unlabelled = True
    assert until_decided(project, rows=100) is Phase.WATCHING
    project.live(16 * DAY, rows=100, until=lambda: project.release().phase is Phase.ROLLED_BACK)
    assert (project.release().phase, project.answering()) == (Phase.ROLLED_BACK, champion)
    assert "of watch were not enough" in project.release().reason


def test_a_pass_in_the_shadow_is_kept_whatever_the_interval_does_later(tmp_path: Path) -> None:
    project, _, _ = challenged(tmp_path, RELEASE)
    project.live(4 * DAY, rows=150, until=lambda: project.release().phase is Phase.CANARY)
    assert project.release().passed[:1] == ("loss",)
    look = project.door.get("release_look", project.release().id, ReleaseLook)
    assert look is not None
    assert {each.name for each in look.evidence} == {"loss", "failure_rate"}


def test_a_shadow_may_score_a_share_of_the_keys(tmp_path: Path) -> None:
    release = {**RELEASE, "shadow": {**RELEASE["shadow"], "share": "20%"}}
    project, _, _ = challenged(tmp_path, release)
    project.live(12 * HOUR, rows=10)
    table = project.gateways.served[min(project.gateways.served)]
    assert table is not None
    assert project.release().phase is Phase.SHADOW
    assert table.routes[0].shadow_share == 0.2


@pytest.mark.parametrize(
    ("guard", "wrong", "fails"),
    [
        ({"metric": "disagreement", "margin": "5%"}, 1.0, "disagreement"),
        ({"metric": "score_shift", "margin": 0.05}, 1.0, ""),
        ({"metric": "calibration", "margin": 0.02}, 0.0, ""),
    ],
)
def test_behaviour_is_judged_without_a_label(tmp_path: Path, guard: dict[str, Any], wrong: float, fails: str) -> None:
    """A model that says the opposite everywhere decides otherwise, while its mean score stays where it was."""
    release = {**RELEASE, "margin": 0.9, "guards": [guard], "labels": "never"}
    project, _, challenger = challenged(tmp_path, release)
    project.wrong[challenger] = wrong
    phase = until_decided(project, days=3, rows=150)
    assert (phase is Phase.ROLLED_BACK) is bool(fails), project.engine.releases.waiting_for
    if fails:
        assert f"harm is shown: {fails}" in project.release().reason
    project.holds()


@pytest.mark.parametrize(
    ("guard", "fails"),
    [({"metric": "latency_p95_ms", "margin": 1.0, "must": "pass"}, True), ({"metric": "latency_shape"}, True), ({"metric": "latency_p50_ms", "margin": 9}, False)],
)  # fmt: skip
def test_a_slower_challenger_is_found_in_the_canary_beside_the_champion_of_the_same_minutes(
    tmp_path: Path, guard: dict[str, Any], fails: bool
) -> None:
    steps = [{"traffic": "50%", "at_least": "12h", "at_most": "4d", "min_requests": 10}]
    project, _, challenger = challenged(tmp_path, {**RELEASE, "steps": steps, "guards": [guard]})
    project.latency_us[challenger] = 5_000
    phase = until_decided(project, days=6, rows=12, step=timedelta(minutes=10))
    assert (phase is Phase.ROLLED_BACK) is fails, project.engine.releases.waiting_for
    assert (f"harm is shown: {guard['metric']}" in project.release().reason) is fails
    project.holds()


REPLAY: dict[str, Any] = {**RELEASE, "replay": {"rows": 400}}


def test_a_challenger_is_asked_captured_requests_before_it_sees_a_live_one(tmp_path: Path) -> None:
    project, _, challenger = challenged(tmp_path, REPLAY)
    assert project.scorer.asked == [400]
    assert project.release().phase is Phase.SHADOW
    replayed = project.door.get("replayed", project.release().id, Replayed)
    assert replayed is not None
    assert {each.name for each in replayed.evidence} == {"replay:loss", "replay:failure_rate"}
    assert until_decided(project, rows=150) is Phase.WATCHING
    assert project.scorer.asked == [400], "once a release, and the first release of a model has nobody to be compared with"
    assert project.answering() == challenger
    project.holds()


@pytest.mark.parametrize("how", ["wrong", "broken"])
def test_one_that_fails_on_captured_requests_never_sees_a_live_one(tmp_path: Path, how: str) -> None:
    project = Project(tmp_path, spec_of({**REPLAY, "replay": {"rows": 2000}}))
    project.first_champion()
    project.live(2 * DAY, rows=200)
    project.scorer.trouble = "it crashed at loading" if how == "broken" else ""
    challenger = project.version(Model(wrong=1.0))
    assert project.release().phase is Phase.ROLLED_BACK, project.engine.releases.waiting_for
    assert "harm is shown before any live request" in project.release().reason
    assert challenger not in project.mentioned()
    assert project.phases("r-0002") == ["proposed", "rolling_back", "rolled_back"]
    project.holds()


def test_where_nothing_was_captured_the_release_goes_on_and_says_so(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of({**AT_ONCE, "replay": {"rows": 400}}))
    project.version()
    project.live(2 * DAY, rows=0, until=lambda: project.release().phase is Phase.SETTLED)
    project.version()
    assert project.release().phase is not Phase.PROPOSED
    assert any("no captured request could be asked" in words for _, words in project.said)


SLICED: dict[str, Any] = {
    "monitor": {
        "min_rows": 20,
        "mature_share": 0.99,
        "slices": [{"name": "high", "where": "x > 1.0"}, {"name": "low", "where": "x < 0.0"}],
    }
}


@pytest.mark.parametrize(("asked", "fails"), [("high", True), ("low", False)])
def test_a_slice_is_judged_on_its_rows_alone(tmp_path: Path, asked: str, fails: bool) -> None:
    """A quarter of the rows, where the challenger is wrong: too few to be seen in the loss of all."""
    release = {**RELEASE, "margin": 0.4, "guards": [{"metric": "loss", "slice": asked, "margin": 0.1, "must": "pass"}]}
    project = Project(tmp_path, spec_of(release, **SLICED))
    project.first_champion()
    challenger = project.version()
    project.wrong_above[challenger] = 1.0
    phase = until_decided(project, days=8, rows=150)
    assert (phase is Phase.ROLLED_BACK) is fails, project.engine.releases.waiting_for
    assert (f"harm is shown: loss:{asked}" in project.release().reason) is fails
    project.holds()


def test_a_slice_that_nobody_declares_is_refused_with_a_suggestion() -> None:
    release = {**RELEASE, "guards": [{"metric": "loss", "slice": "hihg", "margin": 0.1}]}
    described = {
        "project": "shop", "model": "shop", "task": "binary", "train": {"entrypoint": "pipeline:train"}, "release": release,
        "data": {"source": {"files": "*.csv"}, "features": {"x": {"type": "number"}}, "time": "at", "key": "id", "label": "y"},
        **SLICED,
    }  # fmt: skip
    with pytest.raises(SpecError) as refused:
        parse_project(json.dumps(described))
    assert [(fault.path, "did you mean high?" in fault.hint) for fault in refused.value.faults] == [
        ("release.guards[0].slice", True)
    ]


def test_where_no_delay_is_declared_rows_count_from_the_age_by_which_labels_are_learnt_to_come(tmp_path: Path) -> None:
    """`no` is known after an hour and `yes` after five days: judged as they come, a challenger that always says no would look good."""
    release = {**RELEASE, "shadow": {"at_least": "6h", "at_most": "13d", "min_labels": 300}, "margin": 0.02}
    described = spec_of(release).model_dump(mode="python", by_alias=True)
    described["data"]["label_delay"] = None
    project = Project(tmp_path, type(spec_of()).model_validate(described))
    project.slow_yes = 5 * DAY
    project.first_champion()
    project.live(14 * DAY, rows=100)
    challenger = project.version()
    project.constant[challenger] = 0.15
    ends = {Phase.CANARY, Phase.ROLLED_BACK}
    project.live(14 * DAY, rows=100, until=lambda: project.release().phase in ends)
    assert project.release().phase is Phase.ROLLED_BACK, project.engine.releases.waiting_for
    assert "harm is shown: loss" in project.release().reason
