"""What was new at a look of a release, for the ledger: a pass is kept for good, and a report can show how each interval narrowed."""

from datetime import datetime

import msgspec

import flyball.release.decide as release_room
from flyball.control.world import World, draft, put
from flyball.records import codec
from flyball.records.decisions import Plan
from flyball.records.events import Draft
from flyball.records.release import ReleaseLook, ReleaseState

GROWN_BY = 1.25
"""A look is kept when some guard has so many times the rows of the last one kept: some thirty looks for a thousandfold."""

Inputs = tuple[release_room.ReleaseSituation, release_room.ReleasePolicy, datetime]


def noted(world: World, inputs: Inputs, plan: Plan) -> Draft | None:
    """The event of a look, with the release's state last among its puts; None: nothing is new."""
    situation, policy, now = inputs
    release = situation.release
    if not plan.verdicts:
        return None
    passed = release_room.newly_passed(situation, policy, now)
    look = ReleaseLook(
        release=release.id, at=now, phase=release.phase, step=release.step,
        evidence=tuple(verdict.evidence for verdict in plan.verdicts),
        outcomes={verdict.rule: verdict.outcome for verdict in plan.verdicts}, words=plan.rationale,
    )  # fmt: skip
    known = world.get("release", release.id, ReleaseState)
    if known == release and not passed and not _is_news(world.get("release_look", release.id, ReleaseLook), look):
        return None
    before, rules = release_room.passes(release, policy), release_room.rules_of(policy)
    standing = msgspec.structs.replace(release, passed=(*before, *passed), rules=rules)
    puts = (put("release_look", release.id, look), put("release", release.id, standing))
    return draft(now, "release.looked", f"release:{release.id}", codec.plain(look), puts)


def _is_news(before: ReleaseLook | None, look: ReleaseLook) -> bool:
    if before is None or (before.phase, before.step, before.outcomes) != (look.phase, look.step, look.outcomes):
        return True
    counts = {each.name: each.n for each in before.evidence}
    return any(each.n >= max(GROWN_BY * counts.get(each.name, 0), 1) for each in look.evidence)
