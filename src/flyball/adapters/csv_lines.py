"""A CSV file gone through line by line, to say of one that no table can be made of where it is wrong: a reader of tables refuses it as a whole, and fills what a
short line lacks without a word."""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from flyball.errors import DataError

_BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = 4096
_SHOWN = 3
_SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'"}
"""What spreadsheets and databases write in the place of commas."""
NOT_UTF8 = "bytes that are not UTF-8"
TO_UTF8 = "save it as UTF-8, such as by iconv -f {0} -t UTF-8"


class Line(NamedTuple):
    """A row of the file, or what stands in the place of one."""

    number: int
    """In the file, counted from 1: of the first line, where a text in quotes goes over several."""
    raw: bytes
    width: int
    """Fields; 0: nothing stands there, or no row can be read from it."""
    wrong: str
    """Why it has not the fields of the header; empty: it has."""
    short: bool = False
    """It ends before the header does."""

    @property
    def lossy(self) -> bool:
        return not is_utf8(self.raw)

    @property
    def fields(self) -> list[str]:
        """Bytes that are no UTF-8 are marks. Empty: none can be read."""
        return _fields(self.raw) or []


def lines(path: Path) -> Iterator[Line]:
    """The header first. Raises OSError."""
    with path.open("rb") as file:
        names: Sequence[str] = ()
        for number, raw in _rows(file):
            width = _width(raw)
            if names:
                yield _line_of(number, raw, width, names)
            elif width:  # empty lines before it are none
                names = _fields(raw) or ()
                yield Line(number, raw, width, "")


def fault_of(path: Path) -> tuple[str, str] | None:
    """The first lines of which no table can be made, in words, and what to do; None: there are none. Raises OSError."""
    bad = ((line.number, line.wrong or NOT_UTF8) for line in lines(path) if line.lossy or (line.wrong and not line.short))
    first = list(islice(bad, _SHOWN))
    if not first:
        return None
    more = sum(1 for _ in bad)
    words = "; ".join(f"line {number} has {wrong}" for number, wrong in first) + (f"; and {more} more" if more else "")
    only_bytes = all(wrong == NOT_UTF8 for _, wrong in first)
    return words, TO_UTF8.format("WINDOWS-1252") if only_bytes else "mend these lines, or write the file anew"


def short_lines(path: Path) -> str:
    """Lines that have fewer fields than the header, in words; empty: there are none. Raises OSError."""
    if not _may_be_short(path):
        return ""
    try:
        first, count = _counted(_short_rows(path))
    except csv.Error:  # a quote that says nothing: what the lines around it are has to be told one by one
        first, count = _counted((line.number, line.wrong) for line in lines(path) if line.short)
    if not count:
        return ""
    told = "; ".join(f"line {number} has {wrong}" for number, wrong in first) + ("; …" if count > len(first) else "")
    return f"{count} line{'s are' if count > 1 else ' is'} cut short ({told}): what is not there is taken as missing"


def _counted(told: Iterator[tuple[int, str]]) -> tuple[list[tuple[int, str]], int]:
    """The first, and how many there are."""
    first = list(islice(told, _SHOWN))
    return first, len(first) + sum(1 for _ in told)


def _short_rows(path: Path) -> Iterator[tuple[int, str]]:
    """As `lines` tells them, eight times as fast. Raises csv.Error."""
    with path.open("rb") as file:
        if file.read(len(_BOM)) != _BOM:
            file.seek(0)
        rows = csv.reader((raw.decode("utf-8", errors="replace") for raw in file), strict=True)
        least = _least(next(filter(None, rows), []))
        ended = rows.line_num
        for fields in rows:
            number, ended = ended + 1, rows.line_num
            if fields and len(fields) < least:
                yield number, _cut_short(len(fields), least)


