"""A few lives of the bench of faults: real rows, real models, the engine; told for what they are, and nothing broken is trained."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from bench.faults import cases, tables

SHARED = next((place / "shared/data" for place in Path(__file__).parents if (place / "shared/data").is_dir()), None)


@pytest.mark.parametrize("name", ["another unit upstream", "labels poisoned in one slice"])
def test_a_fault_is_told_for_what_it_is_and_no_broken_row_is_trained(tmp_path: Path, name: str) -> None:
    if SHARED is None:
        pytest.skip("there is no shared/data beside the checkout")
    fault = next(each for each in cases.FAULTS if each.name == name)
    found = cases.live(tmp_path, tables.TABLES["noaa"](SHARED), fault, 1, cases.POLICIES)
    assert found.right, found.words
    assert found.faulty_rows_trained == 0
    assert found.actions[0].startswith("notify")
