"""What is said and done without a byte of new room."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flyball.adapters.heartbeat import Heartbeat, LeaseFile, lease_age_seconds
from flyball.adapters.room import free_bytes, lack_of_room
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


def test_what_a_link_leads_to_is_not_written_over(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"A" * 5000)
    os.utime(other, (0, 0))
    for name in ("trouble", "lease"):
        (tmp_path / name).symlink_to(other)
    file = UntoldFile(tmp_path)
    file.lay_down()
    file.tell(Trouble(words="full", since=AT))
    with pytest.raises(StoreUnavailable, match="lease: "):
        LeaseFile(tmp_path, lambda: AT).renew_lease()
    assert (other.read_bytes(), other.stat().st_mtime) == (b"A" * 5000, 0)


def test_what_is_laid_down_is_its_owners_alone(tmp_path: Path) -> None:
    UntoldFile(tmp_path).lay_down()
    LeaseFile(tmp_path, lambda: AT).renew_lease()
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("trouble", "lease")} == {0o600}


def test_who_starts_where_nothing_can_be_looked_after_renews_no_lease(tmp_path: Path) -> None:
    with Heartbeat(LeaseFile(tmp_path), lambda: False):
        assert lease_age_seconds(tmp_path) is None
    with Heartbeat(LeaseFile(tmp_path), lambda: True):
        assert lease_age_seconds(tmp_path) is not None


def test_a_lease_is_not_renewed_where_nothing_that_follows_could_be_written(tmp_path: Path) -> None:
    LeaseFile(tmp_path).renew_lease()
    os.utime(tmp_path / "lease", (0, 0))
    with pytest.raises(StoreUnavailable, match=r"^the disk of .* is full: no canary .* Next: free space"):
        LeaseFile(tmp_path, room_bytes=ENDLESS).renew_lease()
    assert (tmp_path / "lease").stat().st_mtime == 0


def test_what_the_ledger_is_told_of_a_full_disk_stays_the_same_while_it_fills(tmp_path: Path) -> None:
    said = set()
    for size in (0, 200_000, 400_000):
        (tmp_path / "grows").write_bytes(b"x" * size)
        with pytest.raises(StoreUnavailable) as told:
            LeaseFile(tmp_path, room_bytes=ENDLESS).renew_lease()
        said.add(told.value.message)
    assert len(said) == 1


def test_room_is_what_this_account_may_fill(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    blocks = found.f_bfree if os.geteuid() == 0 else found.f_bavail
    free = free_bytes(tmp_path)
    assert free is not None
    assert abs(free - found.f_frsize * blocks) < 1 << 28, "others write meanwhile, not so much"
    assert free_bytes(Path("/proc")) is None, "it counts no blocks"


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
