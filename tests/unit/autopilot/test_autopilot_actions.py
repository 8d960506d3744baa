"""What a policy's action becomes: its arguments, its words, and what it lacks."""

from datetime import UTC, datetime, timedelta

import pytest
from test_autopilot_decide import HARM, NOW, kinds, rule

from flyball.autopilot.policy import policy_of
from flyball.autopilot.situation import OpenIncident
from flyball.records.findings import FindingKind, IncidentKind
from flyball.spec import ProjectSpec

CHANGE = datetime(2026, 5, 1, tzinfo=UTC)
EVERYTHING = ("recalibrate", "earlier", "all", "since", "weighted", "recent")
IMPROVE = rule(action="improve", entrants=EVERYTHING)


def incident(number: int, kind: IncidentKind) -> OpenIncident:
    return OpenIncident(number=number, standing=(FindingKind.PERFORMANCE,), kind=kind)


def test_a_tournament_names_who_may_compete_now_and_leaves_out_what_is_not_there() -> None:
    _, plan = kinds(IMPROVE)
    assert plan.actions[0].arguments == {
        "policy": "retrain-on-harm", "champion": "u2", "strategies": ["recalibrate", "all", "weighted", "recent"], "chosen": False,
    }  # fmt: skip
    _, plan = kinds(IMPROVE, earlier=("u0", "u1"), changed_since=CHANGE, incidents=(incident(4, IncidentKind.CONCEPT_SHIFT),))
    said = plan.actions[0].arguments
    assert said["strategies"] == list(EVERYTHING)
    assert (said["earlier"], said["since"], said["kind"]) == (["u0", "u1"], CHANGE.isoformat(), "concept_shift")
    assert (
        "Try recalibrate, earlier:u0, earlier:u1 and one or two of all, since, weighted, recent beside the champion"
        in plan.rationale
    )
    _, plan = kinds(rule(action="improve", entrants=("recalibrate", "all")))
    assert "Try recalibrate and all beside the champion" in plan.rationale
    _, plan = kinds(rule(action="improve", entrants=("all", "recent", "retune"), chosen=True))
    assert "Try all, recent and retune beside the champion" in plan.rationale, "who was named by name is tried in any case"


@pytest.mark.parametrize(
    ("action", "entrants"), [("recalibrate", ("recalibrate",)), ("rethreshold", ("rethreshold",)), ("reactivate", ("earlier",))]
)
def test_every_tournament_knows_since_when_the_world_is_another_one(action: str, entrants: tuple[str, ...]) -> None:
    _, plan = kinds(rule(action=action, entrants=entrants), earlier=("u0",), changed_since=CHANGE)
    assert plan.actions[0].arguments["since"] == CHANGE.isoformat()


@pytest.mark.parametrize(
    ("changes", "situation", "said"),
    [
        ({"action": "reactivate", "entrants": ("earlier",)}, {}, "no earlier verified unit that answers otherwise"),
        ({"history": "since_change"}, {}, "no finding that stands says since when"),
        ({"action": "improve", "entrants": ("since",)}, {}, "no finding that stands says since when"),
        ({}, {"data_faults": (7,)}, "finding 7 says that the data are faulty"),
        ({"action": "improve"}, {"data_faults": (7, 9)}, "findings 7, 9 say that the data are faulty"),
        (
            {"action": "recalibrate"},
            {"incidents": (incident(3, IncidentKind.DATA_FAULT),)},
            "incident 3 is taken for a data fault",
        ),
        ({"action": "improve"}, {"incidents": (incident(3, IncidentKind.INFRASTRUCTURE),)}, "which no model mends"),
        (
            {"action": "improve", "entrants": EVERYTHING},
            {"incidents": (incident(3, IncidentKind.BAD_RELEASE),)},
            "none of recalibrate, earlier, all, since, weighted, recent can compete, for incident 3 is taken for a bad release",
        ),
        ({"action": "improve", "entrants": ("earlier", "since"), "chosen": True}, {}, "none of earlier, since can compete."),
        ({"action": "improve"}, {"stopped_since": NOW}, "the model is stopped since"),
        ({"action": "recalibrate"}, {"busy": "j-0004"}, "j-0004 is under way"),
    ],
)
def test_what_an_action_lacks_is_said_and_nothing_is_done(changes: dict, situation: dict, said: str) -> None:
    found, plan = kinds(rule(**changes), **situation)
    assert found == ["nothing"]
    assert said in plan.rationale


