"""A hand-written routing file → the routes that gateways serve, every byte of every package checked."""

from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from flyball.adapters.standalone.compiler import Compiler
from flyball.adapters.standalone.watched_file import WatchedFile
from flyball.errors import Fault, NotFound, SpecError, StoreUnavailable
from flyball.records.routing import Route
from flyball.spec.routing_file import parse_routing
from flyball.spec.serve import LimitsSpec


class Compiled(NamedTuple):
    """What a routing file comes to."""

    routes: tuple[Route, ...]
    notes: tuple[str, ...]
    """What whoever wrote it should know of what is captured."""
    keep: timedelta | None
    """How long segments stay; None: for ever."""
    limits: LimitsSpec
    """Of the workers, from their start on."""


class RoutingFile(WatchedFile):
    """Read anew whenever it changes."""

    def compiled(self) -> Compiled:
        """Raises SpecError with every fault of the file's keys or, where there is none, of the packages that it names; NotFound; StoreUnavailable."""
        self.see()
        real = self.real  # once: a link that is changed meanwhile must not lead this text to the packages of another
        spec, lines = parse_routing(self._text(real), name=self.path.name)
        faults: list[Fault] = []
        compilers = [Compiler(name, real.parent, lines, faults) for name in spec.models]
        routes = [each.route(spec.models[each.model]) for each in compilers]
        if faults:
            raise SpecError(faults, file=self.path.name)
        notes = [note for each in compilers for note in each.notes]
        keep = spec.capture.keep if spec.capture else None
        if keep is None:
            notes += [note for each in compilers for note in each.kept_for_ever()]
        return Compiled(tuple(route for route in routes if route is not None), tuple(notes), keep, spec.serve)

    def _text(self, real: Path) -> str:
        try:
            data = real.read_bytes()
        except FileNotFoundError:
            raise NotFound(
                f"there is no {self.path}",
                expected="a routing file: models: {NAME: {champion: DIRECTORY}}",
                next_step="write one (docs/reference/routing.md), or name another with --routing",
            ) from None
        except OSError as error:
            raise StoreUnavailable(f"{self.path} cannot be read: {error.strerror}") from error
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise SpecError([Fault("(whole file)", "bytes that are not UTF-8", "text in UTF-8")], file=self.path.name) from None
