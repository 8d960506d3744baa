"""The frozen table that a gateway reads: who answers what."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property

import msgspec

from flyball.records import codec
from flyball.records.keeping import Keeping
from flyball.records.signature import Column, Signature
from flyball.records.unit import Format, Unit

LEASE_SECONDS = 30.0
"""Twice a long tick plus a pause of the machine (reliability.md, the reference answer): a controller that is silent for longer may be dead,
and then nobody would take a harmful canary back. Gateways let none answer then, and control counts that time for no phase of a release."""


class ServedUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit and where its bytes lie on this machine. Written by control only; clients never name a location."""

    unit: Unit
    package: str
    """Absolute path of the package directory (manifest.json, signature.json, model/…)."""
    format: Format
    signature: Signature


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """How one model's requests are divided."""

    model: str
    champion: ServedUnit
    canary: ServedUnit | None = None
    canary_weight: float = 0.0
    """Share of keys in [0, 1] that the canary answers."""
    shadows: tuple[ServedUnit, ...] = ()
    """Each scores every row that it did not answer itself; captured with role `shadow`, never shown. During a canary both
    champion and challenger stand here, so that every request has both scores and the comparison is paired."""
    shadow_share: float = 1.0
    """Of the keys whose rows the shadows score."""
    salt: str = ""
    """Of this release: keys fall differently in the next one, and stay where they are when the weight grows."""
    arms: tuple["Arm", ...] = ()
    """An A/B experiment beside any release: each arm answers its share of the keys that the canary leaves, the champion the rest."""
    arms_salt: str = ""
    """Of the experiment."""
    fallback: ServedUnit | None = None
    """Answers where the champion cannot (role `fallback`); None: its requests are refused then."""
    keeping: Keeping | None = None
    """What capture may keep; None: everything, at no cost."""
    stopped: str = ""
    """Why requests are refused; empty: they are answered."""
    tolerated: tuple[Column, ...] = ()
    """What requests may bring, and no unit here takes: units of the routes before did. Clients of then must not be refused."""

    @property
    def units(self) -> tuple[ServedUnit, ...]:
        """Every unit that it names, each once."""
        named = (self.champion, self.canary, *(arm.unit for arm in self.arms), *self.shadows, self.fallback)
        return tuple({served.unit.id: served for served in named if served is not None}.values())

    def placed(self, places: Mapping[str, str]) -> "Route":
        """The same, with the packages at `places`: unit id → path."""

        def at(served: ServedUnit) -> ServedUnit:
            return msgspec.structs.replace(served, package=places.get(served.unit.id, served.package))

        return msgspec.structs.replace(
            self,
            champion=at(self.champion),
            canary=None if self.canary is None else at(self.canary),
            shadows=tuple(at(served) for served in self.shadows),
            arms=tuple(msgspec.structs.replace(arm, unit=at(arm.unit)) for arm in self.arms),
            fallback=None if self.fallback is None else at(self.fallback),
        )


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One of several units whose answers are compared on real users."""

    unit: ServedUnit
    weight: float
    """Share of keys in [0, 1]."""


class RoutingTable(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    revision: int
    """Grows with every change; a gateway refuses a smaller one (the fence)."""
    written_at: datetime
    routes: tuple[Route, ...]

    @cached_property
    def digest(self) -> str:
        """Of the routes alone: two tables with the same digest serve the same. Asked for at every look, so it is reckoned once."""
        return codec.digest(self.routes)


class GatewayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway worker says that it serves: the proof that a switch took effect."""

    worker: str
    pid: int
    revision: int | None
    """None: no table yet, or unreachable (`error` says why)."""
    digest: str | None
    fingerprints: dict[str, str] = {}
    """Unit id → manifest digest recomputed from the bytes that were loaded."""
    canary_suspended: bool = False
    """True: the dead-man rule has taken canaries to 0 because the controller's lease is stale."""
    error: str = ""
    answers: bool = True
    """False: it was not heard at all; True with an error: it says itself what is wrong."""
    tripped: dict[str, str] = {}
    """Unit id → the kind of its latest failure, of units whose circuit is open now: they failed again and again and are only probed."""
    loading: int | None = None
    """The revision that it is taking now: models are being loaded."""
    capture_lost: int = 0
    """Records that this worker could not hand over to the kernel since it started (exact)."""


def canary_answers(key: str, salt: str, weight: float) -> bool:
    """Whether the canary answers this key. Sticky: a key that is in at 5 % is in at 50 %."""
    return Places(salt).of(key) < share(weight)


class Places:
    """Where keys lie, as 8 bytes: the same for ever, and anew for each salt. Compared with `share`."""

    def __init__(self, salt: str) -> None:
        self._salted = hashlib.blake2b(f"{salt}\0".encode("utf-8", "surrogatepass"), digest_size=8)

    def below(self, keys: Sequence[str], bound: bytes) -> list[int]:
        """Which of the keys lie below `bound`: one loop, since this is asked of every row of every request of a canary."""
        salted, found = self._salted.copy, []
        for at, key in enumerate(keys):
            hashed = salted()
            hashed.update(key.encode("utf-8", "surrogatepass"))
            if hashed.digest() < bound:
                found.append(at)
        return found

    def of(self, key: str) -> bytes:
        hashed = self._salted.copy()
        hashed.update(key.encode("utf-8", "surrogatepass"))
        return hashed.digest()


def share(weight: float) -> bytes:
    """Keys that lie below it are `weight` of all."""
    if weight >= 1.0:
        return b"\xff" * 9  # longer, and so larger, than any place
    return math.ceil(max(weight, 0.0) * 2.0**64).to_bytes(8, "big")
