"""What is said to clients of a gateway's own troubles."""

import json

import pytest

from flyball.errors import Fault, ModelFailed, RequestError
from flyball.gateway.problems import no_table, problem_of, without_places


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "[Errno 2] No such file or directory: '/srv/a b/shop/lookup.json'",
            "[Errno 2] No such file or directory: 'lookup.json'",
        ),
        ("the package of u1 at /srv/shop/own cannot be read: denied", "the package of u1 at own cannot be read: denied"),
        ("3/4 of http://host/x", "3/4 of http://host/x"),
        ("https://host:8400/v2/models/x and s3://store/a/b", "https://host:8400/v2/models/x and s3://store/a/b"),
        ("url file:///home/u/secret/w.txt", "url file://w.txt"),
        ("path:/home/u/w, PATH=/a/b:/home/u/c", "path:w, PATH=b:c"),
        ("lost '/srv//a/x' and /srv//a/y", "lost 'x' and y"),
        ("regex '/' or '/x' in <b>a</b>", "regex '/' or '/x' in <b>a</b>"),
    ],
)
def test_a_place_of_this_machine_is_told_by_its_name_alone(words: str, told: str) -> None:
    assert without_places(words) == told
    assert told in json.loads(problem_of(ModelFailed(words)).body)["detail"]


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("", "This gateway has no routing table yet"),
        ("no routing table yet. Next: Publish one at /srv/routing.json", "This gateway has no routing table yet"),
        ("u1 lacks '/srv/x.json'.", "This gateway could not take its routing table: u1 lacks 'x.json'"),
    ],
)
def test_a_gateway_without_a_table_says_whether_it_was_given_one(why: str, told: str) -> None:
    document = json.loads(problem_of(no_table(why)).body)
    assert (document["status"], document["detail"].rstrip(".")) == (503, told)


@pytest.mark.parametrize(
    ("path", "row", "field"),
    [("rows[3].hour", 3, "hour"), ("labels[1].label", 1, "label"), ("labels[0]", 0, None), ("label", None, "label")],
)
def test_a_fault_tells_the_row_and_the_field_of_rows_and_labels_alike(path: str, row: int | None, field: str | None) -> None:
    (fault,) = json.loads(problem_of(RequestError([Fault(path, "7", "a text")])).body)["faults"]
    assert (fault["path"], fault["row"], fault["field"]) == (path, row, field)
