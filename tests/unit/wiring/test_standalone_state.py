"""Where a gateway without a project keeps its token and what it captured, while the releases that its routing file lies in come and go."""

from pathlib import Path

import pytest

from flyball.adapters.standalone.watched_file import WatchedFile
from flyball.wiring.standalone import STATE, state_dir_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two releases, and `current` leads to the first."""
    for release in ("1", "2"):
        (tmp_path / "releases" / release / "conf").mkdir(parents=True)
        (tmp_path / "releases" / release / "conf" / "routing.yaml").write_text("models: {}")
    (tmp_path / "shared").mkdir()
    (tmp_path / "current").symlink_to("releases/1")
    return tmp_path


def state_of(path: Path, *said: str) -> Path:
    """`said`: what must be in the only sentence that is said; without it none may be."""
    told: list[str] = []
    found = state_dir_of(WatchedFile(path), lambda _style, words: told.append(words))
    assert len(told) == bool(said), told
    assert all(part in told[0] for part in said)
    return found.resolve()


def test_it_lies_beside_the_link_that_is_switched(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert state_of(root / "current" / "conf" / "routing.yaml") == root / STATE
    disk = tmp_path_factory.mktemp("disk")
    (disk / "app").symlink_to(root)  # nobody switches that one
    assert state_of(disk / "app" / "current" / "conf" / "routing.yaml") == root / STATE
    (root / "releases" / "1" / "link").symlink_to("conf")
    assert state_of(root / "current" / "link" / "routing.yaml") == root / STATE


def test_it_lies_beside_a_file_that_is_a_link_itself(root: Path) -> None:
    (root / "shared" / "routing.yaml").symlink_to("../releases/1/conf/routing.yaml")
    assert state_of(root / "shared" / "routing.yaml") == root / "shared" / STATE


def test_it_lies_beside_the_file_where_nothing_is_switched(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    real = root / "releases" / "1" / "conf"
    assert state_of(real / "routing.yaml") == real / STATE
    home = tmp_path_factory.mktemp("home")
    (home / "project").symlink_to(real)  # on another disk, say: two such projects must not share one
    assert state_of(home / "project" / "routing.yaml") == real / STATE


def test_one_that_an_earlier_release_of_flyball_made_is_kept_and_told(root: Path) -> None:
    path = root / "current" / "conf" / "routing.yaml"
    earlier = root / "releases" / "1" / "conf" / STATE
    earlier.mkdir()
    assert state_of(path) == root / STATE  # without a token nobody would miss it
    (earlier / "token").touch()
    assert state_of(path, f"stay in {earlier}", f"mv {earlier} {root / STATE}") == earlier
    (root / STATE).mkdir()
    (root / STATE / "token").touch()
    assert state_of(path) == root / STATE