def refuse_no_table(path: Path, name: object) -> None:
    """Text of another encoding, or separated otherwise: the two that spreadsheets write. Raises DataError, OSError."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if is_utf16(head):
        raise DataError(f"{name} is UTF-16", expected="CSV in UTF-8", next_step=TO_UTF8.format("UTF-16"))
    header = next(lines(path), None)
    if header is None:
        return
    names = header.fields
    found = max(_SEPARATORS, key=names[0].count) if len(names) == 1 else ""
    if found and found in names[0]:
        raise DataError(
            f"{name} is separated by {_SEPARATORS[found]}", expected="CSV separated by commas",
            next_step="write it with commas between the fields, and points in numbers",
        )  # fmt: skip


def is_utf16(head: bytes) -> bool:
    """By its mark, or by a zero in every second byte, as ASCII has it there."""
    return head.startswith((b"\xff\xfe", b"\xfe\xff")) or (
        len(head) >= 8 and any(not any(head[start:64:2]) and all(head[1 - start : 64 : 2]) for start in (0, 1))
    )


def is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _may_be_short(path: Path) -> bool:
    """A count of commas, which costs a tenth of looking at each line: where there are no quotes it is all that is asked."""
    header = next(lines(path), None)
    commas = 0 if header is None else _least(header.fields) - 1
    with path.open("rb") as file:
        return any(b'"' in raw or (raw.count(b",") < commas and raw.strip(b"\r\n") != b"") for raw in file)


def _least(names: Sequence[str]) -> int:
    """Fields that a row has: a comma at the end of the header names nothing."""
    return max((at for at, name in enumerate(names, start=1) if name.strip()), default=0)


def _line_of(number: int, raw: bytes, width: int, names: Sequence[str]) -> Line:
    least = _least(names)
    if not raw.strip(b"\r\n") or least <= width <= len(names):
        return Line(number, raw, width, "")
    if not width:
        return Line(number, raw, 0, "a quote that is not closed" if raw.count(b'"') % 2 else "quotes in the midst of a field")
    if width < least:
        return Line(number, raw, width, _cut_short(width, least), short=True)
    return Line(number, raw, width, f"{width} fields, and the header has {len(names)}")


def _cut_short(width: int, least: int) -> str:
    return f"{width} of the {least} fields of the header"


def _rows(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(number of the line, a row): where no later line closes a quote so that a row comes of it, the line alone."""
    ahead: deque[bytes] = deque()
    number = 0
    while first := _line(file, ahead, 0):
        number += 1
        raw = first.removeprefix(_BOM) if number == 1 else first
        whole = _closed(raw, file, ahead) if raw.count(b'"') % 2 else [raw]
        together = b"".join(whole)
        taken = len(whole) if len(whole) == 1 or _width(together) else 1
        yield number, together if taken > 1 else raw
        for _ in range(taken):
            ahead.popleft()
        number += taken - 1


def _closed(raw: bytes, file: BinaryIO, ahead: deque[bytes]) -> list[bytes]:
    """The lines of a row that begins with an open quote, up to where it is closed, or as far as a field may be long."""
    whole, size = [raw], len(raw)
    while size <= csv.field_size_limit() and (more := _line(file, ahead, len(whole))):
        whole.append(more)
        size += len(more)
        if more.count(b'"') % 2:
            break
    return whole


def _line(file: BinaryIO, ahead: deque[bytes], at: int) -> bytes:
    """Empty: there are no more."""
    while len(ahead) <= at:
        line = file.readline()
        if not line:
            return b""
        ahead.append(line)
    return ahead[at]


def _width(raw: bytes) -> int:
    """Without a quote a comma is a comma: a hundred times as fast."""
    if b'"' not in raw:
        return raw.count(b",") + 1 if raw.strip(b"\r\n") else 0
    return len(_fields(raw) or ())


def _fields(raw: bytes) -> list[str] | None:
    try:
        return next(csv.reader([raw.decode("utf-8", errors="replace")], strict=True), None)
    except csv.Error:
        return None
