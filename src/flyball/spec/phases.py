"""Faults of how long the phases of a release may take: one that must end before it can pass could only be given up."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from flyball.spec.fields import format_duration
from flyball.spec.raw import Cross, Raw, duration_of, items_of, section_of
from flyball.spec.release import AT_LEAST, PATIENCE, STEPS
from flyball.spec.tree import Path

_LATER = "longer than data.label_delay"


def phase_faults(tree: Raw) -> Iterator[Cross]:
    release, delay = section_of(tree, "release"), duration_of(section_of(tree, "data").get("label_delay")) or timedelta()
    yield from _order(release.get("shadow"), ("release", "shadow"), PATIENCE + delay)
    for index, step in enumerate(items_of(release.get("steps"))):
        yield from _order(step, ("release", "steps", index), PATIENCE + delay)
    if delay:
        found = (*_reward_in_time(release, delay), *_labels_in_time(release, delay), *_watch_in_time(release, delay))
        yield from {fault.path: fault for fault in found}.values()


def _order(section: Any, path: Path, patience: timedelta) -> Iterator[Cross]:
    """`at_least` is not longer than `at_most` (each with its default where it is not said)."""
    said, longest = (duration_of(section_of(section).get(name)) for name in ("at_least", "at_most"))
    longest = patience if longest is None else longest
    if said is not None and said > longest:
        found = f"{format_duration(said)}, longer than at_most ({format_duration(longest)})"
        yield Cross((*path, "at_least"), found, "at_least ≤ at_most")
    elif "at_least" not in section_of(section) and _at_least(section) > longest:
        found = f"{format_duration(longest)}, shorter than at_least ({AT_LEAST} where nothing is said)"
        yield Cross((*path, "at_most"), found, "at_least ≤ at_most", "Say at_least, too, or let it be longer.")


def _labels_in_time(release: Raw, delay: timedelta) -> Iterator[Cross]:
    """Labels that must come before all traffic, in the shadow or, where there is none, in the steps."""
    if release.get("labels", "before_full") != "before_full":
        return
    steps = [duration_of(section_of(step).get("at_most")) for step in items_of(release.get("steps"))]
    if "shadow" not in release or release["shadow"] is not None:
        allowed = duration_of(section_of(release, "shadow").get("at_most"))
        path: Path = ("release", "shadow", "at_most")
    else:
        given = [each for each in steps if each is not None]
        allowed = sum(given, timedelta()) if given and len(given) == len(steps) else None
        path = ("release", "steps", len(steps) - 1, "at_most")
    if allowed is not None and allowed <= delay:
        hint = "Or release.labels: while_watching, and labels are waited for in the watch."
        yield Cross(path, _too_early(allowed, "label", delay), _LATER, hint)


def _watch_in_time(release: Raw, delay: timedelta) -> Iterator[Cross]:
    """Labels that are waited for in the watch: also those of rows that were answered before it."""
    longest = duration_of(release.get("watch_at_most"))
    if longest is None or release.get("labels") != "while_watching":
        return
    steps = release.get("steps")
    declared = STEPS.get(str(release.get("strategy", "canary")), []) if steps is None else items_of(steps)
    shadow = release.get("shadow", {})
    phases = [*declared, shadow] if shadow is not None else declared
    if longest + sum(map(_at_least, phases), timedelta()) <= delay:
        yield Cross(("release", "watch_at_most"), _too_early(longest, "label", delay), _LATER, "Not given, it is long enough.")


def _reward_in_time(release: Raw, delay: timedelta) -> Iterator[Cross]:
    """Each step waits for a first reward, which comes with a label: the first step for as long as that takes, whenever other labels are asked for."""
    steps = items_of(release.get("steps"))
    allowed = duration_of(section_of(steps[0]).get("at_most")) if steps else None
    judged = any(section_of(guard).get("metric") == "reward" for guard in items_of(release.get("guards")))
    if judged and allowed is not None and allowed <= delay:
        yield Cross(("release", "steps", 0, "at_most"), _too_early(allowed, "reward", delay), _LATER)


def _at_least(section: Any) -> timedelta:
    return duration_of(section_of(section).get("at_least", AT_LEAST)) or timedelta()


def _too_early(allowed: timedelta, what: str, delay: timedelta) -> str:
    return f"{format_duration(allowed)}, when no {what} counts before data.label_delay ({format_duration(delay)})"
