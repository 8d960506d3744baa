"""A large batch of labels, read slice by slice, says what it says when it is read whole: the same labels, the same model, the same faults."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from flyball.errors import RequestError
from flyball.gateway import large, plain
from flyball.gateway.large_labels import LargeLabels
from flyball.records.signature import Column, ColumnType, Signature

COLUMNS = (Column(name="age", type=ColumnType.NUMBER),)
LIVE = SimpleNamespace(model="shop", signature=Signature(task="binary", columns=COLUMNS, classes=("no", "yes")))
MAX = 2_000
ODD_IDS = ["a:b", "},", "]}", 'say "x"', "\\", "é🦊", '"label": "no"']


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(large, "PIECE_BYTES", 200)


def many(n=1_000, **changed):
    """(labels as texts) with `changed` in place of some, by their numbers."""
    texts = [
        json.dumps({"id": f"{ODD_IDS[at % 7]}{at}", "label": ("yes", "no")[at % 2]}, ensure_ascii=at % 3 > 0) for at in range(n)
    ]
    for at, text in changed.items():
        texts[int(at[1:])] = text
    return texts


def outcome(batch_of):
    try:
        return batch_of()
    except RequestError as wrong:
        return [(fault.path, fault.found, fault.expected) for fault in wrong.faults]


def whole(body):
    form = plain.label_form(body, MAX)
    return form.model or "", plain.read_labels(LIVE, form, 7)


def sliced(body, turns=None):
    async def read():
        async def pause():
            if turns is not None:
                turns.append(1)

        opened = await LargeLabels.opened(body, MAX)
        return None if opened is None else (opened.model, await opened.read(LIVE, 7, pause))

    before = bytes(body)
    try:
        return asyncio.run(read())
    finally:
        assert body == before


ORDINARY = {
    "as json.dumps writes it": ('{"labels": [', ", ", "]}"),
    "without blanks": ('{"labels":[', ",", "]}"),
    "with line breaks": (' {\n  "labels" : [\n ', ",\n    ", '\n]  ,\n "model" : "shop"\r\n}\n'),
    "the model first": ('{"model": "shop]}", "labels": [', ", ", "]}"),
}


@pytest.mark.parametrize("kind", [bytearray, bytes])
@pytest.mark.parametrize("form", ORDINARY)
def test_an_ordinary_body_is_read_in_slices_as_the_whole_of_it(form, kind):
    opening, between, closing = ORDINARY[form]
    rewarded = many(
        a5='{"id": "x", "label": "yes", "reward": 2}', a99='{"observed_at": "2026-11-22T14:00:00Z", "label": "no", "id": "y"}'
    )
    for texts in (many(), rewarded):
        body = kind(f"{opening}{between.join(texts)}{closing}".encode())
        turns = []
        found = sliced(body, turns)
        assert found == outcome(lambda body=body: whole(body))
        assert len(found[1].ids) == 1_000
        assert len(turns) == 16


FAULTY = {
    "a wrong label": many(a500='{"id": "a", "label": "maybe"}'),
    "many wrong labels": many(**{f"a{at}": '{"id": "", "label": 7, "more": 1}' for at in range(60, 300, 3)}),
    "no objects": many(a70="7", a71='["a", "label"]', a72="null"),
    "objects inside": many(a70='{"id": {"a": 1}, "label": {"b": {"c": 2}}}', a200='["a", {"label": 1}]'),
    "a name twice": many(a300='{"id": "a", "label": "no", "label": "yes"}'),
    "a name twice, once escaped": many(a300='{"id": "a", "label": "no", "lab\\u0065l": "yes"}'),
    "a contradiction": many(a100='{"id": "a", "label": "no"}', a700='{"id": "a", "label": "yes"}'),
    "contradictions behind what is no object": many(
        a5="7", **{f"a{at}": json.dumps({"id": f"r{at % 9}", "label": ("yes", "no")[at % 2]}) for at in range(60, 100)}
    ),
    "too many": many(2_001),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_fault_has_the_same_place(name):
    body = bytearray(f'{{"labels": [{", ".join(FAULTY[name])}]}}'.encode())
    expected = outcome(lambda: whole(body))
    assert isinstance(expected, list)
    assert outcome(lambda: sliced(body)) == expected


def told(*labels):
    return outcome(lambda: whole(json.dumps({"labels": [dict(zip(NAMES, each, strict=False)) for each in labels]}).encode()))


NAMES = ("id", "label", "observed_at")
EARLY, LATE, AHEAD, FURTHER = (f"{when}-01-01T00:00:00Z" for when in ("1969", "1970", "2026", "2027"))


@pytest.mark.parametrize(
    "pair",
    [
        [("a", "yes"), ("a", "no")],
        [("a", "no"), ("a", "yes")],
        [("a", "no", EARLY), ("a", "yes", EARLY)],
        [("a", "no"), ("a", "yes", AHEAD)],  # what is known ahead of its telling counts as known when it was told
        [("a", "no", FURTHER), ("a", "yes", AHEAD)],
    ],
)
def test_two_outcomes_of_one_prediction_and_moment_are_refused_with_both_places(pair):
    ((path, found, expected),) = told(("b", "yes"), pair[0], ("c", "no"), pair[1])
    assert path == "labels[3].id"
    assert '"a" twice' in found
    assert expected.endswith("labels[1]")


def test_repeats_and_corrections_with_their_times_are_taken():
    _, batch = told(("a", "yes"), ("a", "yes"), ("b", "yes", EARLY), ("b", "no", LATE), ("b", "no", LATE), ("b", "yes", EARLY))
    assert batch.ids == ["a", "a", "b", "b", "b", "b"]
    ((path, _, expected),) = told(("b", "yes", EARLY), ("b", "no", LATE), ("b", "yes", LATE))
    assert (path, expected[-9:]) == ("labels[2].id", "labels[1]")


LABELS = ", ".join(many())
ELSE = {
    "the model twice": f'{{"labels": [{LABELS}], "model": "a", "model": "b"}}',
    "the model before and behind": f'{{"model": "a", "labels": [{LABELS}], "model": "b"}}',
    "labels twice": f'{{"labels": [{LABELS}], "labels": [{LABELS}]}}',
    "labels twice, the second empty": f'{{"labels": [{LABELS}], "labels": []}}',
    "another field": f'{{"labels": [{LABELS}], "modell": "a"}}',
    "a model that is no text": f'{{"labels": [{LABELS}], "model": 7}}',
    "a model written in another way": f'{{"labels": [{LABELS}], "model": "\\u0061"}}',
    "a number that JSON lacks": f'{{"labels": [{LABELS}, {{"id": "a", "label": NaN}}, {LABELS}]}}',
    "a comma at the end": f'{{"labels": [{LABELS}, ]}}',
    "two commas": f'{{"labels": [{LABELS},, {LABELS}]}}',
    "nothing at the end": f'{{"labels": [{LABELS}',
    "ids that look like a cut": f'{{"labels": [{LABELS.replace("a:b", "}, {")}]}}',
    "one label": '{"id": "a", "label": "yes"}',
    "an empty list": '{"labels": []}',
}


@pytest.mark.parametrize("name", ELSE)
def test_whatever_else_it_is_is_left_to_those_who_look_at_the_whole(name):
    assert outcome(lambda: sliced(bytearray(ELSE[name].encode()))) is None


@pytest.mark.parametrize("text", [b'{"id": "\xed\xa0\x80", "label": "no"}', b'{"id": "\xff", "label": "no"}', b'{"\xff": 1}'])
def test_bytes_that_are_no_text_are_refused(text):
    body = bytearray(b'{"labels": [%s, %s]}' % (LABELS.encode(), text))
    assert [path for path, _, _ in outcome(lambda: sliced(body))] == ["body"]
