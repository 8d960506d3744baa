"""A hand-written routing file → the routes that gateways serve, every byte of every package checked."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from flyball.adapters.packages import LocalPackages, verify_package
from flyball.adapters.standalone.watched_file import WatchedFile
from flyball.errors import ArtifactDamaged, Fault, NotFound, SpecError, StoreUnavailable
from flyball.records import codec
from flyball.records.routing import Arm, Route, ServedUnit
from flyball.registry.unit import unit_made_of
from flyball.spec import tree
from flyball.spec.routing_file import ModelRouting, PackageSpec, parse_routing

STANDALONE_POLICY = ""
"""Policy digest of a unit that no policy governs."""


class RoutingFile(WatchedFile):
    """Read anew whenever it changes."""

    def routes(self) -> tuple[Route, ...]:
        """Raises SpecError with every fault of the file and of the packages that it names; NotFound; StoreUnavailable."""
        self.see()
        real = self.real  # once: a link that is changed meanwhile must not lead this text to the packages of another
        spec, lines = parse_routing(self._text(real), name=self.path.name)
        faults: list[Fault] = []
        routes = [_Compiler(name, real.parent, lines, faults).route(model) for name, model in spec.models.items()]
        if faults:
            raise SpecError(faults, file=self.path.name)
        return tuple(route for route in routes if route is not None)

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
        canary = self._other(model.canary, model, ("canary",), champion)
        fallback = self._other(model.fallback, model, ("fallback",), champion)
        arms = [(each.weight, self._other(each, model, ("arms", at), champion)) for at, each in enumerate(model.arms)]
        shadows = [self._other(each, model, ("shadow", at), champion) for at, each in enumerate(model.shadow)]
        if champion is None or len(self._faults) > before:
            return None
        compared = tuple(Arm(unit=unit, weight=weight) for weight, unit in arms if unit is not None)
        return Route(
            model=self._model,
            champion=champion,
            canary=canary,
            canary_weight=model.canary.weight if model.canary else 0.0,
            shadows=tuple(each for each in shadows if each is not None),
            salt=_salt("canary", [canary]) if canary else "",
            arms=compared,
            arms_salt=_salt("arms", [arm.unit for arm in compared]) if compared else "",
            fallback=fallback,
        )

    def _other(
        self, given: PackageSpec | None, model: ModelRouting, place: Sequence[str | int], champion: ServedUnit | None
    ) -> ServedUnit | None:
        """One that stands beside the champion and must understand the same requests."""
        served = self._served(given, model, place) if given is not None else None
        if champion is not None and served is not None:
            self._same_question(champion, served, place)
        return served

    def _served(self, given: PackageSpec, model: ModelRouting, place: Sequence[str | int]) -> ServedUnit | None:
        package = Path(os.path.realpath(self._directory / given.package))
        try:
            manifest = verify_package(package)
            signature = LocalPackages().signature(package)
        except NotFound as missing:
            unreadable = isinstance(missing.__cause__, PermissionError)
            found = f"{package}, which this account may not read" if unreadable else str(package)
            self._fault(place, found, "the directory of a package: manifest.json, signature.json and model/")
            return None
        except (ArtifactDamaged, ValueError) as damaged:
            found, digest = (damaged.found, damaged.expected) if isinstance(damaged, ArtifactDamaged) else (str(damaged), "")
            self._fault(place, found, f"{digest}: " * bool(digest) + "every byte as the package's manifest says")
            return None
        threshold = given.threshold if given.threshold is not None else model.threshold
        if threshold is not None and signature.task != "binary":
            self._fault(place, f"a threshold for {signature.task}", "a threshold only for a binary model")
        unit = unit_made_of(self._model, given.version, codec.digest(manifest), threshold, STANDALONE_POLICY)
        return ServedUnit(unit=unit, package=str(package), format=manifest.format, signature=signature)

    def _same_question(self, champion: ServedUnit, other: ServedUnit, place: Sequence[str | int]) -> None:
        ours, theirs = champion.signature, other.signature
        if (ours.task, ours.classes) != (theirs.task, theirs.classes):
            self._fault(place, theirs.question, f"{ours.question}, as its champion")
        known = {column.name: column.type for column in ours.columns}
        for column in theirs.columns:
            if known.get(column.name, column.type) is not column.type:
                self._fault(place, f"{column.name!r} as {column.type}", f"{known[column.name]}, as its champion takes it")

    def _fault(self, place: Sequence[str | int], found: str, expected: str) -> None:
        path: tree.Path = ("models", self._model, *place)
        line = self._lines.get(path)
        self._faults.append(Fault(tree.shown(path), found + (f" (line {line})" if line else ""), expected))


def _salt(use: str, compared: Sequence[ServedUnit]) -> str:
    """Of the packages alone, not of weight, threshold or number: a key that is in at 5 % is in at 50 %, and falls differently for the next canary, for
    another model, and among the arms."""
    return " ".join((use, compared[0].unit.model, *(each.unit.manifest_digest for each in compared)))
