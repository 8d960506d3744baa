"""What a person is asked before a challenger takes all traffic."""

from flyball.records.decisions import Action
from flyball.records.release import Phase, ReleaseState


def question_of(release: ReleaseState, rules: str) -> Action:
    """The `ask` of this start of the release under these rules (a digest). Empty: as an earlier Flyball asked, whose decisions are still made again."""
    # No number that moves from look to look: an approval is bound to this action's digest. What was agreed to before a person held the release, or under
    # other rules, was agreed to about something else.
    arguments = {"phase": Phase.FULL.value, "step": 0, "unit": release.challenger}
    bound = {"rules": rules, "starts": release.starts} if rules else {}
    return Action(kind="ask", subject=f"release:{release.id}", arguments={**arguments, **bound})
