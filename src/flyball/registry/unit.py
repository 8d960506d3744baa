"""The release unit of a version."""

from flyball.records import codec
from flyball.records.unit import Unit, Version


def unit_of(version: Version, threshold: float | None, policy_digest: str) -> Unit:
    """What is promoted and rolled back as one."""
    return unit_made_of(version.model, version.number, version.manifest_digest, threshold, policy_digest)


def unit_made_of(model: str, number: int, manifest_digest: str, threshold: float | None, policy_digest: str) -> Unit:
    """The id is derived from content: the same parts are the same unit."""
    parts = {
        "model": model, "version": number, "manifest_digest": manifest_digest, "threshold": threshold, "policy_digest": policy_digest,
    }  # fmt: skip
    return Unit(
        id="u" + codec.digest(parts)[:12], model=model, version=number, manifest_digest=manifest_digest, threshold=threshold,
        policy_digest=policy_digest,
    )  # fmt: skip
