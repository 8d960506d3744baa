"""One model of a routing file → its route, every byte of its packages checked."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from flyball.adapters.export import exported_of
from flyball.adapters.packages import LocalPackages, verify_package
from flyball.capture.strictest import Rule, loosened, replaced, strictest
from flyball.errors import ArtifactDamaged, Fault, NotFound
from flyball.records import codec
from flyball.records.keeping import Keeping
from flyball.records.routing import Arm, Route, ServedUnit
from flyball.registry.unit import unit_made_of
from flyball.spec import tree
from flyball.spec.capture import SampleSpec
from flyball.spec.faults import did_you_mean
from flyball.spec.routing_file import ModelRouting, PackageSpec, RoutedCapture

STANDALONE_POLICY = ""
"""Policy digest of a unit that no policy governs."""


class Compiler:
    """One model's route; what is wrong goes to `faults`, so that the rest is looked at, too, and what a person should know to `notes`."""

    def __init__(self, model: str, directory: Path, lines: Mapping[tree.Path, int], faults: list[Fault]) -> None:
        self.model = model
        self._directory = directory
        self._lines = lines
        self._faults = faults
        self.notes: list[str] = []
        self._numbers: dict[int, tuple[str, tree.Path]] = {}
        """Version → manifest digest of the first package that has it, and where it stands."""
        self._declared: list[Keeping] = []
        self._kept: dict[str, None] = {}
        """How long projects of its packages keep what is captured, where not for ever."""
        self._silent: dict[str, None] = {}
        """Packages that say nothing of what may be captured, as the file names them."""

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
        route = Route(
            model=self.model,
            champion=champion,
            canary=canary,
            canary_weight=model.canary.weight if model.canary else 0.0,
            shadows=tuple(each for each in shadows if each is not None),
            salt=_salt("canary", [canary]) if canary else "",
            arms=compared,
            arms_salt=_salt("arms", [arm.unit for arm in compared]) if compared else "",
            fallback=fallback,
        )
        keeping = self._keeping(model.capture or RoutedCapture(), route)
        self._note_silence(model)
        return msgspec.structs.replace(route, keeping=None if keeping == Keeping() else keeping)

    def kept_for_ever(self) -> list[str]:
        """What to say where the file does not bound how long segments stay."""
        kept = " or ".join(self._kept)
        return [
            f"{self.model}: its project keeps what is captured for {kept}, here it stays for ever. Say capture: {{keep: …}} beside models:"
        ] * bool(kept)

    def _keeping(self, said: RoutedCapture, route: Route) -> Keeping:
        """What may be captured: by its packages together, and by what the file says in their place."""
        known = list(dict.fromkeys(column.name for served in route.units for column in served.signature.columns))
        for name in said.fields:
            if name not in known:  # it would keep what it was meant to keep out
                expected = f"one of {', '.join(known)}"
                self._fault(("capture", "fields", name), f"{name!r}, which no package takes", expected, did_you_mean(name, known))
        rules: dict[str, Rule] = {
            name: rule.sample if isinstance(rule, SampleSpec) else rule for name, rule in said.fields.items()
        }
        declared = strictest(self._declared)
        keeping = replaced(declared, rules, said.keys)
        more = loosened(declared, keeping)
        if more:
            self.notes.append(f"{self.model}: by this file more is captured of {', '.join(more)} than its packages say.")
        return keeping

    def _note_silence(self, model: ModelRouting) -> None:
        if self._silent and model.capture is None:
            self.notes.append(
                f"{self.model}: nothing is known of what is to be left out of what is captured by {', '.join(self._silent)}, which an earlier "
                "release exported: all of it is captured. Export again, or say it in this file with capture:"
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
            found, wanted = (damaged.found, damaged.expected) if isinstance(damaged, ArtifactDamaged) else (str(damaged), "")
            self._fault(place, found, f"{wanted}: " * bool(wanted) + "every byte as the package's manifest says")
            return None
        threshold = given.threshold if given.threshold is not None else model.threshold
        if threshold is not None and signature.task != "binary":
            self._fault(place, f"a threshold for {signature.task}", "a threshold only for a binary model")
        digest = codec.digest(manifest)
        number = self._number(given, package, digest, place)
        unit = unit_made_of(self.model, number, digest, threshold, STANDALONE_POLICY)
        return ServedUnit(unit=unit, package=str(package), format=manifest.format, signature=signature)

    def _number(self, given: PackageSpec, package: Path, digest: str, place: Sequence[str | int]) -> int:
        """Which version it is, by the file or by what was exported with it; 0: nobody says. What is to be left out of captures is remembered."""
        try:
            said = exported_of(package, digest)
        except ArtifactDamaged as damaged:
            self._fault(place, damaged.found, damaged.expected)
            return 0
        keeping = said.keeping if said is not None else LocalPackages().capture(package)
        if keeping is None:
            self._silent[given.package] = None
        else:
            self._declared.append(keeping)
        self._kept |= {said.keep: None} if said is not None and said.keep else {}
        number = given.version if given.version is not None else said.version if said is not None else 0
        self._told_apart(number, digest, place)
        return number

    def _told_apart(self, number: int, digest: str, place: Sequence[str | int]) -> None:
        """Clients are told the number alone: two packages must not share one. 0 is none."""
        first, at = self._numbers.setdefault(number, (digest, tuple(place)))
        if number and first != digest:
            other = tree.shown(("models", self.model, *at))
            self._fault(
                place, f"version {number}, as {other}, which is another package", "a number of its own: {package: …, version: N}"
            )

    def _same_question(self, champion: ServedUnit, other: ServedUnit, place: Sequence[str | int]) -> None:
        ours, theirs = champion.signature, other.signature
        if (ours.task, ours.classes) != (theirs.task, theirs.classes):
            self._fault(place, theirs.question, f"{ours.question}, as its champion")
        known = {column.name: column.type for column in ours.columns}
        for column in theirs.columns:
            if known.get(column.name, column.type) is not column.type:
                self._fault(place, f"{column.name!r} as {column.type}", f"{known[column.name]}, as its champion takes it")

    def _fault(self, place: Sequence[str | int], found: str, expected: str, hint: str = "") -> None:
        path: tree.Path = ("models", self.model, *place)
        line = self._lines.get(path)
        self._faults.append(Fault(tree.shown(path), found + (f" (line {line})" if line else ""), expected, hint))


def _salt(use: str, compared: Sequence[ServedUnit]) -> str:
    """Of the packages alone, not of weight, threshold or number: a key that is in at 5 % is in at 50 %, and falls differently for the next canary, for
    another model, and among the arms."""
    return " ".join((use, compared[0].unit.model, *(each.unit.manifest_digest for each in compared)))
