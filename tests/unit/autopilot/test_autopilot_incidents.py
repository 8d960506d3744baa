from datetime import UTC, datetime, timedelta

import pytest

from flyball.autopilot.decide import AutopilotPolicy, AutopilotSituation, OpenIncident, PastAction, Rule, decide
from flyball.autopilot.signals import RESTS_ON
from flyball.records.findings import FindingKind, IncidentKind
from flyball.records.signals import SIGNALS

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = timedelta(days=1)
SEEN = {
    "performance.alarm": True, "drift.alarm": True, "drift.features": 2, "quality.alarm": False, "champion.age_days": 31.0,
    "performance.loss_increase": 0.03, "incident.concept_shift": True, "incident.unknown": True,
}  # fmt: skip
WORSE, DRIFT = (FindingKind.PERFORMANCE,), (FindingKind.FEATURE_DRIFT,)


def _with_kinds(open_ones):
    """Taken for a concept shift, the first of them, and for nothing the others."""
    return [(*each, IncidentKind.UNKNOWN if place else IncidentKind.CONCEPT_SHIFT) for place, each in enumerate(open_ones)]


def planned(when, *open_ones, done=(), cooldown=0, approval=False, findings=()):
    rule = Rule(
        name="p", when=when, for_windows=1, action="retrain", history=None, message="", cooldown=cooldown * DAYS, budget_times=None,
        budget_per=None, approval=approval,
    )  # fmt: skip
    past = tuple(PastAction(policy="p", action="retrain", at=NOW - 9 * DAYS, incidents=(number,)) for number in done)
    seen = AutopilotSituation(
        signals_by_window=(SEEN,), busy=None, past=past, champion="u2", previous_champion="u1",
        incidents=tuple(
            OpenIncident(number=number, standing=kinds, kind=of, findings=findings) for number, kinds, of in _with_kinds(open_ones)
        ),
    )  # fmt: skip
    return decide(seen, AutopilotPolicy(model="m", rules=(rule,)), NOW)


@pytest.mark.parametrize(
    ("when", "open_ones", "done", "cooldown", "kind"),
    [
        ("performance.alarm", [(3, WORSE)], (), 0, "retrain"),
        ("performance.alarm", [(3, WORSE)], (3,), 0, "nothing"),
        # A cooldown says itself how often.
        ("performance.alarm", [(3, WORSE)], (3,), 7, "retrain"),
        # Something new of the same kind.
        ("performance.alarm", [(3, WORSE), (5, WORSE)], (3,), 0, "retrain"),
        ("performance.alarm", [(3, WORSE), (5, WORSE)], (3, 5), 0, "nothing"),
        # The same incident is over, and another stands.
        ("performance.alarm", [(5, WORSE)], (3,), 0, "retrain"),
        # Something new, but of another kind than the condition is about.
        ("performance.alarm", [(3, WORSE), (5, DRIFT)], (3,), 0, "nothing"),
        ("performance.alarm || drift.alarm", [(3, WORSE), (5, DRIFT)], (3,), 0, "retrain"),
        ("performance.alarm && drift.alarm", [(3, WORSE), (5, DRIFT)], (3,), 0, "nothing"),
        ("drift.features >= 2", [(3, (*WORSE, *DRIFT))], (3,), 0, "nothing"),
        ("!quality.alarm && performance.alarm", [(3, WORSE)], (3,), 0, "nothing"),
        # What an incident is taken for is something to act for by itself.
        ("incident.concept_shift", [(3, WORSE)], (), 0, "retrain"),
        ("incident.concept_shift", [(3, WORSE), (5, WORSE)], (3,), 0, "nothing"),
        ("incident.unknown", [(3, WORSE), (5, WORSE)], (3,), 0, "retrain"),
        # It would hold without the incident.
        ("performance.alarm || champion.age_days > 30.0", [(3, WORSE)], (3,), 0, "retrain"),
        ("champion.age_days > 30.0", [(3, WORSE)], (3,), 0, "retrain"),
        ("performance.loss_increase > 0.02", [(3, WORSE)], (3,), 0, "retrain"),
    ],
)
def test_a_policy_acts_once_for_what_its_condition_rests_on(when, open_ones, done, cooldown, kind):
    plan = planned(when, *open_ones, done=done, cooldown=cooldown)
    assert [action.kind for action in plan.actions] == [kind]
    assert ("acted for incident" in plan.rationale) is (kind == "nothing")


def test_what_was_acted_for_is_known_when_its_incident_has_grown_together_with_an_earlier_one():
    assert planned("performance.alarm", (1, WORSE), done=(2,), findings=(1, 2, 3)).actions[0].kind == "nothing"
    assert planned("performance.alarm", (1, WORSE), done=(2,), findings=(1, 3)).actions[0].kind == "retrain"


def test_nothing_is_trained_while_an_incident_is_taken_for_a_data_fault():
    rule = Rule(
        name="p", when="champion.age_days > 30.0", for_windows=1, action="retrain", history=None, message="", cooldown=0 * DAYS, budget_times=None,
        budget_per=None, approval=False,
    )  # fmt: skip
    seen = AutopilotSituation(
        signals_by_window=(SEEN,), busy=None, past=(), champion="u2", previous_champion="u1",
        incidents=(OpenIncident(number=4, standing=WORSE, kind=IncidentKind.DATA_FAULT),),
    )  # fmt: skip
    plan = decide(seen, AutopilotPolicy(model="m", rules=(rule,)), NOW)
    assert [action.kind for action in plan.actions] == ["nothing"]
    assert "incident 4 is taken for a data fault" in plan.rationale


def test_what_it_is_done_for_stands_in_the_action_also_in_a_question():
    plan = planned("performance.alarm && champion.age_days > 7.0", (3, WORSE), (4, DRIFT), approval=True)
    assert plan.actions[0].kind == "ask"
    assert plan.actions[0].arguments["incidents"] == plan.actions[0].arguments["action"]["arguments"]["incidents"] == [3]
    assert "it is about incident 3" in plan.rationale


def test_every_alarm_is_about_findings_of_a_kind_and_every_kind_has_an_alarm():
    assert {name for name in SIGNALS if name.endswith("alarm")} <= set(RESTS_ON) <= set(SIGNALS)
    assert set(RESTS_ON.values()) == {*FindingKind, *IncidentKind}
