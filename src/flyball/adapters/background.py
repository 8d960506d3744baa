"""Work that goes on in a thread for as long as a `with` block does."""

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Background(ABC):
    """What is done, a subclass says; while it waits it looks at `_end`."""

    def __init__(self, name: str) -> None:
        """`name`: of the thread."""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """Until `_end` is set."""
