"""Harm of one moved marginal against the truth: rows of real tables are tilted by one column, and their labels say what that did to the loss."""

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from real_rows import NO_FEATURES, as_columns, frame, kinds, take
from sklearn.linear_model import LogisticRegression

from flyball.errors import DataError
from flyball.monitoring import harm, reference, sensitivity, streams
from flyball.monitoring.quality import Fault
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.records.signature import Column, ColumnType, Signature

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOLERANCE = 0.01
USED = ("age", "education_num", "hours_per_week")
"""By the model of the adult table; it ignores the others."""


def referenced(columns):
    types = {"number": ColumnType.NUMBER, "category": ColumnType.CATEGORY}
    listed = tuple(Column(name=name, type=types[kind], missing=True) for name, kind in kinds(columns).items())
    return reference.build(Signature(task="binary", classes=("0", "1"), columns=listed), columns, None, None, 500, None).streams


class Adult:
    """A logistic regression on three columns of fourteen; 1,500 rows of holdout, all others to tilt."""

    def __init__(self, seed, rows=3000, held=1500):
        rng = np.random.default_rng(seed)
        table = frame("adult_iid_pool")
        columns, truth = as_columns(table.drop("income")), np.array([">50K" in value for value in table["income"]], dtype=float)
        order = rng.permutation(len(truth))
        train, hold, self.rest = order[:rows], order[rows : rows + held], order[rows + held :]
        model = LogisticRegression(max_iter=500).fit(self.inputs(take(columns, train)), truth[train])

        def answer(given):
            scores = model.predict_proba(self.inputs(given))[:, 1]
            return scores[:, None], (scores - truth[hold]) ** 2

        self.columns, self.rng, self.model, self.truth = take(columns, self.rest), rng, model, truth[self.rest]
        self.losses = (model.predict_proba(self.inputs(self.columns))[:, 1] - truth[self.rest]) ** 2
        self.streams = referenced(take(columns, order[: rows + held]))
        holdout = take(columns, hold)
        self.sensitivities = sensitivity.sensitivities(answer, holdout, self.streams, ["age"], 0)
        self.table = harm.build(self.streams, holdout, answer(holdout)[1], self.sensitivities)

    @staticmethod
    def inputs(columns):
        return np.column_stack([np.nan_to_num(columns[name]) for name in USED]) / 50.0


def tilts(stream, bins, rng, strengths=(-2.0, 2.0)):
    """Weights of rows: bins at random, or more towards one end."""
    for strength in (*strengths, None):
        by_bin = (
            np.exp(rng.normal(size=stream.n_bins))
            if strength is None
            else np.exp(strength * np.arange(stream.n_bins) / stream.n_bins)
        )
        weights = by_bin[bins]
        yield weights / weights.sum()


def counts_of(stream, values, weights, rng, n=1000):
    rows = rng.choice(len(weights), n, p=weights)
    return tuple(streams.bin_of(stream, values[rows]).tolist())


def measured(world_streams, columns, losses, table, rng):
    """(harm, true increase of the loss and its standard error, stream) for tilts by every column."""
    for stream in world_streams:
        bins = harm.places(stream, columns[stream.name])
        for weights in tilts(stream, bins, rng):
            mean = float(weights @ losses)
            error = np.sqrt(np.sum((weights * (losses - mean)) ** 2) + losses.var() / losses.size)
            yield (
                harm.estimate(table, stream, counts_of(stream, columns[stream.name], weights, rng), TOLERANCE),
                mean - losses.mean(),
                error,
                stream,
            )


