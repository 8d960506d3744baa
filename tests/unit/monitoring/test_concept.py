"""Simulations with fixed seeds. A quarter of the budget of one false alarm in 90 windows: mean run length 360 windows or more."""

from datetime import timedelta

import numpy as np
import pytest
from monitored_world import DAY_US, SIGNATURE, START, day

from flyball.errors import DataError
from flyball.monitoring.allowance import Allowance
from flyball.monitoring.calibration import Calibration, build, outcomes_of
from flyball.monitoring.concept import ConceptState, Judged, StreamState, judge, weights_of
from flyball.monitoring.reference import HoldoutScores
from flyball.records import codec
from flyball.records.findings import FindingKind
from flyball.records.signature import Column, ColumnType, Signature
from flyball.stats.losses import bounded_loss

ALLOWANCE = Allowance(run_length=360.0, share=0.25, min_rows=50, tolerance=0.01)
SPREAD = 0.05
"""Standard deviation of a day's luck, in shares of positive labels."""


def binary(rng, n, *, shift=0.0, flip=0.0, other_rows=False):
    """Scores are true probabilities, and miscalibrated by nothing but a day's luck, a shift and a share of flipped labels."""
    p = rng.beta(3.0 if other_rows else 1.0, 3.0, n)
    q = np.clip(p + shift + rng.normal(0.0, SPREAD), 0.0, 1.0)
    q = np.where(rng.random(n) < flip, 1.0 - q, q)
    return p[:, None], (rng.random(n) < q).astype(float)


def regression(rng, n, *, bias=0.0, wider=1.0):
    """Errors with an infinite variance."""
    answers = rng.normal(0.0, 3.0, n)
    return answers[:, None], answers + bias + rng.normal(0.0, 0.1) + wider * rng.standard_t(2.0, n)


def multiclass(rng, n, *, confused=0.0):
    p = rng.dirichlet([1.0, 1.0, 0.5], n)
    labels = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return p, np.where((rng.random(n) < confused) & (labels == 0), 2, labels).astype(float)


SIGNATURES = {
    binary: SIGNATURE,
    regression: Signature(task="regression", columns=(Column(name="x", type=ColumnType.NUMBER),)),
    multiclass: Signature(task="multiclass", classes=("a", "b", "c"), columns=(Column(name="x", type=ColumnType.NUMBER),)),
}
SCALE = 8.0


JUDGED = Judged(start=START, n=600, loss=0.0, expected=0.0)


def size(rng):
    return int(rng.integers(300, 900))


def holdout(rng, world, days):
    parts = [world(rng, size(rng)) for _ in range(days)]
    scores, labels = np.concatenate([s for s, _ in parts]), np.concatenate([y for _, y in parts])
    times = np.repeat(np.arange(days), [len(y) for _, y in parts]) * DAY_US
    signature = SIGNATURES[world]
    scale = SCALE if world is regression else None
    held = HoldoutScores(scores, bounded_loss(signature.task, scores, labels, scale), times)
    return build(signature, held, labels, timedelta(days=1), scale)


def first_alarm(reference, rng, world, windows, *, quiet=0, **change):
    """(windows from the change to the alarm, the finding), or None. An alarm in quiet windows fails."""
    state = ConceptState()
    for number in range(windows):
        now = change if number >= quiet else {}
        reading = judge(reference, state, outcomes_of(*world(rng, size(rng), **now)), day(number), ALLOWANCE)
        state = reading.state
        if reading.findings:
            return number + 1 - quiet, reading.findings[0]
    return None


@pytest.mark.parametrize(("world", "days"), [(binary, 6), (binary, 12), (regression, 12), (multiclass, 12)])
def test_without_a_new_concept_alarms_stay_within_the_budget(world, days):
    rng = np.random.default_rng(81)
    alarms = sum(first_alarm(holdout(rng, world, days), rng, world, 60) is not None for _ in range(15))
    assert alarms <= 5  # 60 of 360 windows: 2.5 expected at most, 5 exceeded in 4 %; measured 5 alarms in 90 runs of 100 windows


def plain(rng, n, *, shift=0.0):
    """Days without luck of their own: rows are all there is."""
    p = rng.beta(1.0, 3.0, n)
    return p[:, None], (rng.random(n) < np.clip(p + shift, 0.0, 1.0)).astype(float)


