"""Units and the bytes behind them: from a unit's id to what a gateway can serve."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flyball.control.world import World
from flyball.errors import ArtifactDamaged, NotFound, StoreUnavailable, TrackingFailed
from flyball.records.keeping import Keeping
from flyball.records.routing import RoutingTable, ServedUnit
from flyball.records.unit import Unit, Version


class UnitShelf:
    """Looks units up and remembers what does not change: a package is fetched and checked once per process, and again by every gateway that loads it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._served: dict[str, ServedUnit] = {}

    def unit(self, unit_id: str) -> Unit:
        """Raises NotFound."""
        unit = self._world.get("unit", unit_id, Unit)
        if unit is None:
            raise NotFound(f"unit {unit_id} is not registered", next_step="flyball versions lists what is")
        return unit

    def version(self, unit_id: str) -> Version:
        """The registered version of a unit."""
        unit = self.unit(unit_id)
        version = self._registered(unit)
        if version is None:
            raise NotFound(f"version {unit.version} of {unit.model} is not registered")
        return version

    def holds(self, unit_id: str) -> bool:
        """Whether its bytes are there and whole now, whatever was remembered: a rollback must not end at a unit that no gateway can load. Raises TrackingFailed."""
        try:
            self._fetched(self.unit(unit_id))
        except (ArtifactDamaged, NotFound):
            return False
        return True

    def served(self, unit_id: str) -> ServedUnit:
        """The unit with its package on this machine, its bytes checked. Raises ArtifactDamaged, NotFound, and TrackingFailed of a registry that does not
        answer."""
        if unit_id not in self._served:
            unit = self.unit(unit_id)
            try:
                package = self._fetched(unit)
            except TrackingFailed:
                standing = self._standing(unit)
                if standing is None:
                    raise
                self._served[unit_id] = standing
                return standing
            self._served[unit_id] = ServedUnit(
                unit=unit,
                package=str(package),
                format=self.version(unit_id).format,
                signature=self._world.ports.packages.signature(package),
            )
        return self._served[unit_id]

    def _registered(self, unit: Unit) -> Version | None:
        return self._world.get("version", f"{unit.model}|{unit.version:06d}", Version)

    def packaged(self, units: Iterable[ServedUnit]) -> tuple[Keeping, ...]:
        """What flyball.yaml said of capture when the packages of these units were made."""
        versions = [self._registered(each.unit) for each in units]
        return tuple(each.lineage.capture for each in versions if each is not None and each.lineage.capture is not None)

    def _fetched(self, unit: Unit) -> Path:
        try:
            return self._world.ports.registry.fetch(unit.model, unit.version, unit.manifest_digest)
        except StoreUnavailable as error:  # its own store, no more than a server that is away: the ledger's alone ends a look
            raise TrackingFailed(error.found, expected=error.expected, next_step=error.next_step) from error

    def _standing(self, unit: Unit) -> ServedUnit | None:
        """As the standing routing table has it, its bytes checked: what is served needs no registry."""
        table = self._world.get("routing", unit.model, RoutingTable)
        named = [served for route in table.routes for served in route.units if served.unit == unit] if table is not None else []
        if named and self._world.ports.packages.is_whole(Path(named[0].package), unit.manifest_digest):
            return named[0]
        return None


def threshold_of(world: World, *, binary: bool) -> float | None:
    """Of a unit, `binary` as its version answers and not as flyball.yaml has it by now: declared, or one half; None with other than two classes."""
    if not binary:
        return None
    return 0.5 if world.spec.serve.threshold is None else world.spec.serve.threshold


def policy_plain(world: World) -> dict[str, Any]:
    """What of flyball.yaml governs a unit in production: part of the unit, so that a change of it is a change of unit."""
    return world.spec.model_dump(mode="json", by_alias=True, include={"release", "monitor", "policies"})
