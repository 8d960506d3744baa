"""What is wrong with what was captured, as a person is told of it: places of segments that cannot be read, and labels that join nothing."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from flyball.control.world import World, draft, put
from flyball.records.captured import CaptureDamage

if TYPE_CHECKING:  # whoever only looks imports nothing of what observes
    from flyball.control.observe import Observation

FEW = 20
"""Labels that join nothing: fewer are a slip or two, or came before their predictions."""
SHARE = 1_000
"""Labels received of which one that joins nothing is a slip, too, however many they are by now."""
MOVED = 4
"""Part of them by which their number must have moved to be told anew: while an import goes on it would be told every second."""
APART = timedelta(minutes=10)


class LabelsTold(msgspec.Struct, frozen=True, kw_only=True):
    """Labels that came, as control counted them; those since the record before apart, as what was wrong once may be right now."""

    at: datetime
    received: int
    unknown: int
    """For ids that nobody predicted."""
    future: int
    """Observed later than received."""
    invalid: int
    """No class of the model, or no number."""
    received_lately: int
    unknown_lately: int

    @property
    def astray(self) -> int:
        return self.unknown + self.future + self.invalid

    @property
    def mostly_unknown(self) -> bool:
        """Of those that came lately."""
        return self.unknown_lately >= FEW and 2 * self.unknown_lately > self.received_lately


class CaptureTold:
    """Records it. Each once: a damaged place by where it lies, labels when their numbers have moved, or most that come join nothing and did not, or do
    again."""

    def __init__(self, world: World, observation: "Observation") -> None:
        self._world = world
        self._observation = observation

    def look(self) -> None:
        """Raises Fenced, StoreUnavailable: then it is told by the next look."""
        if self._observation.damaged:
            self._tell_damage()
        self._tell_labels()

    def _tell_damage(self) -> None:
        known = {key_of(each) for each in self._world.all("damage", CaptureDamage)}
        fresh = [each for each in self._observation.damaged if key_of(each) not in known]
        if fresh:
            self._world.record(*(
                draft(
                    self._world.now(), "capture.damaged", f"segment:{each.segment}", {"offset": each.offset, "bytes": each.bytes},
                    (put("damage", key_of(each), each),), key=f"damaged:{key_of(each)}",
                ) for each in fresh
            ))  # fmt: skip
            self._world.say("bad", f"{damage_words(fresh)}. The records in it are in no window.")
        self._observation.damaged.clear()

    def _tell_labels(self) -> None:
        join, now = self._observation.join, self._world.now()
        if join is None:
            return
        told = self._world.get("labels_told", self._world.model, LabelsTold)
        received, unknown, future, invalid = join.strays()
        before = told or LabelsTold(
            at=now - APART, received=0, unknown=0, future=0, invalid=0, received_lately=0, unknown_lately=0
        )
        if not now - before.at >= APART and now >= before.at:
            return
        lately = max(received - before.received, 0), max(unknown - before.unknown, 0)
        found = LabelsTold(
            at=now, received=received, unknown=unknown, future=future, invalid=invalid, received_lately=lately[0], unknown_lately=lately[1]
        )  # fmt: skip
        moved = abs(found.astray - before.astray) >= max(FEW, before.astray // MOVED)
        turned = found.mostly_unknown != before.mostly_unknown and lately[0] >= FEW
        if not moved and not turned:
            return
        payload = {"received": received, "unknown": unknown, "future": future, "invalid": invalid}
        model = self._world.model
        self._world.record(draft(now, "labels.counted", f"model:{model}", payload, (put("labels_told", model, found),)))


def key_of(damage: CaptureDamage) -> str:
    return f"{damage.segment}|{damage.offset:012d}"


def damage_told(world: World) -> str:
    """Of segments that are still there; empty: all of them can be read."""
    found = world.all("damage", CaptureDamage)
    there = {*world.ports.capture.segments()} if found else set()
    return damage_words([each for each in found if each.segment in there])


def damage_words(found: list[CaptureDamage]) -> str:
    if not found:
        return ""
    segments, first = {each.segment for each in found}, found[0]
    size = sum(each.bytes for each in found)
    return (
        f"capture/ is damaged in {len(found)} place{'' if len(found) == 1 else 's'} of {len(segments)} segment{'' if len(segments) == 1 else 's'}: "
        f"{size:,} bytes cannot be read ({first.segment} at {first.offset:,})"
    )


def labels_told(world: World) -> str:
    told = world.get("labels_told", world.model, LabelsTold)
    return "" if told is None else labels_words(told)


def labels_words(told: LabelsTold) -> str:
    """Empty: hardly any goes astray, and most of the last did not."""
    parts = [
        (told.unknown, "for ids that nobody predicted"), (told.invalid, "that are no label of this model"), (told.future, "observed later than they came"),
    ]  # fmt: skip
    if told.astray < FEW or (SHARE * told.astray < told.received and not told.mostly_unknown):
        return ""
    return f"{told.received:,} received, {', '.join(f'{count:,} {what}' for count, what in parts if count)}"
