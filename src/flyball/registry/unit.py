"""The release unit of a version."""

from typing import Any

import msgspec

from flyball.records import codec
from flyball.records.unit import Unit, Version


def unit_of(version: Version, threshold: float | None, policy_digest: str) -> Unit:
    """What is promoted and rolled back as one."""
    return unit_made_of(version.model, version.number, version.manifest_digest, threshold, policy_digest)


def unit_made_of(model: str, number: int, manifest_digest: str, threshold: float | None, policy_digest: str) -> Unit:
    """The id is derived from content: the same parts are the same unit."""
    return _named(
        Unit(
            id="", model=model, version=number, manifest_digest=manifest_digest, threshold=threshold, policy_digest=policy_digest
        )
    )


def altered(unit: Unit, policy_digest: str, **changes: Any) -> Unit:
    """The same version with another `calibration` or `threshold`: another unit."""
    return _named(msgspec.structs.replace(unit, policy_digest=policy_digest, **changes))


def answers_alike(first: Unit, second: Unit) -> bool:
    """Whatever is asked: policies are part of a unit, and of no answer."""
    return scores_alike(first, second) and first.threshold == second.threshold


def scores_alike(first: Unit, second: Unit) -> bool:
    """The same bytes behind the same map, wherever a threshold divides them."""
    return (first.manifest_digest, first.calibration) == (second.manifest_digest, second.calibration)


def _named(unit: Unit) -> Unit:
    parts: dict[str, Any] = {
        "model": unit.model, "version": unit.version, "manifest_digest": unit.manifest_digest, "threshold": unit.threshold,
        "policy_digest": unit.policy_digest,
    }  # fmt: skip
    if unit.calibration is not None:  # part of the id only where it is there: a unit of before there was any keeps its own
        parts["calibration"] = unit.calibration
    return msgspec.structs.replace(unit, id="u" + codec.digest(parts)[:12])
