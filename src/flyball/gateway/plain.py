"""Flyball's own plain form: rows in, predictions out, labels later."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice, repeat
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from flyball.errors import Fault, RequestError
from flyball.gateway.answering import labels_of
from flyball.gateway.batches import Answer
from flyball.gateway.explaining import Attribution
from flyball.gateway.fields import shown
from flyball.gateway.json_faults import no_name_twice, refuse_repeats
from flyball.gateway.pieces import Pieces
from flyball.gateway.tables import LiveRoute
from flyball.gateway.validation import MAX_FAULTS, MAX_ID_CHARACTERS, Body, Rows, counted, parsed_json
from flyball.records.captured import LabelBatch
from flyball.records.signature import MAX_FLOAT32, Signature

_decoder = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode


def predictions(live: LiveRoute, rows: Rows, answer: Answer, told: Sequence[Attribution] | None = None) -> dict[str, Any]:
    """`{"model", "unit", "predictions": [{"id", "unit", "score" | "scores", "label"?, "flags"?, "attributions"?, "base"?}]}`; `unit` is null
    when several answered."""
    units = dict.fromkeys(answer.units)
    common = answer.units[0].id if len(units) == 1 else None
    return {"model": live.model, "unit": common, "predictions": _listed(live, rows, answer, told)}


def prediction_list(live: LiveRoute, rows: Rows | None, answer: Answer) -> bytes:
    """The predictions of a slice as JSON, without the brackets around them. `rows` None: nothing is flagged."""
    return _encode(_listed(live, rows, answer, None))[1:-1]


def framed(live: LiveRoute, units: Sequence[str], parts: Pieces) -> list[bytes]:
    """The slices of one answer, joined by commas, in their frame."""
    head = _encode({"model": live.model, "unit": units[0] if len(units) == 1 else None})[:-1] + b',"predictions":['
    return [head, *parts.taken(), b"]}"]


class _Prediction(msgspec.Struct, gc=False):
    """Of one row; what is not set is not told. Made and worded faster than a dictionary."""

    id: str
    unit: str
    score: float | UnsetType
    scores: list[float] | UnsetType
    label: str | UnsetType
    flags: list[dict[str, str]] | UnsetType = UNSET
    attributions: Any = UNSET
    base: Any = UNSET


def _listed(live: LiveRoute, rows: Rows | None, answer: Answer, told: Sequence[Attribution] | None) -> list[_Prediction]:
    labels: Iterable[str | UnsetType] = labels_of(live, answer) or repeat(UNSET, len(answer.ids))
    rows_of = zip(answer.ids, answer.units, answer.scores, labels, strict=True)
    given = (
        [_Prediction(each, unit.id, UNSET, scores, label) for each, unit, scores, label in rows_of]
        if live.signature.n_scores > 1
        else [_Prediction(each, unit.id, scores[0], UNSET, label) for each, unit, scores, label in rows_of]
    )
    for at, flags in (live.reader.flags(rows) if rows is not None else {}).items():
        given[at].flags = flags
    for one, (attributions, base) in zip(given, told or (), strict=False):
        one.attributions, one.base = attributions, base
    return given


class LabelForm(NamedTuple):
    """What a body of labels says, its labels not looked at yet."""

    model: str | None
    labels: list[tuple[str, Any]]
    """(its place in the body, what stands there)"""


def label_form(body: Body, max_labels: int) -> LabelForm:
    """`{"id", "label", "observed_at"?, "model"?}` or `{"labels": [{"id", "label", "observed_at"?}], "model"?}`. Raises RequestError."""
    form = parsed_json(body, _decoder)
    if not isinstance(form, dict):
        raise RequestError([Fault("body", shown(form), _LABEL_FORMS)])
    _refuse_two_meanings(body, form)
    model = form.pop("model", None)
    if model is not None and not isinstance(model, str):
        raise RequestError([Fault("model", shown(model), "the name of a model")])
    if "labels" not in form:
        return LabelForm(model, [("", form)])
    if set(form) != {"labels"} or not isinstance(form["labels"], list):
        raise RequestError([Fault("body", shown(form), _LABEL_FORMS)])
    if not form["labels"]:
        raise RequestError([Fault("labels", "an empty list", "at least one label")])
    counted(len(form["labels"]), max_labels)
    return LabelForm(model, [(f"labels[{at}].", given) for at, given in enumerate(form["labels"])])


def _refuse_two_meanings(body: Body, form: dict[str, Any]) -> None:
    """Raises RequestError for a name that comes twice: of two labels in one object the last would be taken, in silence."""
    listed = form.get("labels")
    if may_repeat_a_name(body, [form, *(listed if isinstance(listed, list) else ())]):
        refuse_repeats(body)


def may_repeat_a_name(text: Body, labels: Iterable[Any]) -> bool:
    """Whether one of the objects among these may have a name twice in the text that they were read from."""
    objects = [each for each in labels if isinstance(each, dict)]
    texts = (value for each in objects for value in each.values() if isinstance(value, str))
    return not no_name_twice(text, sum(map(len, objects)), texts)


def read_labels(live: LiveRoute, form: LabelForm, at_us: int) -> LabelBatch:
    """The labels against the signature; raises RequestError with every fault's place."""
    reading = LabelReading(live, at_us)
    reading.add(form.labels)
    return reading.batch()


