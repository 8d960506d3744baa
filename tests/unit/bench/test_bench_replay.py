"""The bench of interrupted replays cannot pass without having interrupted any."""

import math
from pathlib import Path
from typing import Any

import pytest
from bench.replay.interrupted import _over, bars

SEEN: dict[str, Any] = {"planned": 40, "kills": 40, "lives": 2, "events": 500, "unequal": 0, "reports": 0}


@pytest.mark.parametrize("other", [{"kills": 39}, {"lives": 0}, {"unequal": 1}, {"reports": 1}])
def test_too_few_kills_no_end_or_any_difference_is_a_miss(other: dict[str, int]) -> None:
    assert {bar.verdict for bar in bars(SEEN)} == {"met"}
    assert [bar.verdict for bar in bars({**SEEN, **other})].count("MISSED") == 1


def test_a_replay_that_ends_by_itself_with_a_fault_is_no_kill(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"ended by itself with [1-9]"):
        _over(tmp_path, fresh=True, seconds=math.inf)
