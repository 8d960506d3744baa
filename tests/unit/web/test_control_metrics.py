"""What Prometheus reads of the control process: each number beside the status that it is of."""

import msgspec
from paper_workspace import FINDING, NASTY, NOW, PaperWorkspace
from prometheus_client.parser import text_string_to_metric_families

from flyball.control.reports import StatusReport
from flyball.records.evidence import Evidence
from flyball.records.findings import FindingKind, IncidentKind
from flyball.records.release import Phase
from flyball.web.metrics import exposition


def scraped(status: StatusReport) -> dict[tuple[str, ...], float]:
    """(name, label=value, …) → number."""
    families = text_string_to_metric_families(exposition(status).decode())
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def status() -> StatusReport:
    return PaperWorkspace().status()


def test_the_numbers_are_those_of_the_status() -> None:
    shown = status()
    found, model = scraped(shown), f"model={shown.model}"
    assert found["flyball_control_up",] == 1.0
    assert found["flyball_ledger_events",] == shown.ledger_seq
    assert found["flyball_gateways", "verified=true"] + found["flyball_gateways", "verified=false"] == len(shown.gateways)
    assert found["flyball_champion_version", model] == shown.champion_version
    assert shown.champion_since is not None
    assert found["flyball_champion_since_seconds", model] == shown.champion_since.timestamp()
    assert found["flyball_questions_open", model] == len(shown.approvals)
    assert found["flyball_serving_stopped", model] == float(shown.stop is not None)
    assert found["flyball_breaker_open", model] == float(shown.breaker is not None)
    of_kind = {kind: sum(each.kind is kind and each.pages for each in shown.findings) for kind in FindingKind}
    assert {kind: found["flyball_findings_open", f"kind={kind.value}", model, "pages=true"] for kind in FindingKind} == of_kind
    assert found["flyball_findings_open", "kind=feature_drift", model, "pages=false"] == 0.0
    incidents = {kind: found["flyball_incidents_open", f"kind={kind.value}", model] for kind in IncidentKind}
    assert sum(incidents.values()) == len(shown.diagnoses)
    phases = {name[2]: value for name, value in found.items() if name[0] == "flyball_release_phase"}
    assert sum(phases.values()) == float(shown.release is not None)
    assert f"phase={Phase.SETTLED.value}" not in phases


def test_windows_tell_the_newest_and_the_newest_whose_labels_have_come() -> None:
    shown = status()
    mature = shown.windows[0]
    assert mature.mature
    area = Evidence(name="roc_auc", value=0.8, lower=0.7, upper=0.9, n=284)
    void = Evidence(name="roc_auc", value=None, note="void: too few rows")
    mature = msgspec.structs.replace(
        mature, labels=300, shadow=220, metrics={"roc_auc": area, "brier": Evidence(name="brier", value=0.2)}
    )
    young = msgspec.structs.replace(
        mature, start=mature.end, end=NOW, mature=False, predictions=7, labels=3, metrics={}, estimates={"roc_auc": void}
    )
    model = f"model={shown.model}"
    found = scraped(msgspec.structs.replace(shown, windows=(young,), judged=mature))
    assert found["flyball_metric", "metric=roc_auc", model] == 0.8
    assert found["flyball_metric_lower", "metric=roc_auc", model] == 0.7
    assert found["flyball_metric_upper", "metric=roc_auc", model] == 0.9
    assert found["flyball_metric", "metric=brier", model] == 0.2
    assert ("flyball_metric_lower", "metric=brier", model) not in found
    assert ("flyball_estimate", "metric=roc_auc", model) not in found, "what is void is no number"
    assert found["flyball_window_rows", model, "of=predictions"] == 7.0
    assert found["flyball_mature_window_rows", model, "of=labels"] == 64.0, (
        "what it answered itself of the rows that its metrics are of"
    )
    assert found["flyball_window_rows", model, "of=labels"] == 3.0
    assert found["flyball_window_end_seconds", model] == NOW.timestamp()
    assert found["flyball_mature_window_end_seconds", model] == mature.end.timestamp()
    assert found["flyball_window_seconds", model] == (NOW - mature.end).total_seconds()


def test_before_anything_is_released_every_alert_has_its_series() -> None:
    shown = PaperWorkspace(fresh=True).status()
    found, model = scraped(shown), f"model={shown.model}"
    assert found["flyball_champion_version", model] == 0.0
    assert found["flyball_findings_open", "kind=serving", model, "pages=true"] == 0.0
    assert not [
        name for name in found if name[0] in ("flyball_metric", "flyball_window_end_seconds", "flyball_champion_since_seconds")
    ]


def test_a_controller_that_fails_is_down_and_no_text_of_anybody_becomes_a_label() -> None:
    shown = status()
    assert scraped(msgspec.structs.replace(shown, controller_alive=False))["flyball_control_up",] == 0.0
    assert scraped(msgspec.structs.replace(shown, ticks_failed_since=NOW))["flyball_control_up",] == 0.0
    assert NASTY in {each.subject for each in (*shown.findings, FINDING)}
    assert "script" not in exposition(shown).decode()