class LabelReading:
    """Labels against the signature, some after others; nothing of them is a batch before all are read."""

    def __init__(self, live: LiveRoute, at_us: int) -> None:
        self._signature = live.signature
        self._batch = LabelBatch(at_us=at_us, model=live.model, ids=[], values=[], observed_us=[])
        self._faults: list[Fault] = []
        self._first: dict[str, int] = {}
        """Id → the number of its first label."""
        self._again: dict[tuple[str, int], int] = {}
        """(id, moment) → the number of its first label, of ids that come twice."""

    def add(self, labels: Iterable[tuple[str, Any]]) -> None:
        """Of each its place in the body, and what stands there. Raises RequestError once there are faults enough to tell."""
        ids, faults, first = self._batch.ids, self._faults, self._first
        for place, given in labels:
            known = len(faults)
            _read_label(place, given, self._signature, self._batch, faults)
            if len(faults) == known:
                number = len(ids) - 1
                before = first.setdefault(ids[number], number)
                if before != number:
                    self._refuse_contradiction(place, before, number)
            if len(faults) >= MAX_FAULTS:
                raise RequestError(faults[:MAX_FAULTS])

    def batch(self) -> LabelBatch:
        """All of them; raises RequestError with every fault's place."""
        if self._faults:
            raise RequestError(self._faults)
        return self._batch

    def _refuse_contradiction(self, place: str, first: int, number: int) -> None:
        """Of two outcomes of one moment that come together neither is the correction: one of them would be taken, in silence."""
        each, values = self._batch.ids[number], self._batch.values
        self._again.setdefault((each, self._moment(first)), first)
        before = self._again.setdefault((each, self._moment(number)), number)
        if values[before] != values[number]:
            found = f"{shown(each)} twice for one moment, as {shown(values[before])} and as {shown(values[number])}"
            self._faults.append(Fault(f"{place}id", found, f"one label, or another observed_at, here or in labels[{before}]"))

    def _moment(self, number: int) -> int:
        """As labels are joined: nobody knows an outcome after telling it."""
        observed, now = self._batch.observed_us[number], self._batch.at_us
        return now if observed is None else min(observed, now)


_LABEL_FORMS = 'an object {"id": …, "label": …} or {"labels": [{"id": …, "label": …}]}'


def _read_label(place: str, given: Any, signature: Signature, batch: LabelBatch, faults: list[Fault]) -> None:
    if not isinstance(given, dict):
        faults.append(Fault(place.rstrip("."), shown(given), "an object with id and label"))
        for column in (batch.ids, batch.values, batch.observed_us):  # so that numbers in the batch are those in the body
            column.append(None)  # type: ignore[arg-type]
        return
    faults.extend(
        Fault(f"{place}{name[:100]}", "an unknown field", "id, label, observed_at, reward")
        for name in islice((name for name in given if name not in _LABEL_FIELDS), MAX_FAULTS)
    )
    each = given.get("id")
    if not isinstance(each, str) or not 0 < len(each) <= MAX_ID_CHARACTERS or not each.isprintable():
        faults.append(Fault(f"{place}id", shown(each) if "id" in given else "nothing", "the id of a prediction"))
    value = _label(given.get("label"), signature)
    if value is None:
        expected = (
            "a finite number" if signature.task == "regression" else "one of " + ", ".join(map(shown, signature.classes[:20]))
        )
        faults.append(Fault(f"{place}label", shown(given["label"]) if "label" in given else "nothing", expected))
    observed = None
    if given.get("observed_at") is not None:
        observed = moment_us(given["observed_at"])
        if observed is None:
            faults.append(
                Fault(
                    f"{place}observed_at",
                    shown(given["observed_at"]),
                    "a time as in RFC 3339, with its zone: 2026-11-22T14:00:00Z",
                )
            )
    batch.ids.append(each)  # type: ignore[arg-type]
    batch.values.append(value)
    batch.observed_us.append(observed)
    _read_reward(place, given.get("reward"), batch, faults)


def _read_reward(place: str, given: Any, batch: LabelBatch, faults: list[Fault]) -> None:
    """Rewards have places only once one was given: most projects have none."""
    if given is None:
        if batch.rewards:
            batch.rewards.append(None)
        return
    if isinstance(given, bool) or not isinstance(given, int | float) or abs(given) > MAX_FLOAT32:
        faults.append(Fault(f"{place}reward", shown(given), "a finite number: what the prediction earned"))
        return
    batch.rewards.extend([None] * (len(batch.ids) - 1 - len(batch.rewards)))
    batch.rewards.append(float(given))


_LABEL_FIELDS = frozenset({"id", "label", "observed_at", "reward"})


def _label(value: Any, signature: Signature) -> Any:
    """As it is stored: the class as a string, or a number; None: neither."""
    if signature.task == "regression":
        fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_FLOAT32
        return float(value) if fits else None
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, int):
        value = str(value)
    return value if isinstance(value, str) and value in signature.classes else None


def moment_us(text: Any) -> int | None:
    """Microseconds UTC of an RFC 3339 time with a zone; None for anything else."""
    try:
        moment = msgspec.convert(text, datetime, strict=True)
    except msgspec.ValidationError:
        return None
    if moment.tzinfo is None:
        return None
    try:
        return round(moment.timestamp() * 1_000_000)
    except (OverflowError, ValueError):
        return None


def event_us(given: bytes) -> int:
    """The event time that comes with a request of a simulated clock; raises RequestError."""
    text = given.decode("latin-1")
    at_us = moment_us(text)
    if at_us is None:
        expected = "an RFC 3339 time: this gateway runs on a simulated clock"
        raise RequestError([Fault("X-Flyball-Event-Time", text[:80] or "nothing", expected)])
    return at_us
