"""Replays beside one another: who is compared when one fails, and how each is found again."""

import json
from pathlib import Path

import pytest

from flyball.adapters.clock import SystemClock
from flyball.adapters.gateway_limits import limit_arguments
from flyball.adapters.replay_children import Ended, write_order
from flyball.errors import NotFound, OperatorError
from flyball.spec import ProjectSpec
from flyball.wiring.replay import LEAST_REPLAYED_DEADLINE, gateway_of, replays_dir
from flyball.wiring.replay_policies import POLICIES, STATE, failed_of
from flyball.wiring.replays import lived_home
from flyball.wiring.worlds import Home

SPEC = {
    "project": "shop", "model": "shop", "task": "binary", "serve": {"max_body_mb": 64, "deadline": "7s", "memory_mb": 8192},
    "data": {"source": {"files": "rows.parquet"}, "time": "at", "key": "id", "label": "late", "label_delay": "1h", "features": {"hour": "number"}},
    "train": {"entrypoint": "pipeline:train"},
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(ProjectSpec.model_validate(SPEC), tmp_path, tmp_path / ".flyball", SystemClock())


def test_who_failed_is_named_and_the_others_are_compared() -> None:
    ended = {"never": Ended(0, ""), "monthly": Ended(3, "the disk is full"), "often": Ended(-9, "")}
    assert [(each.name, each.words) for each in failed_of(ended)] == [("monthly", "the disk is full"), ("often", "exit code -9")]
    assert failed_of({"never": Ended(0, "")}) == ()


def test_where_all_failed_there_is_nothing_to_compare() -> None:
    with pytest.raises(OperatorError, match="2 of 2 replays failed: never: the disk is full; monthly: exit code 1"):
        failed_of({"never": Ended(3, "the disk is full"), "monthly": Ended(1, "")})


def test_a_replay_is_found_where_it_was_lived_and_under_its_own_policies(home: Home) -> None:
    with pytest.raises(NotFound, match=r"nothing was replayed here yet.*flyball replay"):
        lived_home(home, None)
    (home.state_dir / "replay").mkdir(parents=True)
    assert lived_home(home, None) == home._replace(state_dir=home.state_dir / "replay")
    place = replays_dir(home) / POLICIES / "monthly"
    (place / STATE).mkdir(parents=True)
    own = {**SPEC, "policies": [{"name": "monthly", "when": "champion.data_age_days > 30", "do": "retrain"}]}
    write_order(place, {"spec": json.loads(ProjectSpec.model_validate(own).model_dump_json(by_alias=True))})
    found = lived_home(home, "monthly")
    assert found.state_dir == place / STATE
    assert [each.name for each in found.spec.policies] == ["monthly"]
    with pytest.raises(NotFound, match=r"no replay of a policy '\.\./x' lies here.*monthly"):
        lived_home(home, "../x")


@pytest.mark.parametrize(
    ("order", "wrong"),
    [
        (b"{", "order.json cannot be read"),
        (b"{}", "order.json is none that this release of Flyball reads: it has no spec"),
        (
            json.dumps({"spec": {**SPEC, "release": {"of_before": 1}}}).encode(),
            r"order.json is none .* reads: spec\.release\.of_before: ",
        ),
    ],
)
def test_a_broken_order_of_one_policy_keeps_no_other_from_being_explained(home: Home, order: bytes, wrong: str) -> None:
    for name in ("monthly", "old"):
        (replays_dir(home) / POLICIES / name / STATE).mkdir(parents=True)
    write_order(replays_dir(home) / POLICIES / "monthly", {"spec": SPEC})
    (replays_dir(home) / POLICIES / "old" / "order.json").write_bytes(order)
    assert lived_home(home, "monthly").spec == home.spec
    with pytest.raises(NotFound, match=r"no replay of a policy 'weekly' lies here.*monthly, old"):
        lived_home(home, "weekly")
    with pytest.raises(OperatorError, match=f"{wrong}.*Next: replay that policy again"):
        lived_home(home, "old")


def test_a_replays_gateway_has_the_limits_of_the_projects_own(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, ...]] = []

    def made(_state_dir: Path, *, arguments: tuple[str, ...]) -> None:
        given.append(arguments)

    monkeypatch.setattr("flyball.wiring.replay.GatewayProcess", made)
    gateway_of(home)
    assert given == [("--clock", "request", "--max-body-mb", "64", "--deadline-seconds", "7", "--memory-mb", "8192")]


def test_a_short_deadline_is_no_matter_of_a_replay() -> None:
    arguments = limit_arguments(
        ProjectSpec.model_validate({**SPEC, "serve": {"deadline": "0.5s"}}).serve, LEAST_REPLAYED_DEADLINE
    )
    assert arguments[arguments.index("--deadline-seconds") + 1] == "5"
