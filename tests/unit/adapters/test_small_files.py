"""Token, engine lock, durable files, notifications, entropy."""

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flyball.adapters import entropy
from flyball.adapters.durable import replace_file
from flyball.adapters.engine_lock import EngineLock, engine_is_held, engine_owner
from flyball.adapters.notifier import LogNotifier
from flyball.adapters.token import owner_token
from flyball.errors import EngineBusy, OperatorError, StoreUnavailable


def test_a_token_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    made = owner_token(tmp_path / "state", entropy.fresh_token)
    assert len(made) >= 40
    assert owner_token(tmp_path / "state", lambda: "other") == made
    assert stat.S_IMODE((tmp_path / "state" / "token").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["token"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_token_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    owner_token(tmp_path, entropy.fresh_token)
    (tmp_path / "token").chmod(mode)
    with pytest.raises(OperatorError, match=rf"mode {mode:04o}.*Expected: 0600\. Next: chmod 600"):
        owner_token(tmp_path, entropy.fresh_token)


def test_an_empty_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").touch(mode=0o600)
    with pytest.raises(OperatorError, match="is empty"):
        owner_token(tmp_path, entropy.fresh_token)


@pytest.mark.parametrize("text", ["s3cret\nsecond line\n", "s3cret\tx", "s3cr\u00e9t", "s3cret\0", "s3\u2028cret"])
def test_a_token_that_can_stand_in_no_header_is_refused_and_never_quoted(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").touch(mode=0o600)
    (tmp_path / "token").write_text(text, encoding="utf-8")
    with pytest.raises(OperatorError, match="is not one line of printable ASCII") as refused:
        owner_token(tmp_path, entropy.fresh_token)
    assert "s3" not in refused.value.message


def test_random_values_differ_and_have_their_length() -> None:
    assert len({entropy.fresh_token() for _ in range(50)} | {entropy.fresh_id() for _ in range(50)}) == 100
    assert (len(entropy.fresh_id()), len(entropy.random_bytes(7))) == (24, 7)


def test_the_engine_lock_names_who_holds_it_and_is_freed_by_its_death(tmp_path: Path) -> None:
    code = "import sys,pathlib; from flyball.adapters.engine_lock import EngineLock\nEngineLock(pathlib.Path(sys.argv[1])).acquire(); print(1, flush=True); input()"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(EngineBusy, match=f"process {holder.pid} runs the ticks"):
            EngineLock(tmp_path).acquire()
        with pytest.raises(EngineBusy, match=f"process {holder.pid} replays this project already.*end process {holder.pid}"):
            EngineLock(tmp_path, replays=True).acquire()  # `flyball down` ends no replay
        assert engine_is_held(tmp_path)
        holder.kill()
    assert not engine_is_held(tmp_path)
    with EngineLock(tmp_path), pytest.raises(EngineBusy, match=str(os.getpid())):
        EngineLock(tmp_path).acquire()
    for owner in ("flyball control", "flyball run", ""):
        with EngineLock(tmp_path, owner):
            assert engine_is_held(tmp_path)
            assert engine_owner(tmp_path) == owner
    assert not engine_is_held(tmp_path)
    assert engine_owner(tmp_path) is None
    assert not engine_is_held(tmp_path / "nowhere")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    replace_file(tmp_path / "a" / "x", b"one")
    replace_file(tmp_path / "a" / "x", b"two")
    assert (tmp_path / "a" / "x").read_bytes() == b"two"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x"]
    (tmp_path / "a" / "directory").mkdir()
    with pytest.raises(StoreUnavailable):
        replace_file(tmp_path / "a" / "directory", b"three")


def test_a_notification_is_one_line_whatever_it_quotes_and_never_fails(tmp_path: Path) -> None:
    notifier = LogNotifier(tmp_path, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    notifier.notify("model:shop", "drift\n2026-01-01 forged line \ud800")
    assert (tmp_path / "notifications.log").read_text().count("\n") == 1
    LogNotifier(tmp_path / "nowhere", lambda: datetime(2026, 1, 1, tzinfo=UTC)).notify("a", "b")
