"""The ends of a branched story: each is told, also that of a child that cannot tell it."""

import os
import signal

import pytest
from tests.simulation.forks import Forks


def test_each_end_is_told_by_a_child_and_the_teller_goes_on_untouched() -> None:
    forks, gone = Forks(), []

    def story() -> str:
        for step in range(4):
            if forks.branch(step):
                gone.append("a death")
            gone.append(step)
        return "" if gone == [0, 1, 2, 3] else f"{gone}"

    assert forks.tell(story) == ""
    assert forks.told[0] == "['a death', 0, 1, 2, 3]"
    assert forks.told[3] == "[0, 1, 2, 'a death', 3]"


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda: "", ""),
        ([].pop, "IndexError: pop from empty list"),
        (lambda: os._exit(0), "its child ended with 0 and said nothing"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "its child ended with -9 and said nothing"),
        (lambda: signal.raise_signal(signal.SIGALRM), "its child ended with -14 and said nothing"),
    ],
    ids=["well", "raises", "exits", "is killed", "hangs"],
)
def test_a_child_that_does_not_come_to_its_end_is_told_of(end, words) -> None:
    forks = Forks()
    assert forks.tell(lambda: end() if forks.branch("end") else "") == ""
    assert forks.told == {"end": words}


def test_what_goes_wrong_in_the_teller_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        Forks().tell(lambda: str(1 / 0))
