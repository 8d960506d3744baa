"""Labels in files, as people's tools write them."""

import csv
from pathlib import Path

import polars as pl

from flyball.adapters.label_rows import LabelRow, file_labels, label_rows
from flyball.control.label_import import LabelImport


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
    names = ("id", "label", "spelled", "observed", "written", "reward", "said")
    columns = [["a", "a", None], ["yes", "no", "no"], *[[None] * 3] * 5]
    frame = pl.DataFrame(dict(zip(names, columns, strict=True)))
    assert [bool(row.wrong) for row in label_rows(frame)] == [True, True, True]
    assert "id: found nothing" in [row.wrong for row in label_rows(frame)][2]
