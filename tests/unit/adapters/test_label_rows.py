"""Labels in files, as people's tools write them."""

import csv
from pathlib import Path

import polars as pl
import pytest

from flyball.adapters.label_rows import LabelRow, file_labels, label_rows
from flyball.control.label_import import LabelImport
from flyball.errors import DataError


def test_a_column_may_have_any_name_that_csv_writes(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([['the "id"', 'n"q', "when,known"], ["007", "yes", "2026-11-22T14:00:00Z"]])
    wanted = LabelImport(path, None, None, id='the "id"', label='n"q', observed_at="when,known")
    (row,) = label_rows(file_labels(path, wanted))
    assert (row.label["id"], row.label["label"], row.wrong) == ("007", "yes", "")


def rows_of(tmp_path: Path, lines: list[str], *, numbers: bool = False) -> list[LabelRow]:
    path = tmp_path / "o.csv"
    path.write_text("\n".join(lines))
    return list(label_rows(file_labels(path, LabelImport(path, None, None), numbers=numbers)))


def test_two_outcomes_of_one_id_without_times_are_refused_with_both_rows_named_wherever_they_stand(tmp_path: Path) -> None:
    others = [f"g{n},yes" for n in range(2_000)]
    for both in (["a,yes", *others, "a,no"], ["a,no", *others, "a,yes"]):
        rows = rows_of(tmp_path, ["id,label", *both])
        assert [row.number for row in rows if row.wrong] == [1, 2_002]
        assert "in row 2002" in rows[0].wrong
        assert "in row 1," in rows[-1].wrong
        assert "--observed-at" in rows[-1].wrong


def test_corrections_with_their_times_and_repeats_are_no_contradictions(tmp_path: Path) -> None:
    dated = [
        "a,yes,2026-11-22T14:00:00Z",
        "a,no,2026-11-22T15:00:00Z",
        "a,no,2026-11-22T15:00:00Z",
        "b,yes,",
        "b,yes,",
        "c,,",
        "c,no,",
    ]
    assert [row.wrong for row in rows_of(tmp_path, ["id,label,observed_at", *dated])] == [""] * len(dated)
    assert [row.wrong for row in rows_of(tmp_path, ["id,label", "a,1.0", "a,1", "a,1e0"], numbers=True)] == [""] * 3
    wrong = [bool(row.wrong) for row in rows_of(tmp_path, ["id,label", "a,1.0", "a,1.5", "b,2"], numbers=True)]
    assert wrong == [True, True, False]


def test_of_a_query_rows_without_times_count_as_known_together() -> None:
    names = ("id", "label", "spelled", "observed", "written", "reward", "said", "unread")
    columns = [["a", "a", None], ["yes", "no", "no"], *[[None] * 3] * 6]
    frame = pl.DataFrame(dict(zip(names, columns, strict=True)))
    assert [bool(row.wrong) for row in label_rows(frame)] == [True, True, True]
    assert "id: found nothing" in [row.wrong for row in label_rows(frame)][2]


def labels_of(path: Path, content: bytes, **columns: str) -> list[LabelRow]:
    path.write_bytes(content)
    return list(label_rows(file_labels(path, LabelImport(path, None, None, **columns))))


@pytest.mark.parametrize(
    ("content", "bad"),
    [
        (b"id,label\na,1\nb,0\nc,1,x\nd,1\n", {3: "line 4 has 3 fields, and the header has 2"}),
        (b'id,label,note\na,1,x\nb,0,"open\nc,1,y\nd,1,"a, ""b""\n2"\n', {2: "line 3 has a quote that is not closed"}),
        (b'id,label,note\na,1,"open\nb,0,"as well\nc,1,y\n', {1: "line 2 has a quote", 2: "line 3 has a quote"}),
        (b"id,label\na,1\nb1\nc,0\nd", {2: "line 3 has 1 of the 2 fields of the header", 4: "line 5 has 1 of the 2"}),
        ("id,label,note\na,1,gr\u00fcn\nb,0,\nc,1,x\n".encode("latin-1"), {}),
        ("id,label\na,1\nb,gr\u00fcn\nc,0\n".encode("latin-1"), {2: "line 3 has bytes that are not UTF-8"}),
        (b"id,label\n" + b"a,1\n" * 2000 + "b,gr\u00fcn\n".encode("latin-1"), {2001: "line 2002 has bytes that are not UTF-8"}),
        (b"id,label,\na,1,\nb,0\n", {}),
        (b"id,label,observed_at\na,1,2026-01-01T00:00:00Z\nb,0\n", {}),
        (b"id,note,label\na,,1\nb,x\n", {2: "line 3 has 2 of the 3 fields of the header"}),
        (b"id,label,x,x,x\na,1,1,2,3\nb,0,1\nc\n", {3: "line 4 has 1 of the 5 fields"}),
        (b"id,label,x,x_duplicated_0,x\na,1,1,2,3\nb,0,1\nc\n", {3: "line 4 has 1 of the 5 fields"}),
        (b"id,label\na,1,\nb,0\n", {}),
    ],
)
def test_lines_that_are_no_rows_are_told_and_all_others_are_labels(tmp_path: Path, content: bytes, bad: dict[int, str]) -> None:
    rows = labels_of(tmp_path / "o.csv", content)
    assert [row.number for row in rows if row.wrong] == list(bad)
    assert all(words in rows[number - 1].wrong for number, words in bad.items())
    assert all(row.label["id"] and row.label["label"] is not None for row in rows if not row.wrong)


def test_an_outcome_that_is_empty_is_still_not_known_yet(tmp_path: Path) -> None:
    assert [row.not_known_yet for row in labels_of(tmp_path / "o.csv", b"id,label\na,\nb,1\nc\n")] == [True, False, False]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"id;label\na;1,5\nb;2\n", "is separated by ';'.* commas"),
        (b"id\tlabel\na\t1\n", "is separated by tabs"),
        (b"\n\n\n", "has nothing but empty lines. Expected: CSV with a header"),
        ("id,label\na,1\n".encode("utf-16"), "is UTF-16. .*iconv -f UTF-16"),
        ("id,label\na,1\n".encode("utf-16-le"), "is UTF-16"),
    ],
)
def test_what_spreadsheets_write_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        labels_of(tmp_path / "o.csv", content)
