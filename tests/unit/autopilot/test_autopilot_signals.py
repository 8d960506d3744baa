from datetime import UTC, datetime, timedelta

from flyball.autopilot.signals import NEVER_DAYS, SignalInputs, gather
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind, WindowSummary
from flyball.records.signals import SIGNALS

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def finding(kind, subject):
    return Finding(
        id=f"f-{subject}", kind=kind, model="m", unit="u1", subject=subject, window_start=NOW, window_end=NOW, effect=0.1,
        effect_unit="x", evidence=Evidence(name="e", value=1.0), share_of_budget=None, words="",
    )  # fmt: skip


def inputs(**changes):
    window = WindowSummary(model="m", unit="u1", start=NOW - timedelta(days=1), end=NOW, predictions=100, labels=40, mature=False)
    given = {
        "findings": (), "window": window, "loss_increase": 0.0, "champion_since": NOW - timedelta(days=10),
        "data_until": NOW - timedelta(days=12), "retrainings": (),
    }  # fmt: skip
    return SignalInputs(**{**given, **changes})


def test_every_signal_of_the_table_is_gathered_with_its_type():
    found = gather(inputs(), NOW)
    assert {name: type(value) for name, value in found.items()} == {name: signal.type for name, signal in SIGNALS.items()}


def test_a_feature_that_alarmed_twice_counts_once():
    drift = FindingKind.FEATURE_DRIFT
    found = gather(
        inputs(findings=(finding(drift, "a"), finding(drift, "a"), finding(drift, "b"), finding(FindingKind.SERVING, "g"))), NOW
    )
    assert found["drift.features"] == 2
    assert found["drift.alarm"] is True
    assert found["serving.alarm"] is True
    assert found["performance.alarm"] is False


def test_ages_are_in_days_and_never_is_far_away():
    found = gather(inputs(), NOW)
    assert (found["champion.age_days"], found["champion.data_age_days"]) == (10.0, 12.0)
    assert found["history.days_since_retraining"] == NEVER_DAYS
    again = gather(inputs(retrainings=(NOW - timedelta(days=9), NOW - timedelta(days=4)), window=None), NOW)
    assert (again["history.retrainings"], again["history.days_since_retraining"], again["window.predictions"]) == (2, 4.0, 0)
    ahead = gather(inputs(retrainings=(NOW - timedelta(days=9), NOW + timedelta(days=300))), NOW)
    assert ahead["history.days_since_retraining"] == 9.0
