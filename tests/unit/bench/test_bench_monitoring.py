"""The bench of the monitors, on rows that are made up here: what it promises of its own streams, changes and counts. No peer, no data, no time."""

import math
from datetime import timedelta
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from bench.monitoring import calibration, changes, injections, intervals, nulls, peers, power
from bench.monitoring.calibration import Cell
from bench.monitoring.data import Absent, Table, load
from bench.monitoring.frames import START, Frame
from bench.monitoring.kept import Kept
from bench.monitoring.nulls import Size
from bench.monitoring.subjects import Flyball, Random, Textbook

HOUR = timedelta(hours=1) // timedelta(microseconds=1)


def made_up(n: int = 6_000, seed: int = 0) -> Frame:
    draw = np.random.default_rng(seed)
    number = np.round(draw.gamma(3.0, 20.0, size=n))
    columns = {
        "number": number,
        "other": np.round(0.5 * number + draw.normal(scale=20.0, size=n)),
        "word": draw.choice(np.asarray(["a", "b", "c", "d"], dtype=object), p=[0.5, 0.2, 0.2, 0.1], size=n),
    }
    score = 1.0 / (1.0 + np.exp(-(number - 60.0) / 30.0))
    return Frame(columns, score, (draw.random(n) < score).astype(float))


def rows_of(frame: Frame) -> set[tuple[object, ...]]:
    return set(zip(*(frame.seen[name].tolist() for name in frame.seen), frame.label.tolist(), strict=True))


def numbered(n: int) -> Frame:
    """Every row can be told from every other."""
    return Frame({"row": np.arange(float(n))}, np.linspace(0.0, 1.0, n), np.zeros(n))


