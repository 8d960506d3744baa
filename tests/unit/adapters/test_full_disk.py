"""What is said and done without a byte of new room."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flyball.adapters.heartbeat import LeaseFile
from flyball.adapters.room import lack_of_room
from flyball.adapters.supervisor import start_detached
from flyball.adapters.untold import SIZE_BYTES, UntoldFile
from flyball.control.trouble import Trouble
from flyball.errors import OperatorError, StoreUnavailable

AT = datetime(2026, 3, 1, tzinfo=UTC)
ENDLESS = 1 << 62
"""Bytes that no disk has free."""


def test_a_trouble_is_told_and_taken_back_in_the_bytes_that_were_laid_down(tmp_path: Path) -> None:
    file, reader = UntoldFile(tmp_path), UntoldFile(tmp_path)
    assert reader.read() is None
    file.tell(Trouble(words="there is no file to write over", since=AT))
    assert reader.read() is None
    file.lay_down()
    there = (tmp_path / "trouble").stat()
    for words in ("database or disk is full.", "x", "\x00" * 5000, "\U0001f4a5" * 5000):
        told = Trouble(words=words, since=AT + timedelta(seconds=len(words)))
        file.tell(told)
        found = reader.read()
        assert found is not None
        assert found.since == told.since
        assert words.startswith(found.words)
        assert len(found.words) >= min(len(words), 200)
    now = (tmp_path / "trouble").stat()
    assert (now.st_ino, now.st_size, now.st_blocks) == (there.st_ino, SIZE_BYTES, there.st_blocks)
    file.tell(None)
    assert reader.read() is None


def test_what_an_earlier_process_could_not_record_is_nothing_to_the_next_one(tmp_path: Path) -> None:
    earlier = UntoldFile(tmp_path)
    earlier.lay_down()
    earlier.tell(Trouble(words="full", since=AT))
    UntoldFile(tmp_path).lay_down()
    assert UntoldFile(tmp_path).read() is None
    (tmp_path / "trouble").write_bytes(b"\xff{")
    assert UntoldFile(tmp_path).read() is None


def test_a_lease_is_not_renewed_where_nothing_that_follows_could_be_written(tmp_path: Path) -> None:
    LeaseFile(tmp_path).renew_lease()
    os.utime(tmp_path / "lease", (0, 0))
    with pytest.raises(StoreUnavailable, match=r"^the disk of .* is full \([\d,]+ bytes free\): no canary .* Next: free space"):
        LeaseFile(tmp_path, room_bytes=ENDLESS).renew_lease()
    assert (tmp_path / "lease").stat().st_mtime == 0


def test_a_disk_of_which_nobody_can_tell_is_not_called_full(tmp_path: Path) -> None:
    assert lack_of_room(tmp_path / "away", ENDLESS) == ""
    assert lack_of_room(tmp_path, 0) == ""


@pytest.mark.parametrize(
    ("code", "words"),
    [("sys.exit(3)", "it ended with exit code 3"), ("os.kill(os.getpid(), 9)", "it was killed by signal 9")],
)
def test_a_supervisor_that_said_nothing_is_told_by_how_it_ended(tmp_path: Path, code: str, words: str) -> None:
    with pytest.raises(OperatorError) as told:
        start_detached([sys.executable, "-c", f"import os, sys; {code}"], tmp_path, tmp_path)
    assert (
        told.value.message
        == f"it did not come up: {words} and said nothing. Next: run `flyball up` without --detach: it says more here."
    )
