"""The process that takes a changed routing file, from the side of who starts it."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from flyball.adapters.standalone import follow
from flyball.adapters.standalone.follow import Follower
from flyball.adapters.standalone.routing_file import RoutingFile
from flyball.adapters.standalone.watched_file import WatchedFile
from flyball.errors import SpecError, StoreUnavailable
from flyball.wiring.privacy import keep_private


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "LOOK_SECONDS", 0.02)


def test_links_that_go_round_and_files_in_the_place_of_directories_are_told(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(StoreUnavailable, match=r"round cannot be read: Too many levels"):
        RoutingFile(tmp_path / "round").compiled()
    routing = tmp_path / "routing.yaml"
    for package in ("round", "routing.yaml", "n" * 300):
        routing.write_text(f"models: {{shop: {{champion: {package}}}}}")
        with pytest.raises(SpecError, match=r"models\.shop\.champion: found .*expected the directory of a package"):
            RoutingFile(routing).compiled()
    with pytest.raises(StoreUnavailable, match=r"routing\.yaml is no directory"):
        keep_private(routing)


def said_of(code: str, directory: Path) -> str:
    """What is said of a file that changes and is taken by `code`."""
    file = WatchedFile(directory / "routing.yaml")
    said: list[str] = []
    told = threading.Event()

    def say(_style: str, words: str) -> None:
        said.append(words)
        told.set()

    with Follower(file, [sys.executable, "-c", code], say):
        file.path.write_text("models: {}")
        assert told.wait(20)
    return said[0]


def test_a_process_that_is_killed_while_it_reads_the_routes_is_told(tmp_path: Path) -> None:
    told = said_of("import os; os.kill(os.getpid(), 9)", tmp_path)
    assert told == "The routes were not taken: the process that reads them ended with SIGKILL. Those before go on being served."


def test_a_process_that_fails_on_the_routes_is_told(tmp_path: Path) -> None:
    assert "ended with 7." in said_of("raise SystemExit(7)", tmp_path)


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="this system has no real-time signals")
def test_a_process_that_is_ended_by_a_signal_without_a_name_is_told_with_its_number(tmp_path: Path) -> None:
    number = signal.SIGRTMIN + 6
    assert f"ended with signal {number}." in said_of(f"import os; os.kill(os.getpid(), {number})", tmp_path)


def test_each_state_of_the_file_is_taken_once_and_an_end_waits_for_no_taking(tmp_path: Path) -> None:
    file, runs = WatchedFile(tmp_path / "routing.yaml"), tmp_path / "runs"
    code = f"import time; open({str(runs)!r}, 'a').write('x'); time.sleep(0 if len(open({str(runs)!r}).read()) < 2 else 600)"
    pause = threading.Event()

    def runs_are(wanted: str) -> bool:
        return runs.exists() and runs.read_text() == wanted

    with Follower(file, [sys.executable, "-c", code], lambda _style, words: pytest.fail(words)):
        file.path.write_text("one")
        while not runs_are("x"):
            pause.wait(0.01)
        pause.wait(0.2)
        assert runs_are("x")
        file.path.write_text("two!")
        while not runs_are("xx"):
            pause.wait(0.01)
    assert runs_are("xx")


def test_a_file_behind_a_link_is_followed_to_where_the_link_leads_now(tmp_path: Path) -> None:
    """As `ln -sfn releases/2 current` does, and Kubernetes with a ConfigMap: the file itself is never changed."""
    for release in ("1", "2"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "routing.yaml").write_text("models: {shop: {champion: package}}")
    (tmp_path / "current").symlink_to("1")
    file = RoutingFile(tmp_path / "current" / "routing.yaml")
    for release in ("1", "2"):
        with pytest.raises(SpecError, match=f"{tmp_path}/{release}/package"):
            file.compiled()
        assert not file.changed()
        (tmp_path / "next").symlink_to("2")
        (tmp_path / "next").replace(tmp_path / "current")
        assert file.changed() is (release == "1")
    assert file.path == tmp_path / "current" / "routing.yaml"


@pytest.mark.parametrize("switched", ["a link", "a directory"])
def test_releases_that_share_the_file_by_a_hard_link_are_told_apart(tmp_path: Path, switched: str) -> None:
    """`cp -al` and `rsync --link-dest` make them so: one inode, one time, one length, and other packages beside it."""
    for release in ("1", "2"):
        (tmp_path / release).mkdir()
    (tmp_path / "1" / "routing.yaml").write_text("models: {shop: {champion: package}}")
    os.link(tmp_path / "1" / "routing.yaml", tmp_path / "2" / "routing.yaml")
    current, coming = tmp_path / "current", tmp_path / "2"
    if switched == "a link":
        current.symlink_to("1")
        coming = tmp_path / "next"
        coming.symlink_to("2")
    else:
        (tmp_path / "1").rename(current)
    file = WatchedFile(current / "routing.yaml")
    file.see()
    assert not file.changed()
    if switched == "a directory":
        current.rename(tmp_path / "1")
    coming.rename(current)
    assert file.changed()
    file.see()
    assert not file.changed()
