"""The key of hashed columns: made once, for this account alone, and never replaced by itself."""

import os
import threading

import pytest

from flyball.errors import OperatorError, StoreUnavailable
from flyball.gateway.keepers import Keepers
from flyball.records.keeping import Keeping

HASHED = Keeping(hash=("email",))


def test_no_rule_needs_no_key_and_a_rule_that_hashes_nothing_neither(tmp_path):
    keepers = Keepers(tmp_path / "capture.key", os.urandom)
    assert keepers.of(None) is None
    assert keepers.of(Keeping(drop=("email",))) is not None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rules", [HASHED, Keeping(keys="hash")])
def test_the_key_is_made_when_a_hash_is_asked_for(tmp_path, rules):
    Keepers(tmp_path / "capture.key", os.urandom).of(rules)
    assert [path.name for path in tmp_path.iterdir()] == ["capture.key"]
    assert (tmp_path / "capture.key").stat().st_mode & 0o777 == 0o600
    assert len((tmp_path / "capture.key").read_bytes()) == 32


def test_many_workers_that_start_at_once_have_one_key(tmp_path):
    keys, gate = [], threading.Barrier(8)

    def start():
        keepers = Keepers(tmp_path / "capture.key", os.urandom)
        gate.wait()
        keepers.of(HASHED)
        keys.append(keepers._key)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert keys[0] == (tmp_path / "capture.key").read_bytes()


def test_a_key_that_others_can_read_or_that_was_cut_is_refused(tmp_path):
    path = tmp_path / "capture.key"
    path.write_bytes(b"x" * 32)
    path.chmod(0o644)
    with pytest.raises(OperatorError, match="0644"):
        Keepers(path, os.urandom).of(HASHED)
    path.chmod(0o600)
    path.write_bytes(b"x" * 31)
    with pytest.raises(OperatorError, match="31 bytes"):
        Keepers(path, os.urandom).of(HASHED)


def test_a_key_that_cannot_be_made_is_an_error_and_no_keeper(tmp_path):
    with pytest.raises(StoreUnavailable, match=r"capture\.key"):
        Keepers(tmp_path / "gone" / "capture.key", os.urandom).of(HASHED)
