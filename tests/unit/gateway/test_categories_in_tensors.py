"""Categories that come as tensors are held against the same policy as those in rows, few or many, as JSON or as bytes."""

import pytest

from flyball.gateway.fields import MAX_TEXT_CHARACTERS
from flyball.gateway.tensors.columns import FEW, ColumnCheck
from flyball.records.signature import Column, ColumnType, Unknown

STRICT = ColumnCheck(
    Column(name="town", type=ColumnType.CATEGORY, categories=("Oslo", "Rome"), unknown=Unknown.REFUSE, missing=True)
)
FREE = ColumnCheck(Column(name="town", type=ColumnType.CATEGORY))
NEVER = ColumnCheck(Column(name="town", type=ColumnType.CATEGORY, categories=("Oslo", "Rome"), unknown=Unknown.REFUSE))


@pytest.mark.parametrize("n", [2, FEW + 6])
@pytest.mark.parametrize(
    ("check", "wrong"), [(STRICT, "Oslo "), (NEVER, ""), (FREE, "x" * (MAX_TEXT_CHARACTERS + 1)), (FREE, "a\0")]
)
def test_one_wrong_category_is_named_in_json_and_in_bytes(n, check, wrong):
    values = ["Oslo"] * (n - 1) + [wrong]
    for ask in (
        lambda faults: check.listed(values, "BYTES", faults),
        lambda faults: check.texts([v.encode() for v in values], faults),
    ):
        faults = []
        ask(faults)
        assert [fault.path for fault in faults] == [f"rows[{n - 1}].town"]


@pytest.mark.parametrize("n", [2, FEW + 6])
def test_known_and_missing_categories_are_taken(n):
    faults = []
    assert STRICT.listed(["Rome"] * (n - 1) + [None], "BYTES", faults)[:, 0].tolist() == ["Rome"] * (n - 1) + [""]
    assert STRICT.texts([b"Rome"] * (n - 1) + [b""], faults)[:, 0].tolist() == ["Rome"] * (n - 1) + [""]
    assert faults == []


@pytest.mark.parametrize("n", [2, FEW + 6])
def test_an_empty_category_is_missing_in_bytes_alone(n):
    """Bytes have no null, so that nothing else could say it; of JSON, where null does, an empty text is one that is not known."""
    faults = []
    STRICT.listed(["Oslo"] * (n - 1) + [""], "BYTES", faults)
    assert [fault.path for fault in faults] == [f"rows[{n - 1}].town"]


def test_beside_a_wrong_category_a_missing_one_is_no_fault():
    faults = []
    STRICT.texts([b"", b"Rom", b"", b"Oslo"], faults)
    assert [(fault.path, fault.hint) for fault in faults] == [("rows[1].town", "did you mean 'Rome'?")]
