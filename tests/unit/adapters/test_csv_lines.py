"""Lines of CSV files that are none, told with their numbers."""

import csv
import random
from pathlib import Path

import polars as pl
import pytest

from flyball.adapters import csv_lines
from flyball.adapters.source_files import read_file

CELLS = ("", "7", 'a"b', "x\ny", "x\r\ny", "\u00e9,\u00fc", " q", "text")


def written(path: Path, draw: random.Random) -> list[int]:
    """Rows of which some are cut short; the numbers of those lines."""
    width = draw.randint(2, 4)
    ending = draw.choice(["\n", "\r\n"])
    short, at = [], 2
    with path.open("w", newline="", encoding=draw.choice(["utf-8", "utf-8-sig"])) as file:
        table = csv.writer(file, lineterminator=ending, quoting=draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        table.writerow(f"c{n}" for n in range(width))
        for _ in range(draw.randint(1, 8)):
            fields = draw.choices(CELLS, k=width if draw.random() < 0.6 else draw.randint(1, width))
            table.writerow(fields)
            if len(fields) < width and fields != [""]:
                short.append(at)
            at += 1 + sum(field.count("\n") for field in fields)
    return short


def test_lines_that_are_cut_short_are_told_as_they_are_one_by_one(tmp_path: Path) -> None:
    draw, path = random.Random(7), tmp_path / "f.csv"
    for _ in range(400):
        short = written(path, draw)
        assert [line.number for line in csv_lines.lines(path) if line.short and line.fields != [""]] == short
        told = csv_lines.short_lines(path)
        one_by_one = [f"line {line.number} has {line.wrong}" for line in csv_lines.lines(path) if line.short]
        assert ("; ".join(one_by_one[:3]) in told) if one_by_one else (told == ""), path.read_bytes()
        assert not one_by_one or told.startswith(f"{len(one_by_one)} line")


@pytest.mark.parametrize("stray", [b'5" pipe,1,2\n', b'"q" ,1,2\n', b'x,"open,1\n'])
def test_lines_around_a_quote_that_says_nothing_are_told_with_their_numbers(tmp_path: Path, stray: bytes) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(b"a,b,c\n" + stray + b"7,1\n" + b'"8,\n",1\n')
    assert "2 lines are cut short (line 3 has 2 of the 3 fields of the header; line 4 has 2" in csv_lines.short_lines(path)


def test_many_quotes_that_are_not_closed_are_each_told(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("id,note,label\n" + "".join(f'{n},"open,1\n' + "7,text,1\n" * 200 for n in range(31)))
    words, _ = csv_lines.fault_of(path) or ("", "")
    assert words.startswith("line 2 has a quote that is not closed; line 203 has a quote")
    assert words.endswith("; and 28 more")


def test_a_file_with_short_lines_is_read_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    pl.DataFrame({"a": ["x, y"] * 3, "b": [1, 2, 3]}).write_csv(path)
    with path.open("a") as file:
        file.write('"z, y"\n')
    found = read_file(path)
    assert (found.frame.height, found.short) == (
        4, "1 line is cut short (line 5 has 1 of the 2 fields of the header): what is not there is taken as missing",
    )  # fmt: skip
