"""What a worker writes about itself: text for people, or one JSON object a line for machines. Requests are not logged: metrics count them, traces show them."""

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec

from flyball.gateway import tracing

_encode = msgspec.json.Encoder().encode


class JsonLines(logging.Formatter):
    """time, level, logger, message, worker; trace_id and span_id inside a traced request; incident and error where there are some."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "worker": self._worker,
        }
        if (ids := tracing.present_ids()) is not None:
            line["trace_id"], line["span_id"] = ids
        if (incident := getattr(record, "incident", None)) is not None:
            line["incident"] = incident
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["stack"] = self.formatException(record.exc_info)
        return _encode(line).decode()


def set_up(worker: str, *, as_json: bool) -> None:
    """To stderr, which the supervisor keeps in a file."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(worker) if as_json else logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
