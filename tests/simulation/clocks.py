"""Time as it is, and time as a machine tells it."""

from datetime import datetime, timedelta

from flyball.adapters.clock import SystemClock

BEGINNING = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


class Machine:
    """True time, and the wall clock that people and faults set."""

    def __init__(self, start: datetime) -> None:
        self.true = start
        self._wrong = timedelta(0)
        self._stands_at: datetime | None = None

    def wall(self) -> datetime:
        """What the machine says that it is."""
        return self._stands_at or self.true + self._wrong

    @property
    def seconds(self) -> float:
        """That have passed, whatever the wall clock says."""
        return (self.true - BEGINNING).total_seconds()

    def go_on(self, duration: timedelta) -> None:
        self.true += duration

    def jump(self, by: timedelta) -> None:
        self._wrong += by

    def freeze(self) -> None:
        self._stands_at = self.wall()

    def right(self) -> None:
        """Somebody sets it right."""
        self._wrong, self._stands_at = timedelta(0), None


class ProcessClock(SystemClock):
    """The product's own clock, as one process reads it from this machine."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.wall, lambda: machine.seconds)

    def sleep(self, duration: timedelta) -> None:
        raise AssertionError(f"a tick may not wait, asked for {duration}")
