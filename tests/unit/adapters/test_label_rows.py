"""Labels in files, as people's tools write them."""

import csv
from pathlib import Path

from flyball.adapters.label_rows import file_labels, label_rows
from flyball.control.label_import import LabelImport


def test_a_column_may_have_any_name_that_csv_writes(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([['the "id"', 'n"q', "when,known"], ["007", "yes", "2026-11-22T14:00:00Z"]])
    wanted = LabelImport(path, None, None, id='the "id"', label='n"q', observed_at="when,known")
    (row,) = label_rows(file_labels(path, wanted))
    assert (row.label["id"], row.label["label"], row.wrong) == ("007", "yes", "")