@pytest.mark.parametrize("action", ["retrain", "improve", "recalibrate", "rethreshold"])
def test_a_policy_may_fit_in_spite_of_a_fault_and_only_if_it_says_so(action: str) -> None:
    assert kinds(rule(action=action, on_faults=True), data_faults=(7,), incidents=(incident(3, IncidentKind.DATA_FAULT),))[0] == [
        action
    ]


def test_who_is_asked_agrees_to_fitting_in_spite_of_a_fault_where_the_policy_says_so() -> None:
    """Part of the action's digest: without it a yes holds for sound data."""
    for on_faults in (True, False):
        _, plan = kinds(rule(action="improve", entrants=EVERYTHING, on_faults=on_faults, approval=True))
        assert ("on_faults" in plan.actions[0].arguments["action"]["arguments"]) is on_faults


@pytest.mark.parametrize("kind", [IncidentKind.DATA_FAULT, IncidentKind.INFRASTRUCTURE])
def test_a_tournament_is_not_held_for_what_no_model_mends_where_something_else_is_there_to_be_mended(kind: IncidentKind) -> None:
    others = (incident(3, IncidentKind.CONCEPT_SHIFT), incident(4, kind))
    _, plan = kinds(rule(action="improve", entrants=EVERYTHING, on_faults=True), incidents=others)
    assert plan.actions[0].arguments["kind"] == "concept_shift"


def test_where_a_person_lets_it_fit_in_spite_of_a_fault_the_fault_keeps_nobody_from_competing() -> None:
    said = {"incidents": (incident(3, IncidentKind.DATA_FAULT),), "data_faults": (7,)}
    _, plan = kinds(rule(action="improve", entrants=EVERYTHING, on_faults=True), **said)
    assert "kind" not in plan.actions[0].arguments


def test_after_a_bad_release_earlier_units_alone_compete_unless_others_were_named() -> None:
    bad = {"incidents": (incident(3, IncidentKind.BAD_RELEASE),), "earlier": ("u0",)}
    _, plan = kinds(IMPROVE, **bad)
    assert plan.actions[0].arguments["strategies"] == ["earlier"]
    _, plan = kinds(rule(action="improve", entrants=("earlier", "all"), chosen=True), **bad)
    assert plan.actions[0].arguments["strategies"] == ["earlier", "all"]


WORTHWHILE = rule(action="improve", when="improvement.worthwhile", entrants=EVERYTHING)
TRAINED = ["recalibrate", "earlier", "all", "weighted", "recent"]


def competing(kind: IncidentKind, tells: FindingKind, excess: float = 0.0) -> list[str]:
    """Beside a champion of which an incident is open that the condition is not about."""
    beside = OpenIncident(number=3, standing=(tells,), kind=kind)
    said = {**HARM, "improvement.worthwhile": True, "improvement.excess": excess}
    _, plan = kinds(WORTHWHILE, signals_by_window=(said,), incidents=(beside,), earlier=("u0",))
    return plan.actions[0].arguments.get("strategies", [plan.rationale])


@pytest.mark.parametrize("tells", [FindingKind.SERVING, FindingKind.PERFORMANCE])
@pytest.mark.parametrize("kind", [IncidentKind.INFRASTRUCTURE, IncidentKind.BAD_RELEASE])
def test_an_incident_beside_it_keeps_nobody_from_learning_the_rows_that_came(kind: IncidentKind, tells: FindingKind) -> None:
    assert competing(kind, tells) == TRAINED


def test_a_loss_that_is_up_is_the_harm_of_the_open_incident_that_tells_of_it() -> None:
    assert competing(IncidentKind.BAD_RELEASE, FindingKind.PERFORMANCE, excess=0.5) == ["earlier"]
    assert "which no model mends" in competing(IncidentKind.INFRASTRUCTURE, FindingKind.PERFORMANCE, excess=0.5)[0]
    assert competing(IncidentKind.INFRASTRUCTURE, FindingKind.SERVING, excess=0.5) == TRAINED


def test_what_is_taken_for_infrastructure_is_not_mended_by_a_model_because_something_else_is_open() -> None:
    pipes, beside = incident(3, IncidentKind.INFRASTRUCTURE), OpenIncident(number=4, standing=(FindingKind.OPERATIONS,))
    alarmed = rule(action="improve", when="performance.alarm", entrants=EVERYTHING)
    assert "incident 3 is taken for infrastructure" in kinds(alarmed, incidents=(pipes, beside))[1].rationale


@pytest.mark.parametrize(("action", "entrants"), [("reactivate", ("earlier",)), ("roll_back", ()), ("stop", ())])
def test_what_fits_nothing_may_be_done_while_the_data_are_faulty(action: str, entrants: tuple[str, ...]) -> None:
    assert kinds(rule(action=action, entrants=entrants), data_faults=(7,), earlier=("u0",))[0] == [action]