SIGNATURES[plain] = SIGNATURES[binary]


def test_where_days_have_no_luck_alarms_stay_within_the_budget_over_draws_of_the_holdout():
    rng, alarms = np.random.default_rng(91), 0
    for _ in range(24):
        reference, state = holdout(rng, plain, 12), ConceptState()
        for number in range(30):
            reading = judge(reference, state, outcomes_of(*plain(rng, size(rng))), day(number), ALLOWANCE)
            state, alarms = reading.state, alarms + len(reading.findings)
    assert alarms <= 5  # 720 windows of 360: 2 expected at most, 5 exceeded in 2 %; measured 6 in 2,160 others


def test_where_days_have_no_luck_a_jump_is_told_by_its_first_window():
    rng, first = np.random.default_rng(92), []
    for _ in range(8):
        found = first_alarm(holdout(rng, plain, 14), rng, plain, 30, quiet=10, shift=0.15)
        assert found is not None
        first.append(found[0])
    assert np.median(first) == 1
    delay, finding = found
    assert finding.evidence.name == "concept_window_p_value"
    assert finding.changed_since == day(9 + delay).start
    assert "by this window alone" in finding.words


def growing(rng, reference, sizes, shifts):
    """Numbers of the windows that were told."""
    state, told = ConceptState(), []
    for number, (n, shift) in enumerate(zip(sizes, shifts, strict=True)):
        reading = judge(reference, state, outcomes_of(*plain(rng, n, shift=shift)), day(number), ALLOWANCE)
        state, told = reading.state, told + [number] * len(reading.findings)
    return told


def even_holdout(rng, days, n):
    scores, labels = plain(rng, days * n)
    held = HoldoutScores(scores, (scores[:, 0] - labels) ** 2, np.repeat(np.arange(days), n) * DAY_US)
    return build(SIGNATURE, held, labels, timedelta(days=1), None)


def test_a_shift_that_was_told_and_stays_is_no_new_one_when_windows_grow():
    """The departure is 0.1 a row throughout; as a standard score it is three times as large from window 40 on."""
    rng, told = np.random.default_rng(95), []
    for _ in range(3):
        found = growing(rng, even_holdout(rng, 14, 300), [300] * 40 + [3_000] * 10, [0.1] * 50)
        assert found[0] <= 5
        told += [number for number in found if number >= 40]
    assert not told


def test_a_further_shift_is_told_after_windows_grew_and_when_they_grow_with_it():
    rng = np.random.default_rng(96)
    after = growing(rng, even_holdout(rng, 14, 300), [300] * 15 + [3_000] * 10, [0.1] * 20 + [0.2] * 5)
    assert next(number for number in after if number >= 15) == 20
    together = growing(rng, even_holdout(rng, 14, 300), [300] * 20 + [3_000] * 8, [0.1] * 20 + [0.3] * 8)
    assert next(number for number in together if number >= 20) <= 23


def test_windows_far_larger_than_the_holdout_s_do_not_take_the_error_of_its_means_for_a_new_concept():
    rng, alarms = np.random.default_rng(97), 0
    for _ in range(12):
        alarms += len(growing(rng, even_holdout(rng, 14, 150), [15_000] * 8, [0.0] * 8))
    assert alarms <= 2  # 96 windows of 360: 0.3 expected at most, 2 exceeded in 0.3 %; without that error 7


def test_windows_that_shrink_after_an_alarm_are_not_surprising():
    """Luck that was seen in the holdout and is none makes large windows look as if they varied less than they may."""
    rng, told = np.random.default_rng(101), 0
    for _ in range(8):
        found = growing(rng, even_holdout(rng, 14, 300), [3_000] * 12 + [300] * 12, [0.1] * 24)
        told += sum(number >= 12 for number in found)
    assert told <= 2  # 96 windows of 360


def test_a_shift_in_windows_far_larger_than_the_holdout_s_is_soon_told():
    rng = np.random.default_rng(98)
    found = growing(rng, even_holdout(rng, 14, 150), [15_000] * 5, [0.15] * 5)
    assert found[0] <= 3


