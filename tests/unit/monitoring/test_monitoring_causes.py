"""Simulations with fixed seeds against known truths: the loss is a function of x0 (alone), x1 and x2 (together), and nothing of x3, x4."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from flyball.errors import DataError
from flyball.monitoring import cause_words, coding
from flyball.monitoring.causes import Rows, attribute, with_causes
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.stats.shapley import paired_shapley

HOTEL = Path(__file__).parents[4] / "shared/data/hotel_booking/data.csv.gz"
NAMES = tuple(f"x{k}" for k in range(5))


def mean_loss(x):
    return 0.1 + 0.12 / (1 + np.exp(-2 * (x[:, 0] - 1))) + 0.06 * (x[:, 1] > 0.3) * (x[:, 2] > 0.3)


def draw(rng, n=2000, shift=(0, 0, 0, 0, 0), concept=0.0, dragged=0.0):
    """Features, rows and losses. `dragged`: correlation of x3 with x0, whose move it then shares."""
    x = rng.normal(size=(n, 5))
    x[:, 3] = dragged * x[:, 0] + np.sqrt(1 - dragged**2) * x[:, 3]
    x += np.asarray(shift, dtype=float)
    x[:, 3] += dragged * shift[0]
    mean = mean_loss(x) + concept
    return {name: x[:, k] for k, name in enumerate(NAMES)}, x, rng.beta(4 * mean, 4 * (1 - mean))


def rows(rng, **how):
    columns, _, losses = draw(rng, **how)
    return Rows(columns, losses)


def truth_of(**how):
    rng = np.random.default_rng(0)
    concept = how.pop("concept", 0.0)
    (_, base, _), (_, now, _) = draw(rng, 100_000), draw(rng, 100_000, **how)
    shares = paired_shapley(mean_loss, base, now, [[k] for k in range(5)], rng).mean(axis=0)
    return dict(zip(NAMES, shares.tolist(), strict=True)) | {"concept": concept}


@pytest.mark.parametrize(
    "how",
    [
        {"shift": (1, 0, 0, 0, 0)},
        {"concept": 0.04},
        {"shift": (1, 0.5, 0.5, 0, 0), "concept": 0.03},
        {"shift": (1, 0, 0, 0, 0), "dragged": 0.6},
    ],
    ids=["one feature", "concept", "both, with an interaction", "a correlated feature that the loss ignores"],
)
def test_parts_are_right_and_their_errors_cover_the_truth(how):
    rng, truth, covered, off, sums = np.random.default_rng(11), truth_of(**how), [], [], []
    for _ in range(4):
        found = attribute(rows(rng), rows(rng, **how), seed="a")
        part = {part.subject: part for part in found.parts}
        off.append([part[name].value - value for name, value in truth.items()])
        covered += [abs(part[name].value - value) <= 2.262 * part[name].error for name, value in truth.items()]
        sums.append(sum(part.value for part in found.parts) - found.total.value)
    assert np.abs(sums).max() < 1e-5
    assert np.mean(covered) >= 0.85  # of 24; measured at 4,000 rows over 150 fits: 0.87 to 1.00 a part
    assert np.abs(np.mean(off, axis=0)).max() < 0.006  # of changes of 0.03 to 0.08


def test_a_feature_that_moves_far_and_that_the_loss_ignores_is_no_cause():
    rng = np.random.default_rng(12)
    found = attribute(rows(rng), rows(rng, shift=(0.8, 0, 0, 0, 1.5)), seed="a")
    assert [cause.subject for cause in found.causes][:1] == ["x0"]
    assert abs(next(part.value for part in found.parts if part.subject == "x4")) < 0.2 * found.total.value


def named(found):
    """In the summary."""
    told = found.words.partition("): ")[2].partition("; explained")[0]
    return [each.rpartition(" ")[0].rpartition(" ")[0] for each in told.split(", ")]


def test_what_brought_nothing_is_not_in_the_summary_and_said_to_be_in_doubt():
    """Beside x0 nothing matters: x4 moved and is ignored, x3 is dragged along, the world is as it was."""
    rng, others = np.random.default_rng(26), []
    for _ in range(5):
        found = attribute(rows(rng), rows(rng, shift=(1, 0, 0, 0, 1), dragged=0.6), seed="a")
        assert "x0" in named(found)
        others += [name for name in named(found) if name != "x0"]
        for cause in found.causes:
            low, high = cause.interval
            assert 2.262 < (high - low) / 2.0 / cause.error < 5.0  # all causes together are more than one
            assert ("may be nothing" in cause.words) == (low <= 0.0 <= high) == (cause.subject not in named(found))
    assert not others  # measured at 4,000 rows: see docs/monitoring/causes.md; one standard error named 7


def test_where_no_part_is_sure_that_is_said():
    rng = np.random.default_rng(27)
    found = [attribute(rows(rng, n=400), rows(rng, n=400, shift=(0.5, 0.3, 0.3, 0, 0), concept=0.02), seed="a") for _ in range(4)]
    assert any("no part of it is surely more than nothing; explained" in each.words for each in found)


def test_a_part_that_only_comes_of_how_features_go_together_is_not_put_down_to_their_own_values():
    def of(rng, r):
        a, c = rng.normal(size=(2, 2000))
        b = r * a + np.sqrt(1 - r * r) * rng.normal(size=2000)
        return Rows({"a": a, "b": b, "c": c}, (rng.random(2000) < 1 / (1 + np.exp(1.5 - 1.5 * a * b))).astype(float))

    rng = np.random.default_rng(1)
    found = attribute(of(rng, 0.0), of(rng, 0.9), seed="x")
    words = {cause.subject: cause.words for cause in found.causes}
    for name, other in (("a", "b"), ("b", "a")):
        assert words[name].startswith("its own values hardly moved (")
        assert f"; it goes together with {other} otherwise than in the reference (see joint drift)" in words[name]


def test_a_feature_that_did_not_move_and_goes_together_as_before_is_said_to_have_hardly_moved():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 4000))
    columns = {"a": a, "b": 0.6 * a + 0.8 * b}
    levels = coding.levels_of(columns)
    before = coding.codes(levels, columns)
    a, b = rng.normal(size=(2, 4000))
    now = coding.codes(levels, {"a": a, "b": 0.6 * a + 0.8 * b + 0.5})
    assert cause_words.moved(levels, 0, (before, now), [0, 1]).startswith("its own values hardly moved (")
    assert "goes together" not in cause_words.moved(levels, 0, (before, now), [0, 1])
    assert cause_words.moved(levels, 1, (before, now), [0, 1]).startswith(("6", "5"))


def test_causes_are_shares_of_the_increase_with_words():
    rng = np.random.default_rng(13)
    found = attribute(
        rows(rng, n=4000),
        rows(rng, n=4000, shift=(1.2, 0, 0, 0, 0), concept=0.03),
        seed="a",
    )
    measured = found.causes
    assert {cause.subject for cause in measured} >= {"x0", "concept"}
    assert sorted((cause.share for cause in measured), key=abs, reverse=True) == [cause.share for cause in measured]
    assert "of rows are at least" in next(cause.words for cause in measured if cause.subject == "x0")
    assert "% of the increase of the loss" in measured[0].words
    assert found.explained > 0.8
    assert "explained" in found.words


def test_without_labels_only_features_are_told_and_that_is_said():
    rng = np.random.default_rng(14)
    columns, _, _ = draw(rng, 3000, shift=(1, 0, 0, 0, 0), concept=0.1)
    found = attribute(rows(rng, n=3000), Rows(columns, None), seed="a")
    assert found.total.name == "loss_change_by_features"
    assert found.total.lower <= truth_of(shift=(1, 0, 0, 0, 0))["x0"] <= found.total.upper
    assert "concept" not in {part.subject for part in found.parts}
    assert "nothing of concept" in found.total.note


def test_where_nothing_changed_no_cause_is_named():
    rng = np.random.default_rng(15)
    all_found = [attribute(rows(rng), rows(rng), seed="a") for _ in range(4)]
    assert sum(bool(found.causes) for found in all_found) <= 1  # measured: 3 of 60, all of them by a total that seemed to differ
    assert sum("no shares of it, since that may be nothing" in found.words for found in all_found) >= 3


def test_a_part_that_is_sure_is_told_though_the_total_is_lost_in_the_noise_of_days():
    rng = np.random.default_rng(22)
    before, now = rows(rng), rows(rng, shift=(1, 0, 0, 0, 0))
    days = [np.repeat(rng.normal(0, 0.05, 10), 200) for _ in range(2)]
    found = attribute(Rows(before.columns, before.losses + days[0]), Rows(now.columns, now.losses + days[1]), seed="a")
    assert found.total.lower < 0 < found.total.upper
    assert found.explained is None
    assert [(cause.subject, cause.share) for cause in found.causes] == [("x0", None)]
    assert "of loss" in found.causes[0].words


def test_copies_of_a_feature_share_one_part():
    rng = np.random.default_rng(16)
    before, now = rows(rng), rows(rng, shift=(1, 0, 0, 0, 0))
    twice = [Rows({**side.columns, "copy": side.columns["x0"] * 60}, side.losses) for side in (before, now)]
    found = attribute(*twice, seed="a")
    assert next(part for part in found.parts if "copy" in part.subject).subject == "x0, copy"
    assert max(found.parts, key=lambda part: part.value).subject == "x0, copy"


def test_a_unit_change_is_outside_the_reference_and_neither_feature_nor_concept_is_guessed():
    rng = np.random.default_rng(17)
    before, now = rows(rng), rows(rng, concept=0.1)
    found = attribute(before, Rows(now.columns | {"x3": now.columns["x3"] * 60 + 500}, now.losses), seed="a")
    (part,) = found.parts
    assert part.subject == "outside the reference"
    assert "most by x3" in part.words
    assert found.explained == 0.0


def of_a_new_kind(rng, known, new):
    """Rows in any order, losses .5 where the reference has .1, and of a new category .1 as ever."""
    kind = rng.permutation(np.array(["old"] * known + ["new"] * new, dtype=object))
    return Rows({"kind": kind}, np.where(kind == "old", 0.5, 0.1) + rng.uniform(-0.05, 0.05, known + new))


@pytest.mark.parametrize(("known", "new"), [(190, 200), (1, 399), (199, 1)])
def test_too_few_known_rows_are_told_as_one_and_the_total_stays_what_it_is(known, new):
    rng, inside = np.random.default_rng(24), 0
    truth = 0.4 * known / (known + new)
    for _ in range(100):
        before = Rows({"kind": np.array(["old"] * 400, dtype=object)}, rng.uniform(0.05, 0.15, 400))
        found = attribute(before, of_a_new_kind(rng, known, new), seed="a")
        inside += found.total.lower <= truth <= found.total.upper
    part = {part.subject: part for part in found.parts}
    assert set(part) == {"like the reference", "outside the reference"}
    assert sum(each.value for each in found.parts) == pytest.approx(found.total.value, abs=1e-6)
    assert part["like the reference"].value == pytest.approx(truth, abs=4 * part["like the reference"].error)
    assert f"only {known} window rows are like any of the reference" in found.words
    assert found.explained in (0.0, None)
    assert inside >= 95 - 3 * np.sqrt(100 * 0.05 * 0.95)


@pytest.mark.parametrize("new", [1, 200])
def test_without_labels_nothing_is_claimed_of_rows_that_are_too_few(new):
    rng = np.random.default_rng(25)
    before = Rows({"kind": np.array(["old"] * 400, dtype=object)}, rng.uniform(0.05, 0.15, 400))
    found = attribute(before, of_a_new_kind(rng, 199, new)._replace(losses=None), seed="a")
    assert (found.total.value, found.total.lower, found.total.upper, found.explained) == (None, None, None, None)
    assert found.words == (
        "what moved features change of the loss is not known: only 199 window rows are like any of the reference: their loss cannot be split"
    )
    assert [cause.share for cause in found.causes] == [None] * (new > 1)


def test_a_unit_change_that_leaves_some_values_in_range_is_said_to_be_what_concept_may_come_from():
    rng = np.random.default_rng(23)
    before, now = rows(rng), rows(rng, concept=0.1)
    found = attribute(before, Rows(now.columns | {"x3": now.columns["x3"] * 8}, now.losses), seed="a")
    assert "x3 looks broken" in found.words
    assert "concept may be its doing" in found.words


def test_new_categories_and_first_missing_values_are_outside_but_not_where_new_ones_come_daily():
    rng = np.random.default_rng(18)
    base, now = rows(rng), rows(rng)
    fixed = {
        "carrier": np.array(["A", "B"], dtype=object)[rng.integers(0, 2, 2000)],
        "tail": rng.integers(0, 5000, 2000).astype(str).astype(object),
    }
    later = {
        "carrier": np.where(rng.random(2000) < 0.3, "new", fixed["carrier"]),
        "tail": rng.integers(0, 9000, 2000).astype(str).astype(object),
    }
    absent = {"x0": np.where(rng.random(2000) < 0.1, np.nan, now.columns["x0"])}
    found = attribute(Rows(base.columns | fixed, base.losses), Rows(now.columns | later | absent, now.losses + 0.2), seed="a")
    outside = next(part for part in found.parts if part.subject == "outside the reference")
    assert outside.words.startswith("38 %")
    assert "most by carrier (31 %)" in outside.words


def test_the_same_rows_give_the_same_bytes():
    rng = np.random.default_rng(19)
    before, now = rows(rng, n=1000), rows(rng, n=1000, shift=(1, 0.5, 0.5, 0, 0))
    assert codec.encode(attribute(before, now, seed="f-1")) == codec.encode(attribute(before, now, seed="f-1"))


def test_a_feature_that_no_row_has_is_no_cause_and_keeps_none_from_being_found():
    rng = np.random.default_rng(12)
    nothing = {"number": np.full(300, np.nan), "category": np.array([""] * 300, dtype=object)}
    base, now = (
        Rows(each.columns | nothing, each.losses) for each in (rows(rng, n=300), rows(rng, n=300, shift=(2, 0, 0, 0, 0)))
    )
    told = attribute(base, now, seed="f-1")
    assert [part.value for part in told.parts if part.subject in nothing] == [0.0, 0.0]
    assert told.total.value == pytest.approx(float(now.losses.mean() - base.losses.mean()), abs=1e-5)


def test_bad_input_is_refused_and_too_few_rows_are_no_cause():
    rng = np.random.default_rng(20)
    before, now = rows(rng, n=400), rows(rng, n=400)
    with pytest.raises(DataError, match="one loss per row"):
        attribute(before, Rows(now.columns, now.losses[:3]), seed="a")
    with pytest.raises(DataError, match="without the features x4"):
        attribute(before, Rows({name: now.columns[name] for name in NAMES[:4]}, now.losses), seed="a")
    with pytest.raises(DataError, match="without losses"):
        attribute(Rows(before.columns, None), now, seed="a")
    with pytest.raises(DataError, match="text among its values"):
        attribute(before, Rows(now.columns | {"x0": np.array(["a"] * 400, dtype=object)}, now.losses), seed="a")
    found = attribute(before, rows(rng, n=50), seed="a")
    assert (found.total.value, found.causes) == (None, ())
    assert "50 window rows" in found.words


def test_a_finding_is_told_with_its_causes():
    rng = np.random.default_rng(21)
    at = datetime(2026, 3, 1, tzinfo=UTC)
    finding = Finding(
        id="f-1", kind=FindingKind.PERFORMANCE, model="m", unit="u", subject="loss", window_start=at, window_end=at, effect=0.1,
        effect_unit="increase", evidence=Evidence(name="x", value=1.0), share_of_budget=0.5, words="mean loss 0.2",
    )  # fmt: skip
    found = attribute(rows(rng), rows(rng, concept=0.05), seed=finding.id)
    told = with_causes(finding, found)
    assert told.words.startswith("mean loss 0.2; the loss moved by +0.0")
    assert told.causes[0].subject == "concept"
    assert codec.decode(codec.encode(told), Finding) == told


@pytest.mark.skipif(not HOTEL.exists(), reason="the hotel bookings are not beside the checkout")
def test_the_fall_of_january_on_hotel_bookings_is_put_down_to_who_books_and_how_late():
    import polars as pl

    frame = pl.read_csv(HOTEL, infer_schema_length=None)
    outcome = ("Index", "y_pred", "y_pred_proba", "is_canceled", "timestamp", "period")

    def side(part):
        columns = {
            name: part[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
            if part[name].dtype.is_numeric()
            else part[name].fill_null("").to_numpy().astype(object)
            for name in part.columns
            if name not in outcome
        }
        return Rows(columns, ((part["y_pred_proba"] - part["is_canceled"]) ** 2).to_numpy())

    january = frame.filter(pl.col("timestamp").str.starts_with("2017-01"))
    found = attribute(side(frame.filter(pl.col("period") == "reference")), side(january), seed="a")
    assert found.total.lower > 0.02
    assert {cause.subject for cause in found.causes[:2]} == {"country", "lead_time"}
    assert found.explained > 0.7
