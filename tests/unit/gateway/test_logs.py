"""Lines of a worker's log as machines read them."""

import json
import logging
import sys

from flyball.gateway.logs import JsonLines


def line(**more: object) -> dict[str, object]:
    record = logging.LogRecord(
        "flyball.gateway", logging.ERROR, "app.py", 1, 'incident %d "at"\nthe door %s', (3, "predict"), None
    )
    vars(record).update(more)
    text = JsonLines("w7").format(record)
    assert "\n" not in text
    return json.loads(text)  # type: ignore[no-any-return]


def test_a_line_says_when_what_and_who() -> None:
    said = line(incident=3)
    assert said["message"] == 'incident 3 "at"\nthe door predict'
    assert (said["level"], said["logger"], said["worker"], said["incident"]) == ("error", "flyball.gateway", "w7", 3)
    assert str(said["time"]).endswith("+00:00")
    assert "trace_id" not in said


def test_an_exception_is_told_by_its_class_and_its_stack_on_the_same_line() -> None:
    try:
        raise ValueError("no thirteens")
    except ValueError:
        said = line(exc_info=sys.exc_info())
    assert said["error"] == "ValueError"
    assert "no thirteens" in str(said["stack"])
