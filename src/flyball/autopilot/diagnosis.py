"""Which kind of incident is it? Evidence for and against each kind, as weights that add up. Pure: the same case gives the same diagnosis.

Each piece of evidence adds to a kind's log odds or takes from them (weights of evidence: Good, "Probability and the Weighing of Evidence", 1950); a kind's
score is its share of the odds of all. `unknown` has a head start that one slight hint does not overcome, and is told, too, where no kind has half of all.
Weights are rough and written down as four words; how often the diagnosis is right is measured by `bench/faults`.

What is identifiable: covariate, label and concept shift are told apart by labels of rows from before and after, and by nothing else: by what labels say given
the answers, and answers given the labels (monitoring/moved_labels.py). Before labels have come no such weight is added, and the diagnosis is `unknown`
unless the pipe, the gateways or a release explain it. What cannot be told apart from labels alone: labels that are wrong from labels that changed.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from flyball.autopilot.case import Case, Labels, Symptom
from flyball.records.diagnosis import Diagnosis, Hypothesis, name_of
from flyball.records.findings import FindingKind, IncidentKind

DECISIVE, STRONG, SOME, SLIGHT = 4.5, 3.0, 1.5, 0.7
"""Odds of about 90, 20, 4.5 and 2 to 1."""
HEAD_START = 2.0
"""Of `unknown`: log odds."""
LEAST = 0.5
"""Score of a kind that is told: below it another one is as likely."""
MOVED = 0.01
"""p-value below which a part of the table moved. No budget is spent by it: an alarm came before."""
SURELY_HELD, NEARLY_ALL = 0.2, 0.9
"""p-value above which a part held though its test had a chance to show that it did not; and a share of what moved that leaves next to nothing to it."""
MOST_OF_IT = 0.8
"""Share of what moved, from which on it explains the rest away, whatever many rows show beside it."""
MAINLY = 0.6
"""Share of a worse loss."""
REPEATED = 0.3
"""What another reason from the same labels still counts: none of them is independent of the others."""
REASONS_TOLD = 3
CONCEPT, MISSING, REQUESTS = "concept", "missing", "requests"
"""A cause, and two signals of operations."""
SCHEMA = "schema"
"""A fault for which requests are refused."""
MANY_REFUSED = 0.3
"""Share of a window's rows from which on those that are answered are a biased sample of what is sent: they tell less of the world, and nothing is fitted to
them. Fewer leave rows that a fault of others says nothing against."""
UNDIVIDED = ("outside the reference", "like the reference")
"""Causes that are neither feature, concept nor slice: rows of which features and concept cannot be told apart."""
OF_LOSS = (FindingKind.PERFORMANCE, FindingKind.CONCEPT_DRIFT)
OF_ROWS = (FindingKind.FEATURE_DRIFT, FindingKind.JOINT_DRIFT)
SHIFTS = (IncidentKind.COVARIATE_SHIFT, IncidentKind.LABEL_SHIFT, IncidentKind.CONCEPT_SHIFT)


class Reason(NamedTuple):
    kind: IncidentKind
    weight: float
    """Log odds: above 0 it speaks for the kind."""
    words: str


Reasons = Iterator[Reason]


def diagnose(case: Case, now: datetime) -> Diagnosis:
    """The likeliest kind; `unknown` where none is."""
    others, labels = ([reason for rule in rules for reason in rule(case)] for rules in (_RULES, _OF_LABELS))
    reasons = others + labels
    odds = {kind: sum(each.weight for each in others if each.kind is kind) + _together(labels, kind) for kind in IncidentKind}
    odds[IncidentKind.UNKNOWN] += HEAD_START
    top = max(odds.values())
    total = sum(math.exp(value - top) for value in odds.values())
    scores = {kind: round(math.exp(value - top) / total, 3) for kind, value in odds.items()}
    ranked = sorted(IncidentKind, key=lambda kind: (-scores[kind], kind.value))
    hypotheses = tuple(_hypothesis(kind, scores[kind], reasons) for kind in ranked)
    likeliest = hypotheses[0]
    kind = likeliest.kind if likeliest.score >= LEAST else IncidentKind.UNKNOWN
    mine = _of_kind(case, kind)
    between = next((each.between for each in mine if each.between is not None), None)
    told = next(each for each in hypotheses if each.kind is kind)
    return Diagnosis(
        incident=case.incident, model=case.model, unit=case.unit, at=now, kind=kind, score=told.score, hypotheses=hypotheses,
        features=_features(case, mine), slices=_slices(case, mine), since=between[0] if between is not None else case.began, between=between,
        wrong_labels=(case.label_fault_in, case.label_fault), words=_words(case, told, hypotheses),
    )  # fmt: skip


def _together(reasons: Sequence[Reason], kind: IncidentKind) -> float:
    """Of reasons that rest on the same labels: the weightiest in full, the others in part, for and against by themselves."""
    weights = [each.weight for each in reasons if each.kind is kind]
    sides = ([w for w in weights if w > 0.0], [w for w in weights if w < 0.0])
    return sum(max(side, key=abs) * (1.0 - REPEATED) + sum(side) * REPEATED for side in sides if side)


# -- evidence


def _columns(case: Case) -> Reasons:
    faults, refused = _faults(case), [each for each in case.symptoms if each.fault == SCHEMA]
    if faults:
        words = f"finding {faults[0].number}: {faults[0].words}"
        yield Reason(IncidentKind.DATA_FAULT, DECISIVE, words)
        for kind in SHIFTS:
            yield Reason(kind, -STRONG, f"a fault of {_and([each.subject for each in faults])} makes answers worse by itself")
        yield Reason(IncidentKind.BAD_RELEASE, -SOME, "a column has a fault, and no version mends it")
    elif refused:
        yield from _refused(case, refused)
    elif case.columns_watched and not case.label_fault and not any(each.subject == MISSING for each in case.symptoms):
        words = "no column is gone, stuck, swapped, spelt otherwise or in another unit"
        if case.harmless:
            words = f"what is wrong with {_and(case.harmless)} does the model no harm"
        yield Reason(IncidentKind.DATA_FAULT, -SOME, words)
    for each in case.upstream:
        if each.subject.startswith("version"):
            yield Reason(IncidentKind.DATA_FAULT, SLIGHT, f"{each.near}: {each.words}")


def _refused(case: Case, refused: Sequence[Symptom]) -> Reasons:
    """Rows that are refused have no answers, so they make none worse: where answers are, it is of others."""
    most = max(refused, key=lambda each: each.effect)
    words = f"finding {most.number}: {most.words}"
    if not _of(case, *OF_LOSS):
        yield Reason(IncidentKind.DATA_FAULT, DECISIVE, words)
        if not _with_the_champion(case, most):
            yield Reason(IncidentKind.BAD_RELEASE, -SOME, "requests changed, and not the version")
    elif most.effect >= MANY_REFUSED:
        yield Reason(IncidentKind.DATA_FAULT, SOME, f"{words}; those that are answered are a biased sample")
    else:
        yield Reason(IncidentKind.DATA_FAULT, SLIGHT, words)


def _wrong_labels(case: Case) -> Reasons:
    if case.label_fault:
        yield Reason(IncidentKind.DATA_FAULT, DECISIVE, f"{case.label_fault}: a pipe does that more often than a world")
        yield Reason(IncidentKind.CONCEPT_SHIFT, -SOME, "labels of the other rows follow the answers as before")
        yield Reason(IncidentKind.LABEL_SHIFT, -SOME, "labels of the other rows follow the answers as before")


def _service(case: Case) -> Reasons:
    seen = [*_of(case, FindingKind.SERVING), *_of(case, FindingKind.OPERATIONS)]
    if not seen:
        yield Reason(IncidentKind.INFRASTRUCTURE, -SOME, "gateways answer, and requests and labels come as usual")
        return
    refused = any(each.fault == SCHEMA for each in case.symptoms)
    first = next((each for each in seen if not (refused and each.subject == REQUESTS)), seen[0])
    words = f"finding {first.number}: {first.words}"
    if refused and first.subject == REQUESTS:
        yield Reason(IncidentKind.DATA_FAULT, SLIGHT, f"{words}; those that are refused are not among them")
        return
    if first.subject == MISSING:
        yield Reason(IncidentKind.DATA_FAULT, DECISIVE, words)
        return
    yield Reason(IncidentKind.INFRASTRUCTURE, DECISIVE, words)
    if first.subject == "failures" and _with_the_champion(case, first):
        yield Reason(IncidentKind.BAD_RELEASE, DECISIVE, f"{words}, since this champion answers")
    if worse := _of(case, *OF_LOSS):
        yield Reason(
            IncidentKind.INFRASTRUCTURE, -STRONG, f"answers are wrong, too, which no gateway makes (finding {worse[0].number})"
        )


def _release(case: Case) -> Reasons:
    worse = _of(case, *OF_LOSS, FindingKind.ESTIMATED_PERFORMANCE)
    first = min((_begin(each) for each in case.symptoms), default=case.began)
    if worse and case.brought:
        yield Reason(IncidentKind.BAD_RELEASE, -STRONG, case.brought)
    elif worse and _with_the_champion(case, worse[0]):
        words = (
            f"the loss is worse since the first windows of this champion, which took over {case.champion_since:%Y-%m-%d %H:%M}"
        )
        yield Reason(IncidentKind.BAD_RELEASE, STRONG if case.earlier_champion else SLIGHT, words)
        for kind in SHIFTS:
            yield Reason(kind, -SLIGHT, "it began with a release")
    elif first > case.champion_since + 2 * case.window:
        days = (first - case.champion_since) / timedelta(days=1)
        yield Reason(IncidentKind.BAD_RELEASE, -STRONG, f"it began {days:.3g} days after the champion took over")
    if not case.earlier_champion:
        yield Reason(IncidentKind.BAD_RELEASE, -SLIGHT, "no champion came before this one")


def _rows_moved(case: Case) -> Reasons:
    moved = _of(case, *OF_ROWS)
    if moved:
        named = _and(dict.fromkeys(each.subject for each in moved))
        yield Reason(IncidentKind.COVARIATE_SHIFT, SOME, f"{named} moved (finding {moved[0].number})")
        yield Reason(IncidentKind.BAD_RELEASE, -SLIGHT, f"{named} moved, which no release does")
        return
    answers = _of(case, FindingKind.PREDICTION_DRIFT)
    if answers and _with_the_champion(case, answers[0]):
        words = f"answers moved and no feature did, since this champion answers (finding {answers[0].number})"
        yield Reason(IncidentKind.BAD_RELEASE, STRONG if case.earlier_champion else SOME, words)
        yield Reason(IncidentKind.COVARIATE_SHIFT, -SOME, words)
    elif not answers and not _faults(case):
        yield Reason(IncidentKind.COVARIATE_SHIFT, -STRONG, "no feature moved that matters to the model")


def _causes(case: Case) -> Reasons:
    told = [each for each in _of(case, *OF_LOSS) if each.shares]
    if not told:
        return
    newest = told[-1]
    concept, reaches = newest.shares.get(CONCEPT, 0.0), newest.reaches | newest.alone  # one question: the reach of one
    moved = {name: share for name, share in newest.shares.items() if _is_feature(case, name)}
    features, off = sum(moved.values()), math.hypot(*(reaches.get(name, 0.0) for name in moved))
    if concept >= MAINLY and concept > reaches.get(CONCEPT, 0.0):
        words = f"{_percent(concept)} of the worse loss is of rows like the holdout's (finding {newest.number})"
        yield Reason(IncidentKind.CONCEPT_SHIFT, SOME, words)
        yield Reason(IncidentKind.LABEL_SHIFT, SOME, words)
        yield Reason(IncidentKind.COVARIATE_SHIFT, -STRONG, words)
    elif features >= MAINLY and features > off and concept < 1.0 - MAINLY:
        words = f"{_percent(features)} of the worse loss is put down to features that moved (finding {newest.number})"
        yield Reason(IncidentKind.COVARIATE_SHIFT, STRONG, words)
        yield Reason(IncidentKind.CONCEPT_SHIFT, -STRONG, words)


def _labels_say(case: Case) -> Reasons:
    """The conditional distributions: what is identifiable at all."""
    seen = case.labels
    if seen is None:
        if _of(case, *OF_ROWS, FindingKind.PREDICTION_DRIFT, FindingKind.ESTIMATED_PERFORMANCE):
            yield Reason(
                IncidentKind.UNKNOWN,
                SOME,
                "no labels of these rows have come: whether they follow the answers as before is not known",
            )
        return
    rows, labels = seen.answers < MOVED, seen.labels < MOVED
    broken = seen.labels_given_answers < MOVED and (seen.share_of_answers or 0.0) < MOST_OF_IT
    unlike = seen.answers_given_labels < MOVED and (seen.share_of_labels or 0.0) < MOST_OF_IT
    if not (rows or labels or broken or unlike):
        yield Reason(IncidentKind.UNKNOWN, SLIGHT, f"labels of {seen.rows} rows do not show yet what moved")
    elif broken:
        like = seen.answers_given_labels > SURELY_HELD or (seen.share_of_labels or 0.0) >= NEARLY_ALL
        yield from _labels_or_concept(seen, new_classes=labels and like and not unlike)
    elif rows:
        yield Reason(
            IncidentKind.COVARIATE_SHIFT, STRONG, f"labels of {seen.rows} rows follow the answers as before, and answers moved"
        )
        words = f"labels of {seen.rows} rows follow the answers as on the holdout"
        yield Reason(IncidentKind.CONCEPT_SHIFT, -STRONG, words)
        yield Reason(IncidentKind.LABEL_SHIFT, -STRONG if unlike else -SLIGHT, words)


def _labels_or_concept(seen: Labels, *, new_classes: bool) -> Reasons:
    broken = f"labels of {seen.rows} rows do not follow the answers as on the holdout (p {seen.labels_given_answers:.1g})"
    yield Reason(IncidentKind.COVARIATE_SHIFT, -SOME, broken)
    if not seen.classes:
        yield Reason(IncidentKind.CONCEPT_SHIFT, STRONG, broken)
        yield Reason(IncidentKind.LABEL_SHIFT, -STRONG, "labels are numbers: a shift of theirs is not told from a concept")
    elif seen.answers_given_labels >= MOVED and not new_classes:
        both = f"{broken}, and it is not seen yet whether rows of the same class are answered as before (p {seen.answers_given_labels:.1g})"
        yield Reason(IncidentKind.CONCEPT_SHIFT, SOME, both)
        yield Reason(IncidentKind.LABEL_SHIFT, SOME, both)
    elif new_classes:
        words = f"classes became more or less frequent (p {seen.labels:.1g}), and rows of each are answered as before"
        yield Reason(IncidentKind.LABEL_SHIFT, DECISIVE, words)
        yield Reason(IncidentKind.CONCEPT_SHIFT, -SOME, words)
    else:
        yield Reason(IncidentKind.CONCEPT_SHIFT, STRONG, broken)
        words = f"rows of the same class are answered otherwise than before (p {seen.answers_given_labels:.1g})"
        yield Reason(IncidentKind.LABEL_SHIFT, -STRONG, words)


def _detectors(case: Case) -> Reasons:
    """What alarms under a budget of its own, beside the table of labels."""
    found = _of(case, FindingKind.CONCEPT_DRIFT)
    if found:
        yield Reason(IncidentKind.CONCEPT_SHIFT, SOME, f"finding {found[0].number}: {found[0].words}")
        yield Reason(IncidentKind.LABEL_SHIFT, SLIGHT, f"finding {found[0].number}: {found[0].words}")
    judged, missed = case.estimates_judged, case.estimates_missed
    if missed >= 2:
        words = f"labels of {missed} of {judged} windows lie outside of what was estimated without them"
        yield Reason(IncidentKind.CONCEPT_SHIFT, SLIGHT, words)
        yield Reason(IncidentKind.LABEL_SHIFT, SLIGHT, words)
    elif judged >= 2 and missed == 0 and _of(case, *OF_LOSS):
        words = f"the loss of {judged} windows is what was estimated of these rows without labels"
        yield Reason(IncidentKind.COVARIATE_SHIFT, SOME, words)
        yield Reason(IncidentKind.CONCEPT_SHIFT, -SLIGHT, words)


_RULES: tuple[Callable[[Case], Reasons], ...] = (
    _columns, _wrong_labels, _service, _release, _rows_moved,
)  # fmt: skip
_OF_LABELS: tuple[Callable[[Case], Reasons], ...] = (_causes, _labels_say, _detectors)
"""They rest on the same labels."""


# -- who is part of it, and words


def _of(case: Case, *kinds: FindingKind) -> list[Symptom]:
    return [each for each in case.symptoms if each.kind in kinds]


def _faults(case: Case) -> list[Symptom]:
    """Of columns, in rows that were answered."""
    return [each for each in _of(case, FindingKind.DATA_QUALITY) if each.fault != SCHEMA]


def _begin(symptom: Symptom) -> datetime:
    return symptom.between[0] if symptom.between is not None else symptom.window[0]


def _with_the_champion(case: Case, symptom: Symptom) -> bool:
    return _begin(symptom) < case.champion_since + case.window


_KINDS_OF: dict[IncidentKind, tuple[FindingKind, ...]] = {
    IncidentKind.DATA_FAULT: (FindingKind.DATA_QUALITY, *OF_LOSS), IncidentKind.INFRASTRUCTURE: (FindingKind.SERVING, FindingKind.OPERATIONS),
    IncidentKind.COVARIATE_SHIFT: (*OF_ROWS, *OF_LOSS), IncidentKind.BAD_RELEASE: (*OF_LOSS, FindingKind.SERVING),
    IncidentKind.LABEL_SHIFT: OF_LOSS, IncidentKind.CONCEPT_SHIFT: (FindingKind.CONCEPT_DRIFT, FindingKind.PERFORMANCE),
    IncidentKind.UNKNOWN: tuple(FindingKind),
}  # fmt: skip
"""Kind of incident → findings that date it, the likelier ones first."""


def _of_kind(case: Case, kind: IncidentKind) -> list[Symptom]:
    return sorted(_of(case, *_KINDS_OF[kind]), key=lambda each: (_KINDS_OF[kind].index(each.kind), each.number)) or [
        *case.symptoms
    ]


def _is_feature(case: Case, name: str) -> bool:
    return name == "features together" or all(part in case.columns for part in name.split(", "))


def _features(case: Case, mine: Sequence[Symptom]) -> tuple[str, ...]:
    named = [each.subject for each in mine if each.subject in case.columns]
    named += [
        name for each in mine for name, share in each.shares.items()
        if share >= max(0.1, each.reaches.get(name, 0.0)) and name in case.columns
    ]  # fmt: skip
    return tuple(dict.fromkeys(named))


def _slices(case: Case, mine: Sequence[Symptom]) -> tuple[str, ...]:
    named = [case.label_fault_in] if case.label_fault_in else []
    named += [
        each.subject.removeprefix("slice ") for each in mine if each.kind in OF_LOSS and each.subject not in ("labels", "loss")
    ]
    named += [
        name for each in mine for name in each.shares
        if not _is_feature(case, name) and name not in (CONCEPT, *UNDIVIDED)
    ]  # fmt: skip
    return tuple(dict.fromkeys(named))


def _hypothesis(kind: IncidentKind, score: float, reasons: Sequence[Reason]) -> Hypothesis:
    mine = sorted((each for each in reasons if each.kind is kind), key=lambda each: -abs(each.weight))
    return Hypothesis(
        kind=kind,
        score=score,
        speaks_for=tuple(dict.fromkeys(each.words for each in mine if each.weight > 0.0)),
        speaks_against=tuple(dict.fromkeys(each.words for each in mine if each.weight < 0.0)),
    )


def _words(case: Case, told: Hypothesis, hypotheses: Sequence[Hypothesis]) -> str:
    """`incident 3: concept shift (0.7), because …; against a data fault: …`."""
    because = "; ".join(told.speaks_for[:REASONS_TOLD])
    if told.kind is IncidentKind.UNKNOWN:
        two = " or ".join(
            f"{name_of(each.kind)} ({each.score:.2g})" for each in hypotheses if each.kind is not told.kind and each.score >= 0.1
        )
        words = f"incident {case.incident}: unknown" + (f", {two} as it stands" if two else "")
        return f"{words}; {because}" if because else f"{words}; nothing that was found tells its kind"
    rival = next(
        (each for each in hypotheses if each.kind not in (told.kind, IncidentKind.UNKNOWN) and each.speaks_against), None
    )
    against = f"; against {_a(rival.kind)}: {rival.speaks_against[0]}" if rival is not None else ""
    return f"incident {case.incident}: {name_of(told.kind)} ({told.score:.2g}), because {because}{against}"


def _a(kind: IncidentKind) -> str:
    name = name_of(kind)
    return name if kind is IncidentKind.INFRASTRUCTURE else f"a {name}"


def _and(names: Sequence[str] | dict[str, None]) -> str:
    found = list(dict.fromkeys(names))
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"


def _percent(share: float) -> str:
    return f"{100 * min(share, 1.0):.0f} %"
