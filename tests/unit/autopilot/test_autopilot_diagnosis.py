"""Kinds of incident from what is known of them: each told where it can be, `unknown` where it cannot, and the same at every look."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from flyball.autopilot.case import Case, Labels, Symptom
from flyball.autopilot.diagnosis import diagnose
from flyball.control.diagnosing import symptom_of
from flyball.records import codec
from flyball.records.diagnosis import Diagnosis
from flyball.records.evidence import Evidence
from flyball.records.findings import Cause, Finding, FindingKind, Happening, IncidentKind

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FOLLOW = Labels(
    rows=900, answers=1e-9, labels=1e-4, labels_given_answers=0.4, answers_given_labels=1e-6, share_of_answers=0.97, share_of_labels=0.4
)  # fmt: skip
TURNED = Labels(
    rows=900, answers=0.5, labels=0.2, labels_given_answers=1e-12, answers_given_labels=1e-12, share_of_answers=0.0, share_of_labels=0.02
)  # fmt: skip
OFTENER = Labels(
    rows=900, answers=1e-9, labels=1e-12, labels_given_answers=1e-5, answers_given_labels=0.3, share_of_answers=0.7, share_of_labels=0.98
)  # fmt: skip


def symptom(
    number: int, kind: FindingKind, subject: str = "loss", *, days: float = 1.0, shares: dict[str, float] | None = None
) -> Symptom:
    begun = NOW - days * DAY
    return Symptom(
        number=number, kind=kind, subject=subject, words=f"{subject} says so", effect=0.1, between=(begun, begun + DAY), window=(begun, begun + DAY),
        shares=shares or {},
    )  # fmt: skip


WORSE = symptom(1, FindingKind.PERFORMANCE)
MOVED = symptom(2, FindingKind.FEATURE_DRIFT, "temp")
REFUSED = msgspec.structs.replace(symptom(1, FindingKind.DATA_QUALITY, "temp"), fault="schema")
BROKEN = symptom(3, FindingKind.CONCEPT_DRIFT, "labels")

MENDED = "on 900 rows that both answered the loss of this champion is 0.2000 a row less than that of the unit before"


def case(*symptoms: Symptom, **changes: object) -> Case:
    of = Case(
        incident=1, model="shop", unit="u1", began=NOW - DAY, window=DAY, symptoms=symptoms, upstream=(), champion_since=NOW - 30 * DAY,
        earlier_champion=True, columns=("temp", "town"), columns_watched=True,
    )  # fmt: skip
    return msgspec.structs.replace(of, **changes)


def fast_release(*symptoms: Symptom, **changes: object) -> Case:
    return case(*symptoms, **{"champion_since": NOW - 1.5 * DAY, **changes})


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (case(symptom(1, FindingKind.DATA_QUALITY, "temp")), IncidentKind.DATA_FAULT),
        (case(symptom(1, FindingKind.DATA_QUALITY, "temp"), WORSE, MOVED, BROKEN, labels=TURNED), IncidentKind.DATA_FAULT),
        (case(WORSE, BROKEN, labels=TURNED, label_fault="labels of town = 'Oslo' are turned round"), IncidentKind.DATA_FAULT),
        (case(symptom(1, FindingKind.OPERATIONS, "missing")), IncidentKind.DATA_FAULT),
        # what is refused for its type is missing among the requests: no gateway is to blame
        (case(REFUSED, symptom(2, FindingKind.OPERATIONS, "requests")), IncidentKind.DATA_FAULT),
        # rows that are refused have no answers: what is worse is of others, however many
        (case(REFUSED, WORSE, BROKEN, labels=TURNED), IncidentKind.CONCEPT_SHIFT),
        (case(msgspec.structs.replace(REFUSED, effect=0.5), WORSE, BROKEN, labels=TURNED), IncidentKind.CONCEPT_SHIFT),
        (case(REFUSED, MOVED), IncidentKind.DATA_FAULT),
        (case(symptom(2, FindingKind.OPERATIONS, "requests")), IncidentKind.INFRASTRUCTURE),
        (case(REFUSED, symptom(2, FindingKind.OPERATIONS, "requests"), symptom(3, FindingKind.SERVING, "switch")), IncidentKind.UNKNOWN),
        (case(symptom(1, FindingKind.OPERATIONS, "label_delay")), IncidentKind.INFRASTRUCTURE),
        (case(symptom(1, FindingKind.SERVING, "switch")), IncidentKind.INFRASTRUCTURE),
        (case(symptom(1, FindingKind.SERVING, "failures")), IncidentKind.INFRASTRUCTURE),
        (case(WORSE, BROKEN, labels=TURNED), IncidentKind.CONCEPT_SHIFT),
        (case(WORSE, BROKEN, MOVED, labels=TURNED), IncidentKind.CONCEPT_SHIFT),
        (case(WORSE, MOVED, labels=FOLLOW), IncidentKind.COVARIATE_SHIFT),
        (case(WORSE, BROKEN, MOVED, labels=OFTENER), IncidentKind.LABEL_SHIFT),
        (case(BROKEN, labels=OFTENER), IncidentKind.LABEL_SHIFT),
        (fast_release(WORSE, labels=None), IncidentKind.BAD_RELEASE),
        # a map that mended much answers worse than its version did in better days: the release is not to blame for the next change
        (fast_release(WORSE, BROKEN, labels=TURNED, brought=MENDED), IncidentKind.CONCEPT_SHIFT),
        (fast_release(WORSE, labels=None, brought=MENDED), IncidentKind.UNKNOWN),
        # a column that reaches the model in another form than in training: answers move, the rows do not
        (fast_release(symptom(1, FindingKind.PREDICTION_DRIFT, "prediction"), labels=FOLLOW), IncidentKind.BAD_RELEASE),
        # before labels have come nothing tells the shifts apart
        (case(MOVED), IncidentKind.UNKNOWN),
        (case(symptom(1, FindingKind.PREDICTION_DRIFT, "prediction")), IncidentKind.UNKNOWN),
        (case(symptom(1, FindingKind.ESTIMATED_PERFORMANCE, "bounded_loss"), MOVED), IncidentKind.UNKNOWN),
        # a number's shift is not told from a concept's
        (case(WORSE, BROKEN, labels=msgspec.structs.replace(OFTENER, classes=False)), IncidentKind.CONCEPT_SHIFT),
    ],
)  # fmt: skip
def test_an_incident_is_taken_for_what_its_evidence_says(seen: Case, kind: IncidentKind) -> None:
    found = diagnose(seen, NOW)
    assert found.kind is kind, found.words
    assert sum(each.score for each in found.hypotheses) == pytest.approx(1.0, abs=0.01)
    assert {each.kind for each in found.hypotheses} == {*IncidentKind}
    assert found.words.startswith(f"incident 1: {kind.value.replace('_', ' ')}")


def test_evidence_is_told_for_and_against_and_the_rival_in_the_sentence() -> None:
    found = diagnose(case(WORSE, BROKEN, labels=TURNED), NOW)
    of = {each.kind: each for each in found.hypotheses}
    assert any("900 rows do not follow the answers" in words for words in of[IncidentKind.CONCEPT_SHIFT].speaks_for)
    assert any("no column is gone" in words for words in of[IncidentKind.DATA_FAULT].speaks_against)
    assert any("29 days after the champion took over" in words for words in of[IncidentKind.BAD_RELEASE].speaks_against)
    assert "; against " in found.words


def test_features_slices_and_the_interval_come_from_the_findings_that_date_the_kind() -> None:
    fault = symptom(4, FindingKind.DATA_QUALITY, "temp", days=5)
    shares = {"temp": 0.7, "concept": 0.1, "town = 'Oslo'": 0.6, "outside the reference": 0.1, "like the reference": 0.1}
    worse = symptom(5, FindingKind.PERFORMANCE, shares=shares, days=3)
    found = diagnose(case(worse, fault), NOW)
    assert (found.features, found.slices) == (("temp",), ("town = 'Oslo'",))
    assert found.between == (NOW - 5 * DAY, NOW - 4 * DAY)
    assert found.since == NOW - 5 * DAY


def test_refused_requests_are_a_hint_of_a_data_fault_where_answers_are_worse_and_speak_against_nothing() -> None:
    loss = msgspec.structs.replace(WORSE, shares={"concept": 0.9})
    scores = []
    for share in (0.06, 0.5):
        found = diagnose(case(msgspec.structs.replace(REFUSED, effect=share), loss, BROKEN, labels=TURNED), NOW)
        assert found.kind is IncidentKind.CONCEPT_SHIFT
        of = {each.kind: each for each in found.hypotheses}
        assert not any("temp" in words for each in found.hypotheses for words in each.speaks_against)
        assert any("temp says so" in words for words in of[IncidentKind.DATA_FAULT].speaks_for)
        scores.append(of[IncidentKind.DATA_FAULT].score)
    assert scores == sorted(scores)


def test_a_fault_that_does_the_model_no_harm_is_said_and_speaks_for_nothing() -> None:
    worse = msgspec.structs.replace(WORSE, shares={"concept": 0.95})
    without, beside = (diagnose(case(worse, BROKEN, labels=OFTENER, harmless=each), NOW) for each in ((), ("temp", "town")))
    assert {without.kind, beside.kind} == {IncidentKind.LABEL_SHIFT}
    assert [(each.kind, each.score) for each in without.hypotheses] == [(each.kind, each.score) for each in beside.hypotheses]
    fault = next(each for each in beside.hypotheses if each.kind is IncidentKind.DATA_FAULT)
    assert "what is wrong with temp and town does the model no harm" in fault.speaks_against
    assert not any("no column is" in words for words in fault.speaks_against)


def test_a_fault_of_a_column_explains_labels_that_do_not_follow() -> None:
    found = diagnose(case(symptom(1, FindingKind.DATA_QUALITY, "temp"), BROKEN, WORSE, labels=TURNED), NOW)
    concept = next(each for each in found.hypotheses if each.kind is IncidentKind.CONCEPT_SHIFT)
    assert any("a fault of temp makes answers worse by itself" in words for words in concept.speaks_against)


def test_causes_at_the_level_of_rows_outweigh_bins_of_the_answer() -> None:
    """A mix that moves within a bin of the answer looks like a concept; what rows like it had before says that it is none."""
    mixed = msgspec.structs.replace(FOLLOW, labels_given_answers=1e-5, share_of_answers=0.6)
    moved = symptom(1, FindingKind.PERFORMANCE, shares={"temp": 0.7, "features together": 0.3, "concept": 0.02})
    assert diagnose(case(moved, MOVED, labels=mixed, estimates_judged=4), NOW).kind is IncidentKind.COVARIATE_SHIFT


def test_causes_that_may_be_nothing_speak_for_no_kind_and_are_no_part_of_it() -> None:
    def told(shares: dict[str, float], reaches: dict[str, float]) -> str:
        worse = msgspec.structs.replace(symptom(1, FindingKind.PERFORMANCE, shares=shares), reaches=reaches)
        found = diagnose(case(worse), NOW)
        assert "temp" not in found.features or shares["temp"] > reaches["temp"]
        return " ".join(words for each in found.hypotheses for words in (*each.speaks_for, *each.speaks_against))

    assert "rows like the holdout's" in told({"concept": 0.9}, {"concept": 0.5})
    assert "rows like the holdout's" not in told({"concept": 0.9}, {"concept": 1.1})
    assert "features that moved" in told({"temp": 0.8, "features together": 0.1}, {"temp": 0.5, "features together": 0.3})
    assert "features that moved" not in told({"temp": 0.8}, {"temp": 1.1})
    # Of several none of which is sure alone, their sum may be.
    several = dict.fromkeys(("temp", "features together"), 0.4)
    assert "features that moved" in told(several, dict.fromkeys(several, 0.45))


def test_what_the_worse_loss_is_of_is_one_question_and_has_the_reach_of_one() -> None:
    """Of some twenty parts together four errors are the reach, of which a kind asks nothing."""

    def told(shares: dict[str, tuple[float, float]], *others: Symptom) -> Diagnosis:
        causes = tuple(
            Cause(subject=name, share=share, words="", interval=(share - 4.0 * error, share + 4.0 * error), error=error)
            for name, (share, error) in shares.items()
        )
        begun = NOW - DAY
        worse = Finding(
            id="f", model="shop", unit="u1", kind=FindingKind.PERFORMANCE, subject="loss", effect=0.05, effect_unit="loss", words="worse", window_start=begun,
            window_end=NOW, causes=causes, share_of_budget=None,
            evidence=Evidence(name="loss", value=0.05, lower=None, upper=None, alpha=None, n=900, inputs="", method="none"),
        )  # fmt: skip
        return diagnose(case(symptom_of(worse), *others), NOW)

    moved = {"temp": (0.37, 0.07), "town": (0.63, 0.27), "concept": (0.16, 0.15), "features together": (-0.08, 0.07)}
    assert told(moved, MOVED).kind is IncidentKind.COVARIATE_SHIFT
    assert told(moved, MOVED).features == ("temp",)  # of a list of all: its reach is that of all
    turned = told({"concept": (0.7, 0.2), "temp": (0.2, 0.08)})
    assert "70 % of the worse loss is of rows like the holdout's" in str(turned.hypotheses)
    assert "of the worse loss" not in str(told({"concept": (0.7, 0.35)}).hypotheses)


def test_reasons_from_the_same_labels_do_not_add_up_as_if_each_were_new() -> None:
    alone = diagnose(case(WORSE, labels=TURNED), NOW)
    more = diagnose(case(WORSE, BROKEN, labels=TURNED, estimates_judged=4, estimates_missed=3), NOW)
    assert alone.score < more.score < 0.995


def test_where_two_kinds_are_alike_it_is_unknown_and_both_are_named() -> None:
    found = diagnose(fast_release(WORSE, MOVED, labels=FOLLOW), NOW)
    scores = {each.kind: each.score for each in found.hypotheses}
    assert scores[IncidentKind.COVARIATE_SHIFT] > 0.2
    assert scores[IncidentKind.BAD_RELEASE] > 0.02
    two = diagnose(case(symptom(1, FindingKind.SERVING, "failures", days=1.0), champion_since=NOW - 1.2 * DAY), NOW)
    assert two.kind is IncidentKind.UNKNOWN
    assert "infrastructure (" in two.words
    assert "bad release (" in two.words


def test_labels_that_moved_and_may_or_may_not_be_of_the_same_rows_are_of_an_unknown_kind() -> None:
    """As of a slice whose labels are wrong, in its first window: classes became more frequent, and the test of rows within each had no power."""
    early = msgspec.structs.replace(TURNED, labels=1e-5, answers_given_labels=0.016, share_of_labels=0.76)
    found = diagnose(case(WORSE, BROKEN, labels=early), NOW)
    assert found.kind is IncidentKind.UNKNOWN, found.words
    assert {each.kind for each in found.hypotheses[:3]} >= {IncidentKind.CONCEPT_SHIFT, IncidentKind.LABEL_SHIFT}


def test_a_changed_schema_near_its_beginning_is_a_hint_of_a_data_fault() -> None:
    at = Happening(at=NOW - DAY, subject="version 4", words="the schema of the data changed", near="when it began")
    without, with_it = (diagnose(case(WORSE, upstream=each), NOW) for each in ((), (at,)))
    fault = [next(h for h in found.hypotheses if h.kind is IncidentKind.DATA_FAULT) for found in (without, with_it)]
    assert fault[1].score > fault[0].score
    assert "when it began: the schema of the data changed" in fault[1].speaks_for


def test_the_same_case_gives_the_same_bytes_also_from_its_record() -> None:
    seen = case(WORSE, BROKEN, labels=TURNED)
    revived = codec.revive(codec.plain(seen), Case)
    assert codec.encode(diagnose(revived, NOW)) == codec.encode(diagnose(seen, NOW))