def test_the_interval_covers_the_true_increase_as_stated_on_a_table_it_was_not_made_with():
    """A deployed model's answers to hotel bookings."""
    table = frame("hotel_booking").filter(frame("hotel_booking")["period"] == "reference")
    columns = as_columns(table.drop(NO_FEATURES["hotel_booking"]))
    losses = (table["y_pred_proba"].to_numpy() - table["is_canceled"].to_numpy()) ** 2
    covered, told, true = [], [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        order = rng.permutation(losses.size)
        held, rest = order[:2000], order[2000:]
        listed = referenced(take(columns, held))
        made = harm.build(listed, take(columns, held), losses[held], {})
        for found, truth, error, _ in measured(listed, take(columns, rest), losses[rest], made, rng):
            covered.append(found.lower - 2 * error <= truth <= found.upper + 2 * error)
            told.append(found.value)
            true.append(truth)
    assert np.mean(covered) >= 0.93
    assert np.corrcoef(told, true)[0, 1] > 0.8


def test_columns_that_the_model_ignores_page_only_if_their_rows_are_harder_and_much_drift_is_benign():
    paged, benign, wrong, ignored = 0, [], [], 0
    for seed in range(3):
        world = Adult(seed)
        for found, truth, _, stream in measured(world.streams, world.columns, world.losses, world.table, world.rng):
            if stream.name not in USED:
                paged += not found.benign and truth < TOLERANCE
                ignored += 1
            else:
                benign.append(found.benign)
                wrong.append(found.benign and truth > TOLERANCE)
    assert paged <= 0.01 * ignored
    assert np.mean(benign) >= 0.2  # used columns, whose drift the interval shows to be harmless
    assert np.mean(wrong) <= 0.05


def test_noise_that_the_model_ignores_never_pages_in_a_thousand_windows():
    rng, paged = np.random.default_rng(5), 0
    for _ in range(20):
        held = {"noise": rng.normal(size=1000)}
        (stream,) = referenced({"noise": rng.normal(size=3000)})
        nothing = sensitivity.Sensitivity(
            shuffled=0.0, shuffled_reach=0.0, probes={"above": sensitivity.Probe(gain=0.0, reach=0.0)}
        )
        table = harm.build([stream], held, rng.beta(1.0, 5.0, 1000), {"noise": nothing})
        for _ in range(50):
            counts = streams.bin_of(stream, rng.normal(rng.normal(scale=2.0), 1.0, 500)).tolist()
            paged += not harm.estimate(table, stream, counts, TOLERANCE).benign
    assert paged == 0


def finding(name):
    return Finding(
        id=name, kind=FindingKind.FEATURE_DRIFT, model="m", unit="u", subject=name, window_start=NOW, window_end=NOW, effect=0.1,
        effect_unit="", evidence=Evidence(name="drift_p_value", value=1e-6), share_of_budget=0.1, words=f"{name} moved",
    )  # fmt: skip


def test_the_feature_that_hurts_is_first_among_all_that_drift():
    first = []
    for seed in range(3):
        world = Adult(seed)
        bins = {stream.name: harm.places(stream, world.columns[stream.name]) for stream in world.streams}
        for _ in range(8):
            counts, truth = {}, {}
            for stream in world.streams:
                strength = world.rng.choice([-2.0, 2.0]) if stream.name in USED else 0.5 * world.rng.normal()
                weights = np.exp(strength * np.arange(stream.n_bins) / stream.n_bins)[bins[stream.name]]
                truth[stream.name] = float(weights @ world.losses / weights.sum() - world.losses.mean())
                counts[stream.name] = counts_of(stream, world.columns[stream.name], weights / weights.sum(), world.rng)
            worst, second = sorted(truth, key=truth.get)[:-3:-1]
            if truth[worst] > max(TOLERANCE, 1.5 * truth[second]):  # otherwise two of them hurt
                told = harm.weigh([finding(name) for name in sorted(counts)], world.table, world.streams, counts, TOLERANCE)
                first.append(told[0].subject == worst)
    assert len(first) >= 8
    assert np.mean(first) >= 0.9


def test_harms_that_intervals_do_not_tell_apart_keep_the_order_of_their_findings_and_ignored_columns_are_last():
    """Also where one interval reaches the tolerance and another does not: of a column and those that follow it that is noise, and named the wrong one in four of ten."""
    world = Adult(2)
    names = [stream.name for stream in world.streams if stream.name in world.columns]
    counts = {stream.name: stream.counts for stream in world.streams}  # nothing moved: nobody harms more than another
    ignored = {name for name in names if not world.table.streams[name].sensitivity.used}
    uppers = [harm.estimate(world.table, each, counts[each.name], TOLERANCE).upper for each in world.streams if each.name in USED]
    between = (min(uppers) + max(uppers)) / 2.0
    for order in (names, names[::-1]):
        told = harm.weigh([finding(name) for name in order], world.table, world.streams, counts, between)
        used = [name for name in order if name not in ignored]
        assert [item.subject for item in told] == used + [name for name in order if name in ignored]
        assert {item.pages for item in told if item.subject in used} == {True, False}


def test_a_wrong_unit_of_a_column_that_the_model_uses_is_first_and_that_of_one_it_ignores_does_not_page():
    world = Adult(1)
    rows = take(world.columns, world.rng.integers(0, len(world.losses), 500))
    moved = {"education_num": rows["education_num"] * 60.0, "fnlwgt": rows["fnlwgt"] * 60.0}
    counts = {
        stream.name: streams.bin_of(stream, moved[stream.name]).tolist() for stream in world.streams if stream.name in moved
    }
    told = harm.weigh([finding("fnlwgt"), finding("education_num")], world.table, world.streams, counts, TOLERANCE)
    assert [each.subject for each in told] == ["education_num", "fnlwgt"]
    assert told[0].pages
    assert told[0].harm > 0.1
    assert not told[1].pages
    assert "the model ignores it" in told[1].words


def faults_of(rows, name):
    """(fault, what stands in the column then)."""
    for share in (0.01, 0.25, 0.5, 0.75, 0.99):
        yield Fault.FROZEN, np.full(len(rows[name]), np.nanquantile(rows[name], share, method="nearest"))
    yield Fault.SWAPPED, rows["age" if name != "age" else "hours_per_week"]
    yield Fault.STUCK, np.where(np.arange(len(rows[name])) % 2, rows[name], np.roll(rows[name], 1))
    yield from ((Fault.UNIT, rows[name] * factor) for factor in (1.609, 1 / 12))


def test_a_fault_of_a_column_that_the_model_uses_pages_though_such_rows_of_the_reference_do_no_harm_and_one_of_others_does_not():
    """The labels do not follow what a fault wrote: of 44 that did harm, a weighted reference called 9 benign."""
    harmful, unpaged, called_benign = 0, [], 0
    for seed in range(2):
        world = Adult(seed)
        drawn = world.rng.integers(0, len(world.losses), 500)
        rows = take(world.columns, drawn)
        for stream in world.streams:
            if stream.name not in (*USED, "fnlwgt", "capital_gain"):
                continue
            for fault, values in faults_of(rows, stream.name):
                scores = world.model.predict_proba(world.inputs(rows | {stream.name: values}))[:, 1]
                true = float(((scores - world.truth[drawn]) ** 2 - world.losses[drawn]).mean())
                counts = streams.bin_of(stream, values).tolist()
                faulty = msgspec.structs.replace(finding(stream.name), kind=FindingKind.DATA_QUALITY, fault=fault.value)
                (told,) = harm.weigh([faulty], world.table, world.streams, {stream.name: counts}, TOLERANCE)
                if stream.name in USED:
                    harmful += true > TOLERANCE
                    unpaged += [(stream.name, fault, true)] if true > TOLERANCE and not told.pages else []
                    called_benign += true > TOLERANCE and harm.estimate(world.table, stream, counts, TOLERANCE).benign
                    assert told.harm >= world.sensitivities[stream.name].shuffled_reach
                    assert "its losses on the holdout change by" in told.words
                else:
                    assert (told.pages, told.harm) == (False, 0.0), (fault, told.words)
                    assert told.words.endswith("says nothing of the rows; nobody is called")
    assert unpaged == []
    assert harmful >= 40
    assert called_benign >= 6  # what the fault keeps from being believed


def test_values_that_a_fault_took_cost_what_the_model_makes_of_none_and_not_what_rows_that_never_had_one_lose():
    rng = np.random.default_rng(8)
    held = {"c": np.where(rng.random(2000) < 0.1, "", rng.choice(["a", "b"], 2000)).astype(object)}
    (stream,) = referenced(held)
    none = np.mean(held["c"] == "")
    probes = {"missing": sensitivity.Probe(gain=0.1, reach=0.2), "unseen": sensitivity.Probe(gain=0.1, reach=0.2)}
    for reach, pages in ((0.2, True), (0.004, False)):
        asked = sensitivity.Sensitivity(shuffled=0.1, shuffled_reach=reach, probes=probes)
        table = harm.build([stream], held, np.full(2000, 0.1), {"c": asked})
        given = {
            Fault.MISSING: (["a"] * 50 + [""] * 50, 0.2 * (0.5 - none) / (1.0 - none)),  # about 0.09
            Fault.SPELLING: (["a"] * 50 + ["B"] * 50, 0.2),
            Fault.SWAPPED: (["a"] * 90 + ["b"] * 10, reach),
        }
        for fault, (values, cost) in given.items():
            counts = {"c": streams.bin_of(stream, np.array(values, dtype=object)).tolist()}
            (told,) = harm.weigh([msgspec.structs.replace(finding("c"), fault=fault.value)], table, [stream], counts, TOLERANCE)
            assert told.harm == pytest.approx(cost, abs=1e-6)
            assert told.pages is (pages or fault is not Fault.SWAPPED)
    unasked = harm.build([stream], held, np.full(2000, 0.1), {})
    (told,) = harm.weigh([msgspec.structs.replace(finding("c"), fault="frozen")], unasked, [stream], counts, TOLERANCE)
    assert (told.harm, told.pages) == (None, True)


def of_one(name="c", *, shuffled_reach=0.004, **reaches):
    """What the model makes of a column, by the reach of each probe."""
    probes = {what: sensitivity.Probe(gain=0.0, reach=reach) for what, reach in reaches.items()}
    return {name: sensitivity.Sensitivity(shuffled=shuffled_reach, shuffled_reach=shuffled_reach, probes=probes)}


def test_rows_that_never_had_a_value_are_no_part_of_what_missing_values_cost():
    rng = np.random.default_rng(11)
    values = np.where(rng.random(20_000) < 0.6, np.nan, rng.normal(size=20_000))
    (stream,) = referenced({"c": values})
    table = harm.build([stream], {"c": values}, np.full(20_000, 0.1), of_one(missing=0.02))
    for share, benign in ((0.63, True), (0.9, False)):
        now = np.where(np.arange(1000) < share * 1000, np.nan, rng.normal(size=1000))
        found = harm.of_fault("missing", table, stream, streams.bin_of(stream, now).tolist(), TOLERANCE)
        assert found.value == pytest.approx(0.02 * (share - 0.6) / 0.4, abs=0.0006)
        assert found.benign is benign
    fewer = streams.bin_of(stream, np.where(np.arange(1000) < 500, np.nan, 0.0)).tolist()
    assert harm.of_fault("missing", table, stream, fewer, TOLERANCE).value == 0.0


def test_values_that_cannot_be_read_since_they_are_large_page_where_the_few_rows_of_them_are_all_that_the_model_knows():
    """`1,234.50` is no number, and 999.50 is one: a tenth of the rows, and nearly all of the loss."""
    rng = np.random.default_rng(1)
    values = np.exp(rng.normal(5.0, 1.5, 6000))
    truth = (rng.random(6000) < np.where(values > 1000.0, 0.95, 0.05)).astype(float)

    def losses(given, of):
        known = np.where(given > 1000.0, 0.95, np.where(np.isnan(given), 0.14, 0.05))  # without a value, as often as all rows
        return known[:, None], (known - of) ** 2

    (stream,) = referenced({"x": values[:3000]})
    held = {"x": values[3000:4000]}
    asked = sensitivity.sensitivities(lambda given: losses(given["x"], truth[3000:4000]), held, [stream], ["x"], 0)
    table = harm.build([stream], held, losses(held["x"], truth[3000:4000])[1], asked)
    now, after = values[4000:], truth[4000:]
    seen = np.where(now >= 1000.0, np.nan, now)
    true = float((losses(seen, after)[1] - losses(now, after)[1]).mean())
    found = harm.of_fault("unreadable", table, stream, streams.bin_of(stream, seen).tolist(), 0.02)
    assert true > 0.04
    assert found.value >= true
    assert not found.benign
    one = np.where(np.arange(2000) == 0, np.nan, now)  # one row of 2,000 cannot cost 0.02
    assert harm.of_fault("unreadable", table, stream, streams.bin_of(stream, one).tolist(), 0.02).benign


def test_a_column_that_is_gone_needs_no_counts_to_be_weighed():
    held = {"c": np.random.default_rng(2).normal(size=500)}
    (stream,) = referenced(held)
    faulty = msgspec.structs.replace(finding("c"), kind=FindingKind.DATA_QUALITY, fault="gone")
    for asked, harmful, pages in (
        (of_one(shuffled_reach=0.0, missing=0.0), 0.0, False),
        (of_one(missing=0.004), 0.004, False),
        (of_one(missing=0.03), 0.03, True),
        (of_one(), 0.5, True),  # it may not be missing: nobody knows what the model makes of it
        ({}, None, True),
    ):
        table = harm.build([stream], held, np.full(500, 0.1), asked)
        (told,) = harm.weigh([faulty], table, [stream], {}, TOLERANCE)
        assert (told.harm, told.pages) == (harmful, pages)
        assert harm.of_fault("frozen", table, stream, (), TOLERANCE) is None or not pages


def test_faults_of_one_window_that_are_benign_each_by_itself_page_where_they_are_not_together():
    held = {name: np.random.default_rng(place).normal(size=500) for place, name in enumerate("abcd")}
    listed = referenced(held)
    asked = {}
    for name, reach in {"a": 0.003, "b": 0.003, "c": 0.0, "d": 0.04}.items():
        asked |= of_one(name, shuffled_reach=reach)
    table = harm.build(listed, held, np.full(500, 0.1), asked)
    counts = {stream.name: stream.counts for stream in listed}

    def paging(names, tolerance=TOLERANCE):
        faulty = [msgspec.structs.replace(finding(name), kind=FindingKind.DATA_QUALITY, fault="swapped") for name in names]
        told = harm.weigh(faulty, table, listed, counts, tolerance)
        assert [each.words.endswith("nobody is called") for each in told] == [not each.pages for each in told]
        return {each.subject for each in told if each.pages}

    assert paging("a") == paging("b") == paging("ac") == set()
    assert paging("ab") == paging("abc") == {"a", "b"}
    assert paging("ab", 0.0121) == set()
    assert paging("ad") == {"d"}, (
        "what pages by itself makes no other fault page, which would stand when that one is acknowledged"
    )


def test_sensitivity_tells_used_columns_from_ignored_ones():
    world = Adult(2)
    assert {name for name, each in world.sensitivities.items() if each.used} == set(USED)
    assert set(world.sensitivities["age"].probes) == {"below", "above", "missing"}
    assert set(world.sensitivities["sex"].probes) == {"unseen"}
    assert world.sensitivities["age"].probes["above"].reach >= abs(world.sensitivities["age"].probes["above"].gain)


def test_what_a_model_refuses_is_named_and_taken_for_the_worst():
    columns = {"c": np.array(["a", "b"] * 100, dtype=object)}
    found = referenced(columns)
    losses = np.tile([0.1, 0.2], 100)

    def answer(given):
        return None if sensitivity.NEW in given["c"] else ((given["c"] == "a")[:, None].astype(float), losses)

    asked = sensitivity.sensitivities(answer, columns, found, [], 0)
    assert (asked["c"].refused, asked["c"].probes, asked["c"].used) == (("unseen",), {}, True)
    table = harm.build(found, columns, losses, asked)
    counts = streams.bin_of(found[0], np.array(["a", "b", "new", "new"], dtype=object)).tolist()
    assert harm.estimate(table, found[0], counts, TOLERANCE).upper > 0.2
    assert (
        sensitivity.sensitivities(lambda given: answer(given) if given["c"] is columns["c"] else None, columns, found, [], 0)
        == {}
    )
    with pytest.raises(DataError, match="refuses the rows of its holdout"):
        sensitivity.sensitivities(lambda _: None, columns, found, [], 0)


def test_the_bin_of_each_value_counts_to_the_streams_counts():
    rng = np.random.default_rng(6)
    columns = {
        "x": np.where(rng.random(2000) < 0.3, 0.0, rng.normal(size=2000)),
        "c": rng.choice(["a", "b", "", *(f"r{i}" for i in range(200))], 2000).astype(object),
    }
    for stream in referenced(columns):
        values = np.concatenate(
            [columns[stream.name], np.array([np.nan, -99.0, 99.0] if stream.name == "x" else ["new", "", None], dtype=object)]
        )
        values = values.astype(float) if stream.name == "x" else values
        assert (
            np.bincount(harm.places(stream, values), minlength=stream.n_bins).tolist() == streams.bin_of(stream, values).tolist()
        )


def test_what_is_not_known_is_not_estimated():
    world = Adult(3)
    stream = world.streams[0]
    assert harm.estimate(world.table, stream, (0,) * stream.n_bins, TOLERANCE) is None
    unknown = harm.weigh([finding("age"), finding("loss")], harm.build([], {}, world.losses, {}), world.streams, {}, TOLERANCE)
    assert [each.harm for each in unknown] == [None, None]
    assert all(each.pages for each in unknown)


def test_a_table_of_losses_that_do_not_fit_is_refused():
    world = Adult(3)
    with pytest.raises(DataError, match="3 losses"):
        harm.build(world.streams, {"age": np.zeros(5)}, np.zeros(3), {})
    with pytest.raises(DataError, match="without a loss"):
        harm.build([], {}, np.full(3, np.nan), {})
    with pytest.raises(DataError, match="for 5 rows"):
        sensitivity.sensitivities(lambda _: (np.zeros(4), np.zeros(4)), {"age": np.zeros(5)}, world.streams, [], 0)


def test_the_table_is_read_as_it_was_written():
    world = Adult(4)
    raw = codec.encode(world.table)
    assert codec.decode(raw, harm.HarmTable) == world.table
    assert len(raw) < 30_000