def test_a_stop_waits_neither_for_a_job_nor_for_a_release_and_says_whom_it_stops() -> None:
    found, plan = kinds(rule(action="stop", message="harm"), busy="r-0007")
    assert found == ["stop"]
    assert plan.actions[0].arguments == {"policy": "retrain-on-harm", "from": "u2", "message": "harm"}
    assert "Stop serving u2 until a person resumes it" in plan.rationale


def test_retraining_since_the_change_says_since_when() -> None:
    _, plan = kinds(rule(history="since_change"), changed_since=CHANGE)
    assert plan.actions[0].arguments["since"] == CHANGE.isoformat()
    assert f"Retrain on the rows since {CHANGE.isoformat()}" in plan.rationale


def test_every_action_that_changes_who_answers_is_asked_about_and_goes_alone() -> None:
    for action in ("improve", "recalibrate", "rethreshold", "reactivate", "stop"):
        first = rule(action=action, entrants=("all",), approval=True)
        found, plan = kinds(first, rule(name="other"), signals_by_window=(HARM,))
        assert found == ["ask", "nothing"]
        assert "who answers is changed by one policy at a time" in plan.rationale


def spec(**more: object) -> ProjectSpec:
    return ProjectSpec.model_validate({
        "project": "shop", "model": "shop", "task": "binary", "train": {"entrypoint": "pipeline:train"},
        "data": {"source": {"files": "x.csv"}, "time": "t", "key": "k", "label": "y", "label_delay": "2d", "features": ["a"]}, **more,
    })  # fmt: skip


def of(do: object, **more: object):
    return policy_of(spec(policies=[{"name": "a", "when": "drift.alarm", "do": do}], **more)).rules[0]


def test_what_a_project_can_do_is_what_competes_where_nothing_is_named() -> None:
    assert of("improve").entrants == EVERYTHING
    assert of("improve", task="regression").entrants == EVERYTHING
    assert of({"action": "improve", "entrants": ["all", "earlier", "all"]}).entrants == ("all", "earlier")
    assert of({"action": "improve", "entrants": ["all"]}).chosen
    assert (of("reactivate").entrants, of("recalibrate").entrants, of("rethreshold").entrants) == (
        ("earlier",),
        ("recalibrate",),
        ("rethreshold",),
    )
    assert of("retrain").entrants == ()
    assert not of("improve").chosen
    assert timedelta(0) == of("stop").cooldown


@pytest.mark.parametrize(("lost", "retuned"), [(0, False), (1, False), (2, True), (3, False), (4, True), (6, False), (8, True)])
def test_where_retraining_has_stopped_helping_parameters_are_sought_anew_ever_more_seldom(lost: int, retuned: bool) -> None:
    seen = {"signals_by_window": (HARM | {"improvement.lost_in_a_row": lost},)}
    _, plan = kinds(rule(action="improve", entrants=EVERYTHING, retunes=True), **seen)
    assert ("retune" in plan.actions[0].arguments["strategies"]) is retuned
    assert ("retune and one of all, " in plan.rationale) is retuned
    assert ("and one or two of all, " in plan.rationale) is not retuned
    _, plan = kinds(IMPROVE, **seen)
    assert "retune" not in plan.actions[0].arguments["strategies"]
    worse = (incident(4, IncidentKind.BAD_RELEASE),)
    _, plan = kinds(rule(action="improve", entrants=EVERYTHING, retunes=True), **seen, incidents=worse, earlier=("u0",))
    assert plan.actions[0].arguments["strategies"] == ["earlier"]


def test_parameters_are_sought_anew_only_where_it_is_declared_what_is_sought_and_nobody_named_who_competes() -> None:
    tuning = {"trials": 4, "space": {"C": [0.1, 10.0]}}

    def retunes(do: object, train: dict[str, object]) -> bool:
        described = {
            "project": "p", "model": "m", "task": "binary", "train": {"entrypoint": "pipeline:train", **train},
            "data": {"source": {"files": "*.csv"}, "features": {"x": {"type": "number"}}, "time": "at", "key": "id", "label": "y"},
            "policies": [{"name": "better", "when": "drift.alarm", "do": do}],
        }  # fmt: skip
        return policy_of(ProjectSpec.model_validate(described)).rules[0].retunes

    assert retunes("improve", {"tuning": tuning})
    assert not retunes("improve", {})
    assert not retunes({"action": "improve", "entrants": ["all"]}, {"tuning": tuning})
    assert not retunes("recalibrate", {"tuning": tuning})
