from datetime import timedelta

import pytest

from flyball.autopilot.policy import policy_of
from flyball.errors import SpecError
from flyball.monitoring.policy import SHARES
from flyball.monitoring.policy import policy_of as monitor_policy_of
from flyball.spec import ProjectSpec


def spec(*policies):
    return ProjectSpec.model_validate({
        "project": "shop", "model": "shop", "task": "binary",
        "data": {"source": {"files": "x.csv"}, "time": "t", "key": "k", "label": "y", "label_delay": "2d", "features": ["a"]},
        "train": {"entrypoint": "pipeline:train"}, "policies": list(policies),
    })  # fmt: skip


def test_the_file_becomes_rules_in_its_order():
    found = policy_of(spec(
        {"name": "first", "when": "performance.alarm", "for": 2, "do": {"action": "retrain", "history": "60d"}, "budget": "4 per 30d"},
        {"name": "second", "when": "drift.features > 2", "do": "notify", "cooldown": "1d", "needs": "approval"},
    ))  # fmt: skip
    first, second = found.rules
    assert (first.for_windows, first.history, first.budget_times, first.budget_per) == (2, "60d", 4, timedelta(days=30))
    assert (second.action, second.cooldown, second.approval, second.budget_times) == ("notify", timedelta(days=1), True, None)


def test_every_wrong_condition_is_told_at_once_with_its_path():
    wrong = [
        {"name": f"p{i}", "when": text, "do": "notify"} for i, text in enumerate(["drift.alrm", "drift.alarm", "drift.alarm &&"])
    ]
    with pytest.raises(SpecError) as caught:
        policy_of(spec(*wrong))
    assert [fault.path for fault in caught.value.faults] == ["policies[0].when", "policies[2].when"]
    assert "did you mean drift.alarm" in str(caught.value)


def test_monitoring_reads_its_budget_and_the_label_delay():
    policy = monitor_policy_of(spec())
    assert policy.budget_windows == 90
    assert policy.label_delay == timedelta(days=2)
    assert policy.drift_run_length == 90 / 0.4
    assert sum(1.0 / policy.run_length(monitors) for monitors in SHARES) == pytest.approx(1 / 90)
