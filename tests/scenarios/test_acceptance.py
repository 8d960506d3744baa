"""Eight complaints about other systems, as they would go here. The first three are one metric's values, judged by a guard of shape."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from engine_world import DAY, HOUR, RELEASE, Project, spec_of

from flyball.monitoring import notebook
from flyball.records.evidence import Outcome
from flyball.records.release import Phase
from flyball.release import guards
from flyball.release.metrics import METRICS
from flyball.release.policy import GuardRule
from flyball.stats.two_samples import two_samples

SHAPE = GuardRule(
    name="latency_shape", metric="latency_shape", margin=0.1, alpha=0.05, must="not_fail", labels=False,
    shown=METRICS["latency_shape"].shown,
)  # fmt: skip


def verdict(control: list[float], canary: list[float]) -> Outcome:
    arms = [False] * len(control) + [True] * len(canary)
    return guards.judge(
        (guards.shape(two_samples([*control, *canary], arms, [0] * len(arms)), [*control, *canary], arms, SHAPE),), SHAPE
    ).outcome


def test_spinnaker_6278_a_canary_that_is_mostly_a_hundred_times_slower_fails() -> None:
    assert verdict([1.0] * 10, [100.0] * 7 + [1.0] * 3) is Outcome.FAIL


def test_kayenta_426_a_few_errors_among_six_are_not_enough_to_tell_and_never_a_pass() -> None:
    assert verdict([0.0] * 6, [0.0, 1.0, 2.0, 1.0, 0.0, 0.0]) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("seed", range(20))
def test_kayenta_780_the_same_mean_in_another_shape_fails_in_whatever_order_it_comes(seed: int) -> None:
    control = [1.0, 100, 4, 101, 5, 102, 6, 103, 7, 104, 8, 105, 9, 106, 17]
    canary = [10.0 + step / 10 for step in range(7)] + [17.0 + step / 10 for step in range(8)]
    assert verdict(control, np.random.default_rng(seed).permutation(canary).tolist()) is Outcome.FAIL


def test_flagger_1035_without_a_request_it_holds_says_so_and_gives_up_at_the_deadline(tmp_path: Path) -> None:
    project = Project(tmp_path)
    champion = project.first_champion()
    project.version()
    project.live(3 * DAY, rows=0)
    assert project.release().phase is Phase.SHADOW
    assert "gives up at" in project.engine.releases.waiting_for
    project.live(2 * DAY, rows=0)
    assert (project.release().phase, project.answering()) == (Phase.ROLLED_BACK, champion)
    assert "gave up after 4 days" in project.release().reason


def test_argo_rollouts_1905_a_metric_that_returns_nothing_pauses_the_release_until_it_does(tmp_path: Path) -> None:
    release = {**RELEASE, "guards": [{"metric": "reward", "between": [0, 1], "margin": 0.5}]}
    project = Project(tmp_path, spec_of(release))
    champion = project.first_champion()
    challenger = project.version()
    project.live(4 * DAY, rows=150, until=lambda: project.release().phase is Phase.CANARY)
    project.live(2 * DAY, rows=150)
    assert (project.release().phase, project.release().step) == (Phase.CANARY, 0)
    assert "reward: not both have a reward yet" in project.engine.releases.waiting_for
    project.earns = {champion: 0.5, challenger: 0.5}
    project.live(5 * DAY, rows=150, until=lambda: project.release().phase is Phase.WATCHING)
    assert project.release().phase is Phase.WATCHING


@pytest.mark.parametrize("rows", [1_000, 20_000])
def test_evidently_50_the_same_shift_gets_the_same_verdict_in_few_rows_and_in_all(rows: int) -> None:
    """A twentieth of the rows and all of them: told in both, and in both as far as it is."""
    rng = np.random.default_rng(3)
    reference = notebook.profile(pl.DataFrame({"x": rng.normal(0.0, 1.0, 20_000)}))
    moved = notebook.compare(reference, pl.DataFrame({"x": rng.normal(0.3, 1.0, rows)}))
    assert moved.moved == ("x",)
    assert 0.05 < moved.columns[0].effects["psi"] < 0.16
    same = notebook.compare(reference, pl.DataFrame({"x": rng.normal(0.0, 1.0, rows)}))
    assert not same.moved


def test_a_switch_that_silently_does_nothing_is_detected_and_escalated(tmp_path: Path) -> None:
    project = Project(tmp_path)
    champion = project.first_champion()
    project.version()
    project.live(4 * DAY, rows=150, until=lambda: project.release().phase is Phase.CANARY)
    project.gateways.deaf = {"0"}
    project.roll_back()
    for _ in range(30):
        project.clock.sleep(timedelta(seconds=2))
        project.engine.tick()
    assert project.release().phase is Phase.ROLLING_BACK, "not said to be done while it is not seen"
    assert any("was not seen at the gateways" in words for _, words in project.told.heard)
    project.gateways.deaf = set()
    project.tick()
    assert (project.release().phase, project.answering()) == (Phase.ROLLED_BACK, champion)


def test_kserve_2130_after_canary_rollback_canary_nothing_reaches_the_version_that_was_taken_back(tmp_path: Path) -> None:
    project = Project(tmp_path)
    champion = project.first_champion()
    first = project.version()
    project.live(4 * DAY, rows=150, until=lambda: project.release().phase is Phase.CANARY)
    project.roll_back()
    second = project.version()
    project.live(4 * DAY, rows=150, until=lambda: project.release().phase is Phase.CANARY)
    assert first not in project.mentioned()
    assert {champion, second} <= project.mentioned()
    project.live(HOUR, rows=150)
    project.holds()
