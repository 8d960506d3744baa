"""What a run of hours has measured so far, a line each: nothing is lost where it ends early, and what is there is not measured again."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Kept:
    """Of a file, or of this run alone where none is given."""

    def __init__(self, path: Path | None = None, minutes: float = math.inf) -> None:
        self._path, self._ends = path, time.monotonic() + 60.0 * minutes
        self._there = dict(_lines(path)) if path is not None and path.is_file() else {}

    @property
    def over(self) -> bool:
        """Whether the minutes are: nothing more is to be begun."""
        return time.monotonic() > self._ends

    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        """What was measured under that name, measured now where it was not; None: the minutes are over. JSON comes back as JSON."""
        if name not in self._there and not self.over:
            self._there[name] = measure()
            if self._path is not None:
                with self._path.open("a") as file:
                    file.write(json.dumps({"of": name, "told": self._there[name]}, ensure_ascii=False) + "\n")
        return self._there.get(name)


def _lines(path: Path) -> list[tuple[str, Any]]:
    """A last line without its end was being written when the run was ended: it goes."""
    whole, end, torn = path.read_text().rpartition("\n")
    if torn:
        path.write_text(whole + end)
    lines = [json.loads(line) for line in whole.splitlines()]
    return [(line["of"], line["told"]) for line in lines]
