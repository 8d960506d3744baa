"""A hand-written routing file → the routes that gateways serve, every byte of every package checked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from flyball.adapters.packages import LocalPackages, verify_package
from flyball.errors import ArtifactDamaged, Fault, NotFound, SpecError, StoreUnavailable
from flyball.records import codec
from flyball.records.routing import Route, ServedUnit
from flyball.registry.unit import unit_made_of
from flyball.spec import tree
from flyball.spec.routing_file import ModelRouting, PackageSpec, parse_routing

STANDALONE_POLICY = ""
"""Policy digest of a unit that no policy governs."""


class RoutingFile:
    """Read anew whenever it changes."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> bool:
        """Whether it is another file than at the last `routes()`."""
        return self._stamp() != self._seen

    def routes(self) -> tuple[Route, ...]:
        """Raises SpecError with every fault of the file and of the packages that it names; NotFound; StoreUnavailable."""
        self._seen = self._stamp()
        spec, lines = parse_routing(self._text(), name=self.path.name)
        faults: list[Fault] = []
        routes = [_Compiler(name, self.path.parent, lines, faults).route(model) for name, model in spec.models.items()]
        if faults:
            raise SpecError(faults, file=self.path.name)
        return tuple(route for route in routes if route is not None)

    def _text(self) -> str:
        try:
            data = self.path.read_bytes()
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

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino, stat.st_size


class _Compiler:
    """One model's route; what is wrong goes to `faults`, so that the rest is looked at, too."""

    def __init__(self, model: str, directory: Path, lines: Mapping[tree.Path, int], faults: list[Fault]) -> None:
        self._model = model
        self._directory = directory
        self._lines = lines
        self._faults = faults

    def route(self, model: ModelRouting) -> Route | None:
        """None: something is wrong with it."""
        before = len(self._faults)
        champion = self._served(model.champion, model, ("champion",))
        canary = self._served(model.canary, model, ("canary",)) if model.canary else None
        shadows = [self._served(each, model, ("shadow", at)) for at, each in enumerate(model.shadow)]
        if champion is not None:
            for place, served in ((("canary",), canary), *((("shadow", at), each) for at, each in enumerate(shadows))):
                self._same_question(champion, served, place)
        if champion is None or len(self._faults) > before:
            return None
        return Route(
            model=self._model,
            champion=champion,
            canary=canary,
            canary_weight=model.canary.weight if model.canary else 0.0,
            shadows=tuple(each for each in shadows if each is not None),
            # Of the canary, not of its weight: a key that is in at 5 % is in at 50 %, and falls differently for the next canary.
            salt=canary.unit.id if canary else "",
        )

    def _served(self, given: PackageSpec, model: ModelRouting, place: Sequence[str | int]) -> ServedUnit | None:
        package = (self._directory / given.package).resolve()
        try:
            manifest = verify_package(package)
            signature = LocalPackages().signature(package)
        except NotFound:
            self._fault(place, str(package), "the directory of a package: manifest.json, signature.json and model/")
            return None
        except (ArtifactDamaged, ValueError) as damaged:
            self._fault(place, str(damaged).rstrip("."), "a package whose every byte is as its manifest says")
            return None
        threshold = given.threshold if given.threshold is not None else model.threshold
        if threshold is not None and signature.task != "binary":
            self._fault(place, f"a threshold for {signature.task}", "a threshold only for a binary model")
        unit = unit_made_of(self._model, given.version, codec.digest(manifest), threshold, STANDALONE_POLICY)
        return ServedUnit(unit=unit, package=str(package), format=manifest.format, signature=signature)

    def _same_question(self, champion: ServedUnit, other: ServedUnit | None, place: Sequence[str | int]) -> None:
        """Every unit of a route answers the same request."""
        if other is None:
            return
        ours, theirs = champion.signature, other.signature
        if (ours.task, ours.classes) != (theirs.task, theirs.classes):
            self._fault(place, _question(theirs.task, theirs.classes), f"{_question(ours.task, ours.classes)}, as its champion")
        known = {column.name: column.type for column in ours.columns}
        for column in theirs.columns:
            if known.get(column.name, column.type) is not column.type:
                self._fault(place, f"{column.name!r} as {column.type}", f"{known[column.name]}, as its champion takes it")

    def _fault(self, place: Sequence[str | int], found: str, expected: str) -> None:
        path: tree.Path = ("models", self._model, *place)
        line = self._lines.get(path)
        self._faults.append(Fault(tree.shown(path), found + (f" (line {line})" if line else ""), expected))


def _question(task: str, classes: Sequence[str]) -> str:
    return f"{task} ({', '.join(classes)})" if classes else task
