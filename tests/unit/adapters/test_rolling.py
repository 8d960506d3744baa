"""One worker after another: whoever serves in the end is found by its card."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flyball.adapters.supervisor.child import Child, Recipe
from flyball.adapters.supervisor.rolling import Successor

LATE = """
trap 'echo "{\\"pid\\": $$}" > CARD; rm CARD; exit' USR1
touch STARTED.$$
while :; do sleep 0.02; done
"""
"""A worker that tells where it is only now, over whoever told it meanwhile, and takes that back as it ends."""


class Two:
    """A worker that is still starting (its predecessor was killed), and its successor."""

    def __init__(self, state_dir: Path) -> None:
        self.directory = state_dir / "gateways"
        self.directory.mkdir()
        self.card = self.directory / "0.json"
        self.card.write_text('{"pid": 1}')  # the killed one's
        script = LATE.replace("CARD", str(self.card)).replace("STARTED", str(state_dir / "started"))
        self._started = state_dir
        self.old = Child(Recipe("gateway-0", ("/bin/sh", "-c", script), state_dir / "log"))
        self.old.start(0.0)
        self.succession = Successor(self.old, state_dir)
        self.succession.begin()
        for child in (self.old, self.succession.new):
            self.wait_until_started(child)

    def wait_until_started(self, child: Child) -> None:
        while not (self._started / f"started.{child.pid}").exists():
            assert child.pid is not None
            threading.Event().wait(0.01)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path)
    yield made
    made.old.kill()
    made.succession.new.kill()


def test_a_worker_that_was_still_starting_does_not_take_its_successors_card_along(two: Two) -> None:
    card = {"pid": two.succession.new.pid, "port": 8080}
    two.card.write_text(json.dumps(card))
    two.succession.take_over(lambda: False)
    assert two.succession.left(lambda: False)
    assert two.old.pid is None
    assert json.loads(two.card.read_text()) == card


def test_a_successor_that_has_died_meanwhile_is_not_said_to_be_there(two: Two) -> None:
    two.card.write_text(json.dumps({"pid": two.succession.new.pid}))
    two.succession.take_over(lambda: False)
    two.succession.new.kill()
    assert two.succession.left(lambda: False)
    assert not two.card.exists()
