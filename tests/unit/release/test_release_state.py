from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from release_cases import DAY, POLICY, START, evidence, state

from flyball.errors import Conflict
from flyball.records.decisions import Action
from flyball.records.release import TERMINAL, Phase
from flyball.release.decide import ReleaseSituation, decide
from flyball.release.metrics import FAILURE_RATE, LOSS
from flyball.release.state import advance, dated, open_release, unwatched, verified

LATER = START + timedelta(hours=1)


def act(kind, **arguments):
    return Action(kind=kind, subject="r-0001", arguments=arguments)


def test_a_release_opens_proposed_and_unverified():
    release = open_release("r-0001", "shop", "u2", "u1", START, "d-000001")
    assert (release.phase, release.entered_at, release.verified_at) == (Phase.PROPOSED, START, None)


def test_the_champion_cannot_challenge_itself():
    with pytest.raises(Conflict, match="u1 is the champion already"):
        open_release("r-0001", "shop", "u1", "u1", START, "user:ada")


def test_the_clock_of_a_phase_starts_once():
    release = verified(state("shadow", verified=False), START)
    assert verified(release, LATER).verified_at == START


def test_the_clock_of_a_phase_that_would_start_in_the_future_starts_anew():
    """It was seen by a controller whose machine was ten years ahead; the phase may neither be over at once nor wait ten years."""
    release = verified(state("shadow", verified=False), START + timedelta(days=3653))
    assert verified(release, LATER).verified_at == LATER


def test_what_was_lost_to_nobody_is_never_more_than_the_phase_has_lasted_and_ends_with_it():
    release = unwatched(state("canary"), timedelta.max, LATER)
    assert (release.unwatched, unwatched(release, DAY, LATER)) == (LATER - START, release)
    assert verified(release, LATER) is release
    assert verified(release, START).unwatched == timedelta(0)  # a clock was set back: the phase begins anew
    assert advance(release, act("enter", phase="canary", step=1), LATER).unwatched == timedelta(0)


def test_a_release_that_a_clock_has_opened_in_the_future_counts_from_now_on():
    release = open_release("r-0001", "shop", "u2", "u1", LATER, "user:ada")
    assert (dated(release, START).opened_at, dated(release, START).entered_at) == (START, START)
    assert dated(release, LATER) is release


def test_entering_a_phase_stops_its_clock_until_the_gateways_are_seen():
    release = advance(state("canary"), act("enter", phase="canary", step=1, reason="good"), LATER)
    assert (release.phase, release.step, release.entered_at, release.verified_at) == (Phase.CANARY, 1, LATER, None)
    assert release.reason == "good"


LEGAL = {
    ("proposed", "enter shadow 0"), ("proposed", "enter canary 0"), ("proposed", "enter full 0"), ("proposed", "hold"),
    ("shadow", "enter canary 0"), ("shadow", "enter full 0"), ("shadow", "hold"),
    ("canary", "enter canary 1"), ("canary", "enter full 0"), ("canary", "hold"),
    ("full", "enter watching 0"),
    ("watching", "settle"),
    ("held", "enter proposed 0"),
    ("rolling_back", "finish_rollback"), ("rolling_back", "roll_back"), ("rolling_back", "settle"),
    *((phase.value, "roll_back") for phase in Phase if phase not in TERMINAL),
}  # fmt: skip
MOVES = [
    *(f"enter {phase.value} 0" for phase in Phase), "enter canary 1", "enter canary 2",
    "enter nowhere 0", "settle", "hold", "roll_back", "finish_rollback", "complete",
]  # fmt: skip

WANTED = {"settle": "settled", "hold": "held", "roll_back": "rolling_back", "finish_rollback": "rolled_back"}


@pytest.mark.parametrize("phase", [phase.value for phase in Phase])
@pytest.mark.parametrize("move", MOVES)
def test_only_legal_moves_are_made_and_the_others_name_both_phases(phase, move):
    kind, *rest = move.split()
    action = act(kind, phase=rest[0], step=int(rest[1])) if rest else act(kind)
    if (phase, move) in LEGAL:
        advance(state(phase), action, LATER)
    else:
        with pytest.raises(Conflict, match=f"from {phase}.* to {rest[0] if rest else WANTED.get(kind, kind)}"):
            advance(state(phase), action, LATER)


def test_asking_changes_nothing():
    assert advance(state("canary"), act("ask"), LATER) == state("canary")


@pytest.mark.parametrize("phase", ["shadow", "canary"])
def test_a_first_release_has_nobody_to_stand_beside(phase):
    with pytest.raises(Conflict, match="no champion to compare with"):
        advance(state("proposed", champion=None), act("enter", phase=phase, step=0), LATER)


OUTCOMES = st.sampled_from(["pass", "fail", "inconclusive", "no data", "error", "absent"])
LOOKS = st.lists(
    st.tuples(OUTCOMES, OUTCOMES, st.integers(0, 100), st.integers(0, 400), st.sampled_from(["verified", "pending", "failed"])),
    max_size=15,
)


def look(release, now, quality, failures, switch="verified", labels=300):
    facts = ReleaseSituation(
        release=release, requests_in_phase=labels, labels=labels, switch=switch,
        evidence=evidence(LOSS, quality) + evidence(FAILURE_RATE, failures),
    )  # fmt: skip
    plan = decide(facts, POLICY, now)
    for action in plan.actions:
        release = advance(release, action, now)
    return release, plan


@given(LOOKS, st.sampled_from(["u1", None]))
def test_from_any_state_a_rollback_ends_with_the_original_champion(looks, champion):
    release, now = open_release("r-0001", "shop", "u2", champion, START, "user:ada"), START
    for quality, failures, hours, labels, switch in looks:
        now += timedelta(hours=hours)
        if switch == "verified":
            release = verified(release, now)
        release, _ = look(release, now, quality, failures, switch, labels)
    if release.phase in TERMINAL:
        return
    release = advance(release, act("roll_back"), now)
    assert release.phase is Phase.ROLLING_BACK
    release, plan = look(verified(release, now), now, "absent", "absent")
    assert [action.kind for action in plan.actions] == ["finish_rollback"]
    assert release.phase is Phase.ROLLED_BACK
    assert release.champion == champion


@given(LOOKS)
def test_no_sequence_of_looks_without_a_quality_pass_leaves_the_shadow_upwards(looks):
    release, now = open_release("r-0001", "shop", "u2", "u1", START, "user:ada"), START
    for quality, failures, hours, labels, switch in looks:
        now += timedelta(hours=hours)
        if switch == "verified":
            release = verified(release, now)
        release, _ = look(release, now, "inconclusive" if quality == "pass" else quality, failures, switch, labels)
        assert release.phase in {Phase.SHADOW, Phase.ROLLING_BACK, Phase.ROLLED_BACK}