class TestNullStreams:
    def test_where_rows_suffice_reference_and_windows_share_none(self) -> None:
        drawn = nulls.null(Table("t", numbered(1_000)), Size(1, 50, 400), 12, seed=1)
        parts = [drawn.stream.past.reference, *map(drawn.stream.make, range(12))]
        assert drawn.how == "permuted"
        assert len(set().union(*map(rows_of, parts))) == sum(map(len, parts)) == 1_000

    def test_where_they_do_not_it_is_said_that_they_are_drawn_with_replacement(self) -> None:
        assert nulls.null(Table("t", numbered(1_000)), Size(1, 50, 400), 13, seed=1).how == "with replacement"

    def test_the_same_window_is_the_same_rows_whenever_it_is_asked_for(self) -> None:
        stream = nulls.null(Table("t", numbered(100)), Size(1, 50, 400), 13, seed=1).stream
        later = stream.make(7)
        stream.make(3)
        assert np.array_equal(stream.make(7).columns["row"], later.columns["row"])
        assert not np.array_equal(stream.make(8).columns["row"], later.columns["row"])

    def test_shuffled_weeks_keep_every_row_at_its_own_hour_of_the_week(self) -> None:
        hours = np.arange(20 * 168) + 168 * 1_000 - 72  # Mondays
        frame = numbered(hours.size).at(hours.astype(np.int64) * HOUR)
        weeks = tuple(np.split(np.arange(hours.size), 20))
        stream = nulls.null(Table("t", frame, weeks), Size(1, 168, 840), 5, seed=2).stream
        for number in range(5):
            window = stream.make(number)
            assert window.event_us is not None
            since = (window.event_us - round(stream.start(number).timestamp() * 1e6)) // HOUR
            assert since.tolist() == list(range(168))
            assert (window.columns["row"] % 168).tolist() == list(range(168))

    def test_copies_of_hourly_columns_keep_their_hour_and_take_the_week_of_another(self) -> None:
        hours = np.arange(20 * 168) + 168 * 1_000 - 72
        frame = numbered(hours.size).at(hours.astype(np.int64) * HOUR)
        table = Table("t", frame, tuple(np.split(np.arange(hours.size), 20)))
        copied = nulls.pool_of(table, Size(3, 168, 840)).columns
        for name in ("row#2", "row#3"):
            assert (copied[name] % 168 == copied["row"] % 168).all()
            weeks = (copied[name] // 168).reshape(20, 168)
            assert (weeks == weeks[:, :1]).all()
            assert sorted(weeks[:, 0].tolist()) == list(range(20))
        assert (copied["row#2"] != copied["row#3"]).mean() > 0.5

    def test_a_reference_ends_where_the_stream_begins(self) -> None:
        past = nulls.null(Table("t", numbered(1_000)), Size(1, 50, 400), 5, seed=1).stream.past
        assert past.reference.event_us is not None
        assert past.reference.event_us.max() < START.timestamp() * 1e6


class TestChanges:
    @pytest.mark.parametrize("shift", [0.05, 0.5, 1.0])
    def test_a_tilt_moves_the_mean_by_what_it_says(self, shift: float) -> None:
        values = made_up().columns["number"]
        moved = float(injections.tilt(values, shift) @ values)
        assert moved == pytest.approx(values.mean() + shift * values.std(), rel=1e-6)

    def test_a_share_grows_by_its_points(self) -> None:
        words = made_up().columns["word"]
        weights = injections.share(words, "b", 10.0)
        assert weights.sum() == pytest.approx(1.0)
        assert weights[words == "b"].sum() == pytest.approx((words == "b").mean() + 0.10)

    def test_no_change_makes_a_number_or_a_score_that_never_was_but_a_unit_and_a_new_word(self) -> None:
        frame, draw = injections.with_noise(made_up()), np.random.default_rng(0)
        for change in injections.changes_of(frame):
            rows = change.make(3, 500, draw)
            strange = {
                name for name in frame.seen if not set(rows.seen[name].tolist()) - {math.nan} <= set(frame.seen[name].tolist())
            }
            strange -= (
                {name for name in strange if np.isnan(rows.seen[name].astype(float)).any()} if "missing" in change.name else set()
            )
            allowed = any(word in change.name for word in ("unit", "new word", "swapped"))
            assert not strange or (allowed and strange <= change.right), change.name

    def test_a_permuted_column_keeps_its_values_and_loses_its_companion(self) -> None:
        frame = injections.with_noise(made_up())
        change = next(each for each in injections.changes_of(frame) if "permuted" in each.name)
        rows = change.make(0, 5_000, np.random.default_rng(1))
        before = np.corrcoef(frame.columns["number"], frame.columns["other"])[0, 1]
        after = np.corrcoef(rows.columns["number"], rows.columns["other"])[0, 1]
        assert before > 0.5
        assert abs(after) < 0.05

    def test_a_moved_score_keeps_the_order_of_the_rows(self) -> None:
        frame = injections.with_noise(made_up())
        change = next(each for each in injections.changes_of(frame) if each.name.startswith("score +0.3"))
        moved = change.make(0, 4_000, np.random.default_rng(1))
        order = np.argsort(moved.columns["number"], kind="stable")
        assert (np.diff(moved.score[order]) >= 0).all()
        assert moved.score.mean() - frame.score.mean() == pytest.approx(0.3 * frame.score.std(), abs=0.02)


class TestCounts:
    def test_the_exact_bound_is_that_of_clopper_and_pearson(self) -> None:
        assert intervals.upper(0, 299) == pytest.approx(1.0 - 0.05 ** (1 / 299))
        assert intervals.lower(5, 100) == pytest.approx(0.0199, abs=2e-4)
        assert intervals.upper(10, 10) == 1.0

    @pytest.mark.parametrize(
        ("alarms", "windows", "verdict"),
        [(0, 1_000, "met"), (200, 1_000, "MISSED"), (10, 1_000, "too few windows to say"), (0, 0, "")],
    )
    def test_a_verdict_needs_windows_enough(self, alarms: int, windows: int, verdict: str) -> None:
        cell = Cell("t", Size(1, 1, 1), "", "s", 1.0, [(alarms, windows)] if windows else [])
        assert cell.verdict == verdict

    @pytest.mark.parametrize(("allowed", "knob"), [(0, None), (1, 1.0), (5, 2.0), (99, 3.0)])
    def test_a_detector_is_set_as_sensitive_as_its_false_alarms_allow(self, allowed: float, knob: float | None) -> None:
        assert changes.most_sensitive((1.0, 2.0, 3.0), allowed, {1.0: 1, 2.0: 5, 3.0: 20}.__getitem__) == knob

    def test_all_subjects_are_judged_on_the_same_null_windows(self) -> None:
        plan = calibration.Plan((), (), draws=2, windows=30, peer_draws=0, peer_windows=0)
        table, size = Table("t", made_up()), Size(3, 100, 500)
        of_draws = [calibration.on_draw(table, calibration.Part("t", size, draw), plan, []) for draw in range(2)]
        cells = calibration.together(chain.from_iterable(of_draws))
        assert {cell.windows for cell in cells} == {60}
        of = {(cell.subject, cell.budget): cell for cell in cells}
        assert of["never alarms", 0.0].alarms == 0
        assert 0 < of["alarms at random", 5].alarms + of["alarms at random", 1].alarms < 20
        assert of["Flyball", 5].alarms < 20

    def test_a_size_is_left_out_where_a_table_has_not_so_many_rows(self) -> None:
        plan = calibration.Plan((), (Size(5, 100, 500), Size(5, 100, 5_000), Size(5, 10_000, 500)), 2, 100, 0, 0)
        found = calibration.parts(plan, {"small": 4_800, "large": 9_600})
        assert [(part.table, part.size.reference_rows, part.size.window_rows, part.draw) for part in found] == [
            (table, rows, window, draw)
            for draw in (0, 1)
            for table, rows, window in (
                ("small", 500, 100), ("large", 500, 100), ("small", 5_000, 100), ("large", 5_000, 100), ("large", 500, 10_000),
            )
        ]  # fmt: skip

    def test_a_run_that_was_ended_goes_on_where_it_was(self, tmp_path: Path) -> None:
        file = tmp_path / "kept.jsonl"
        kept = Kept(file)
        assert [kept.get(name, lambda name=name: [name]) for name in "ab"] == [["a"], ["b"]]
        with file.open("a") as torn:
            torn.write('{"of": "c", "to')
        out_of_time = Kept(file, minutes=0.0)
        assert [out_of_time.get(name, pytest.fail) for name in "abc"] == [["a"], ["b"], None]
        Kept(file).get("c", lambda: ["c"])
        assert [Kept(file, minutes=0.0).get(name, pytest.fail) for name in "abc"] == [["a"], ["b"], ["c"]]

    def test_data_that_are_not_there_are_skipped_with_their_path(self, tmp_path: Path) -> None:
        with pytest.raises(Absent, match="adult_iid_pool"):
            load(tmp_path, "adult")

    def test_peers_that_are_not_there_are_skipped_with_what_makes_them(self, tmp_path: Path) -> None:
        found, skipped = peers.present(tmp_path, ["evidently"])
        assert not found
        assert "python -m bench.monitoring setup" in skipped["evidently"]


class TestPower:
    def test_a_large_shift_is_seen_and_named_by_whoever_looks(self) -> None:
        plan = power.Plan((), 500, 2_000, 5.0, draws=1, replays=1, calibration=20, before=5, after=3)
        told = power.on_table(Table("t", made_up()), plan, [])
        lines = {(line.change, line.subject): line for line in power.lines(told, (1, 3))}
        shift = "mean of number +0.5 SD"
        for subject in ("Flyball, as it comes", "chi-square, Bonferroni, as it comes"):
            assert lines[shift, subject].within[3] == 1.0
            assert lines[shift, subject].first_right == 1.0
        by_chance = [line.within[3] for (_, subject), line in lines.items() if subject == "alarms at random, as it comes"]
        assert sum(by_chance) / len(by_chance) < 0.5

    def test_whoever_remembers_can_be_played_forward_twice_from_one_past(self) -> None:
        stream = nulls.null(Table("t", made_up()), Size(3, 200, 1_000), 6, seed=1).stream
        watch = Flyball(20.0).watch(stream.past)
        watch.look([stream.make(0)])
        first, second = watch.fork().look([stream.make(1)]), watch.fork().look([stream.make(1)])
        assert first[0].alarmed == second[0].alarmed
        assert np.array_equal(first[0].scores, second[0].scores)

    def test_dummies_and_textbook_need_no_peer(self) -> None:
        stream = nulls.null(Table("t", made_up()), Size(3, 200, 1_000), 40, seed=1).stream
        windows = [stream.make(number) for number in range(40)]
        assert sum(look.alarmed for look in Random(0.5).watch(stream.past).look(windows)) > 5
        assert sum(look.alarmed for look in Textbook(0.05).watch(stream.past).look(windows)) < 12
