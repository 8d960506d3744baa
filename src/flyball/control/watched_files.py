"""What a version's package says of how its windows are to be judged: files of monitoring's own formats."""

from pathlib import Path
from typing import TypeVar

import msgspec

from flyball.control.units import UnitShelf
from flyball.control.world import World
from flyball.errors import ArtifactDamaged
from flyball.monitoring import calibration, estimates, harm, joint, norms, reference, slices
from flyball.monitoring.calibration import Calibration
from flyball.monitoring.estimates import EstimationReference, Prepared
from flyball.monitoring.harm import HarmTable
from flyball.monitoring.joint import Directions
from flyball.monitoring.norms import Norms
from flyball.monitoring.reference import Reference
from flyball.monitoring.remapped import remapped
from flyball.monitoring.slices import SliceReference
from flyball.records import codec
from flyball.records.maps import AnswerMap
from flyball.records.signature import ColumnType

KEPT = 18
"""Six each of a champion, the one before and the one to come: the largest are megabytes."""
PREPARED = 2
"""References that estimates are made from, with what was learned of each: a champion and the one before; windows of others are not estimated."""

T = TypeVar("T", bound=msgspec.Struct)
Divided = TypeVar("Divided", Reference, EstimationReference)


class WatchedFiles:
    """Each is read once and checked against its manifest. All but the reference are None where a package was made without them."""

    def __init__(self, world: World, shelf: UnitShelf) -> None:
        self._world = world
        self._shelf = shelf
        self._references: dict[str, Reference] = {}
        self._files: dict[tuple[str, str], msgspec.Struct | None] = {}
        self._prepared: dict[str, Prepared] = {}

    def reference(self, unit: str) -> Reference:
        """Bins and counts. Raises ArtifactDamaged without one."""
        if unit not in self._references:
            data = self._read(unit, reference.FILE)
            if data is None:
                raise ArtifactDamaged(f"the package of {unit} has no {reference.FILE}", next_step="flyball verify")
            try:
                found = codec.decode(data, Reference)
            except msgspec.DecodeError as error:
                raise ArtifactDamaged(
                    f"{unit} cannot be monitored: {error}", next_step="flyball run makes a version that can"
                ) from error
            answers = self._calibration_of(unit)
            self._references[unit] = self._at_threshold(unit, found if answers is None else remapped(found, answers))
        return self._references[unit]

    def types(self, unit: str) -> dict[str, ColumnType]:
        """Of the unit's features."""
        return {column.name: column.type for column in self._shelf.served(unit).signature.columns}

    def estimation(self, unit: str) -> EstimationReference | None:
        """Rows that estimates without labels are learned from."""
        return self._of_the_version(unit, estimates.FILE, EstimationReference)

    def prepared(self, unit: str) -> Prepared | None:
        """The same, ready for window after window."""
        reference = self.estimation(unit)
        if reference is None:
            return None
        if unit not in self._prepared:
            while len(self._prepared) >= PREPARED:
                del self._prepared[next(iter(self._prepared))]
            self._prepared[unit] = Prepared(self._at_threshold(unit, reference))
        return self._prepared[unit]

    def calibration(self, unit: str) -> Calibration | None:
        """How labels followed the answers on the holdout."""
        return self._of_the_version(unit, calibration.FILE, Calibration)

    def slices(self, unit: str) -> SliceReference | None:
        """The loss on the holdout by slices."""
        return self._of_the_version(unit, slices.FILE, SliceReference)

    def directions(self, unit: str) -> Directions | None:
        """In which features go together."""
        return self._file(unit, joint.FILE, Directions)

    def norms(self, unit: str) -> Norms | None:
        """What columns look like in their own units."""
        return self._file(unit, norms.FILE, Norms)

    def harm(self, unit: str) -> HarmTable | None:
        """The loss by bin, and how the model uses each feature."""
        return self._file(unit, harm.FILE, HarmTable)

    def is_recalibrated(self, unit: str) -> bool:
        """It answers its version's scores through a map."""
        return self._calibration_of(unit) is not None

    def _of_the_version(self, unit: str, file: str, record: type[T]) -> T | None:
        """What rests on how the version's own scores went with labels; None of a unit that answers them through a map: nobody has seen how its do."""
        return self._file(unit, file, record) if not self.is_recalibrated(unit) else None

    def _at_threshold(self, unit: str, of_the_version: Divided) -> Divided:
        """A version's, with the threshold that divides the unit's answers."""
        threshold = self._shelf.served(unit).unit.threshold
        return of_the_version if threshold is None else msgspec.structs.replace(of_the_version, threshold=threshold)

    def _calibration_of(self, unit: str) -> AnswerMap | None:
        return self._shelf.served(unit).unit.calibration

    def _file(self, unit: str, file: str, record: type[T]) -> T | None:
        if (unit, file) not in self._files:
            while len(self._files) >= KEPT:
                del self._files[next(iter(self._files))]
            data = self._read(unit, file)
            try:
                self._files[unit, file] = None if data is None else codec.decode(data, record)
            except msgspec.DecodeError:  # of another release: judged without it, as a package of before it existed
                self._files[unit, file] = None
        return self._files[unit, file]  # type: ignore[return-value]

    def _read(self, unit: str, file: str) -> bytes | None:
        return self._world.ports.packages.monitored(Path(self._shelf.served(unit).package), file)