def test_a_state_of_before_sizes_were_told_apart_goes_on():
    rng = np.random.default_rng(99)
    reference, state = holdout(rng, plain, 14), ConceptState()
    for number in range(6):
        state = judge(reference, state, outcomes_of(*plain(rng, 600)), day(number), ALLOWANCE).state
    kept = codec.plain(state)
    for stream in kept["streams"].values():
        stream.pop("usual", None)
        stream.pop("won", None)
    old = codec.decode(codec.encode(kept), ConceptState)
    assert old.streams["level"].usual == 0.0
    new = judge(reference, old, outcomes_of(*plain(rng, 600, shift=0.3)), day(6), ALLOWANCE)
    assert new.findings


def test_windows_in_which_nothing_ever_varies_are_no_alarm_by_their_number():
    """All tie: an e-detector of such bets counts windows, and reaches any threshold."""
    outcomes = outcomes_of(np.tile([0.0, 1.0], 300)[:, None], np.tile([0.0, 1.0], 300))
    certain = HoldoutScores(outcomes.scores, np.zeros(600), np.arange(600) * DAY_US // 50)
    reference = build(SIGNATURE, certain, outcomes.labels, timedelta(days=1), None)
    level = StreamState(up=(5_000.0,) * 5, down=(5_000.0,) * 5, past=((0.0, 0.0),) * 5)
    counted = ConceptState(streams={stream.name: level for stream in reference.streams}, alarms=1, windows=(JUDGED,) * 5)
    reading = judge(reference, counted, outcomes, day(5), ALLOWANCE)
    assert not reading.findings
    assert reading.state.streams["level"].up[0] == 5_001.0


def test_days_with_luck_are_left_to_ranks():
    rng = np.random.default_rng(93)
    assert all(stream.alike for stream in holdout(rng, plain, 20).streams if stream.name == "loss")
    lucky = [holdout(rng, binary, 20) for _ in range(5)]
    assert not any(stream.alike for one in lucky for stream in one.streams if stream.name == "level")


def test_other_rows_that_labels_follow_are_no_new_concept_though_the_loss_rises():
    rng = np.random.default_rng(82)
    found = [first_alarm(holdout(rng, binary, 12), rng, binary, 60, quiet=10, other_rows=True) for _ in range(6)]
    assert sum(item is not None for item in found) <= 1
    reference = holdout(rng, binary, 12)
    reading = judge(reference, ConceptState(), outcomes_of(*binary(rng, 900, other_rows=True)), day(0), ALLOWANCE)
    assert reading.moved > 0.02
    assert abs(reading.broken) < 0.03


@pytest.mark.parametrize(
    ("world", "change", "within", "names"),
    [
        (binary, {"shift": 0.2}, 8, "level"),
        (binary, {"flip": 0.2}, 8, "loss"),
        (regression, {"bias": 2.0}, 8, "level"),
        (regression, {"wider": 2.0}, 8, "loss"),
        (multiclass, {"confused": 0.4}, 8, "loss"),
    ],
)
def test_a_new_concept_is_found_named_and_dated(world, change, within, names):
    rng, named, off = np.random.default_rng(83), set(), []
    for _ in range(4):
        found = first_alarm(holdout(rng, world, 14), rng, world, 50, quiet=20, **change)
        assert found is not None
        delay, finding = found
        assert 0 < delay <= within
        assert finding.kind is FindingKind.CONCEPT_DRIFT
        assert finding.pages
        assert finding.harm > 0.01
        off.append(abs((finding.changed_since - day(20).start).days))
        named |= set(finding.effects)
    assert names in named
    assert np.median(off) <= 2  # an alarm after a single window cannot date much
    assert "labels do not follow the answers as they did" in finding.words
    assert "since 2026-01-" in finding.words


def test_an_easier_world_is_told_and_calls_nobody():
    rng = np.random.default_rng(84)
    delay, finding = first_alarm(holdout(rng, binary, 14), rng, binary, 60, quiet=20, shift=-0.2)
    assert delay <= 10
    assert finding.harm < 0
    assert not finding.pages
    assert "less often" in finding.words


@pytest.mark.parametrize(("later", "back"), [(0.0, True), (-0.15, False), (0.4, False)])
def test_a_change_that_passes_is_told_as_a_return_and_another_one_is_not(later, back):
    rng, state, told = np.random.default_rng(94), ConceptState(), []
    reference = holdout(rng, plain, 14)
    for number in range(24):
        now = 0.0 if number < 6 else 0.2 if number < 14 else later
        reading = judge(reference, state, outcomes_of(*plain(rng, 600, shift=now)), day(number), ALLOWANCE)
        state, told = reading.state, [*told, *reading.findings]
    first, second = told
    assert first.words.startswith("labels do not follow the answers as they did: ")
    assert second.words.startswith("labels follow the answers again as on the holdout, or nearly so: ") is back
    assert second.pages is (later > 0.2)


def test_days_that_resemble_their_neighbours_are_judged_in_blocks():
    rng, luck, parts = np.random.default_rng(85), 0.0, []
    for _ in range(150):
        luck = 0.8 * luck + rng.normal(0.0, 0.06)
        p = rng.beta(1.0, 3.0, 600)
        parts.append((p[:, None], (rng.random(600) < np.clip(p + luck, 0.0, 1.0)).astype(float)))
    scores, labels = np.concatenate([s for s, _ in parts]), np.concatenate([y for _, y in parts])
    times = np.repeat(np.arange(150), 600) * DAY_US
    reference = build(SIGNATURE, HoldoutScores(scores, (scores[:, 0] - labels) ** 2, times), labels, timedelta(days=1), None)
    assert reference.block >= 5
    state, alarms = ConceptState(), 0
    for number in range(360):
        luck = 0.8 * luck + rng.normal(0.0, 0.06)
        p = rng.beta(1.0, 3.0, 300)
        labels = (rng.random(300) < np.clip(p + luck, 0.0, 1.0)).astype(float)
        reading = judge(reference, state, outcomes_of(p[:, None], labels), day(number), ALLOWANCE)
        state = reading.state
        alarms += len(reading.findings)
    assert alarms <= 2
    assert state.open_count == 360 % reference.block


def test_a_window_is_judged_once_and_its_state_is_small():
    rng = np.random.default_rng(86)
    reference, state = holdout(rng, binary, 12), ConceptState()
    for number in range(130):
        outcomes = outcomes_of(*binary(rng, 300))
        state = judge(reference, state, outcomes, day(number), ALLOWANCE).state
    again = judge(reference, state, outcomes, day(129), ALLOWANCE)
    assert again.state == state
    assert "judged before" in again.note
    assert len(codec.encode(state)) < 40_000
    assert codec.decode(codec.encode(state), ConceptState) == state
    assert codec.decode(codec.encode(reference), Calibration) == reference


def test_few_labels_are_not_tested():
    rng = np.random.default_rng(87)
    reading = judge(holdout(rng, binary, 12), ConceptState(), outcomes_of(*binary(rng, 30)), day(0), ALLOWANCE)
    assert reading.state == ConceptState()
    assert "30 labels are fewer than min_rows 50" in reading.note


def test_the_budget_is_divided_among_the_streams():
    weights = weights_of(holdout(np.random.default_rng(88), multiclass, 12))
    assert sum(weights.values()) == pytest.approx(1.0)
    assert {"level", "loss", "class a", "score 5"} <= weights.keys()


def test_a_short_holdout_says_what_it_cannot_tell():
    rng = np.random.default_rng(89)
    scores, labels = binary(rng, 400)
    held = HoldoutScores(scores, (scores[:, 0] - labels) ** 2, None)
    reference = build(SIGNATURE, held, labels, timedelta(days=1), None)
    assert not reference.in_time
    assert "do not show how days differ" in reference.notes[0]


def test_a_holdout_without_labels_is_refused():
    held = HoldoutScores(np.zeros((3, 1)), np.zeros(3), None)
    with pytest.raises(DataError, match="without labelled rows"):
        build(SIGNATURE, held, [np.nan] * 3, timedelta(days=1), None)
    with pytest.raises(DataError, match="3 scores and 2 labels"):
        build(SIGNATURE, held, [0.0, 1.0], timedelta(days=1), None)


def test_labels_that_never_vary_in_a_bin_do_not_break_anything():
    scores = np.tile([0.0, 1.0], 300)[:, None]
    held = HoldoutScores(scores, np.zeros(600), np.arange(600) * DAY_US // 50)
    reference = build(SIGNATURE, held, scores[:, 0], timedelta(days=1), None)
    state = ConceptState()
    for number in range(20):
        reading = judge(reference, state, outcomes_of(scores, scores[:, 0]), day(number), ALLOWANCE)
        state = reading.state
        assert not reading.findings
    assert state.windows[0].start == START
