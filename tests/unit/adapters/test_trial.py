"""The trial that `flyball gateway --check` makes of a routing file's packages."""

import pytest

from flyball.adapters.clock import SystemClock
from flyball.adapters.standalone.trial import refuse_what_does_not_answer
from flyball.errors import OperatorError


def test_a_gateway_that_does_not_come_up_is_told_without_a_log_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/there/is/no/python")
    with pytest.raises(OperatorError, match=r"(?s)the gateway did not come up:.*Python") as told:
        refuse_what_does_not_answer((), (), "models.yaml", SystemClock())
    assert told.value.next_step == ""
    assert "flyball-check-" not in told.value.message
