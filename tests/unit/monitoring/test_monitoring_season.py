"""Windows shorter than the season that they follow. Simulations with fixed seeds; longer runs are in docs/monitoring/drift.md."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from real_rows import frame

from flyball.monitoring import blocks, seasons, streams
from flyball.monitoring.drift import DriftState, accept, begin_anew, judge, streams_of
from flyball.monitoring.policy import DRIFT_SHARE, MonitorPolicy
from flyball.monitoring.reference import Reference, build
from flyball.monitoring.seasons import InTime
from flyball.monitoring.window import Window
from flyball.monitoring.window_counts import profile_of
from flyball.records import codec
from flyball.records.signature import Column, ColumnType, Signature

HOUR_US = 3_600_000_000
START = datetime(1970, 1, 1, tzinfo=UTC)
RUN_LENGTH = 20
"""Five false alarms in 100 windows."""


class Service:
    """`load` and `kind` follow the hour, `plain` does not; each window has a shock of its own, of `noise` standard deviations of a row."""

    def __init__(self, seed, *, hours=6, rows=60, noise=0.0, restless=()):
        self.rng, self.hours, self.n, self.noise, self.restless = np.random.default_rng(seed), hours, rows, noise, restless
        self.window = timedelta(hours=hours)
        kinds = {"load": ColumnType.NUMBER, "plain": ColumnType.NUMBER, "kind": ColumnType.CATEGORY, "hour": ColumnType.NUMBER}
        columns = tuple(Column(name=name, type=kind, missing=True) for name, kind in kinds.items())
        self.signature = Signature(task="regression", columns=columns)
        self.policy = MonitorPolicy(
            window=self.window, budget_windows=RUN_LENGTH * DRIFT_SHARE, min_rows=20, mature_share=0.95, label_delay=None, tolerance=0.01
        )  # fmt: skip

    def rows(self, number, warmer=0.0):
        rng = self.rng
        hours = number * self.hours % 24 + rng.integers(0, self.hours, self.n)
        season = np.sin(2 * np.pi * (hours % 24) / 24) if self.hours < 24 else np.where(number % 7 in (2, 3), 1.0, 0.0)
        calm = 0.1 if self.restless and number % (24 // self.hours) not in self.restless else 1.0
        shock = rng.normal() * self.noise * calm
        kind = np.where(rng.random(self.n) < 1 / (1 + np.exp(-2 * season)), "a", np.where(rng.random(self.n) < 0.5, "b", "c"))
        return {
            "load": 1.5 * season + shock + warmer + rng.normal(size=self.n),
            "plain": rng.normal(size=self.n),
            "kind": kind.astype(object),
            "hour": (hours % 24).astype(float),
        }

    def reference(self, windows):
        made = [self.rows(number) for number in range(windows)]
        columns = {name: np.concatenate([each[name] for each in made]) for name in made[0]}
        times = np.repeat(np.arange(windows) * self.hours * HOUR_US, self.n)
        return build(self.signature, columns, times, None, self.window, None)

    def when(self, number):
        start = START + number * self.window
        return Window(model="m", unit="u", start=start, end=start + self.window)

    def judge(self, reference, state, number, warmer=0.0):
        return judge(reference, state, profile_of(reference, self.rows(number, warmer), None), self.when(number), self.policy)

    def live(self, reference, numbers, *, warmer=0.0, state=None):
        """Subjects told in each window, and the last state."""
        state, found = state or DriftState(), []
        for number in numbers:
            reading = self.judge(reference, state, number, warmer)
            state = reading.state
            found.append([finding.subject for finding in reading.findings])
        return found, state


def without_season(reference):
    return msgspec.structs.replace(
        reference, streams=tuple(msgspec.structs.replace(stream, season=None) for stream in reference.streams)
    )


def seasons_of(reference):
    return {
        stream.name: (stream.season.period.days, len(stream.season.counts))
        for stream in reference.streams
        if stream.season is not None
    }


def test_what_follows_the_hour_is_seen_and_what_does_not_is_left_alone():
    reference = Service(1).reference(4 * 28)
    assert seasons_of(reference) == {"load": (1, 4), "kind": (1, 4), "hour": (1, 4)}
    assert "time of day (load, kind, hour)" in reference.notes[0]
    assert reference.exchangeable  # given the hour


def test_what_follows_the_day_of_the_week_is_seen():
    reference = Service(2, hours=24, noise=0.1).reference(7 * 12)
    assert seasons_of(reference) == {"load": (7, 7), "kind": (7, 7)}
    assert "day of the week (load, kind)" in reference.notes[0]


def test_hours_share_eight_slots():
    assert seasons_of(Service(3, hours=1).reference(24 * 10))["load"] == (1, 8)


@pytest.mark.parametrize("hours", [5, 48])
def test_windows_that_make_no_whole_day_or_week_have_no_season(hours):
    assert seasons_of(Service(4, hours=hours).reference(80)) == {}


def test_counts_of_slots_sum_to_the_streams():
    for stream in Service(5).reference(4 * 14).streams:
        if stream.season is not None:
            assert np.sum(stream.season.counts, axis=0).tolist() == list(stream.counts)


def test_a_shop_that_is_closed_at_night_has_fewer_slots():
    service = Service(6)
    made = {number: service.rows(number) for number in range(4 * 20) if number % 4}
    columns = {name: np.concatenate([each[name] for each in made.values()]) for name in ("load", "plain", "kind", "hour")}
    times = np.repeat(np.array(list(made)) * 6 * HOUR_US, service.n)
    assert seasons_of(build(service.signature, columns, times, None, service.window, None))["load"] == (1, 2)


@pytest.mark.parametrize("lasts", [0.0, 0.9])
def test_a_season_is_seen_where_there_is_none_in_one_reference_of_a_hundred_at_most_even_where_weather_lasts_for_days(lasts):
    found, rng, n, windows = 0, np.random.default_rng(7), 30, 4 * 21
    for _ in range(150):
        weather = rng.normal(size=(windows, 3))
        for number in range(1, windows):
            weather[number] += lasts * weather[number - 1]
        values = np.repeat(weather, n, axis=0) + rng.normal(size=(windows * n, 3))
        seen = []
        for column in values.T:
            stream = streams.bins_for_numbers("x", "feature", column)
            counts = np.array([streams.bin_of(stream, part) for part in column.reshape(windows, n)])
            seen.append((stream, InTime(np.arange(windows), counts)))
        found += bool(seasons.find(seen, timedelta(hours=6)))
    assert found <= 150 * seasons.ALPHA + 2 * np.sqrt(150 * seasons.ALPHA)


@pytest.mark.parametrize(
    ("noise", "days", "restless"), [(0.0, 28, ()), (0.3, 28, ()), (0.8, 14, (0,))], ids=["chance", "weather", "one restless slot"]
)
def test_false_alarms_stay_within_the_budget_over_draws_of_the_reference(noise, days, restless):
    alarms = windows = 0
    for seed in range(4):
        service = Service(seed, noise=noise, restless=restless)
        reference = service.reference(4 * days)
        assert "load" in seasons_of(reference)
        found, _ = service.live(reference, range(4 * days, 4 * days + 60))
        alarms, windows = alarms + sum(map(bool, found)), windows + len(found)
    budget = windows / RUN_LENGTH
    assert alarms <= budget + 2 * np.sqrt(budget)


def test_a_restless_slot_among_calm_ones_is_not_taken_for_chance():
    exchangeable = [Service(seed, noise=0.8, restless=(0,)).reference(4 * 12).exchangeable for seed in range(8)]
    assert not any(exchangeable)


@pytest.mark.parametrize(("noise", "warmer", "least"), [(0.0, 0.75, 0.8), (0.3, 1.5, 0.8)])
def test_a_jump_is_found_in_the_same_hours_and_lost_among_all(noise, warmer, least):
    service = Service(9, noise=noise)
    reference = service.reference(4 * 28)
    told = {}
    for name, known in (("slots", reference), ("all", without_season(reference))):
        _, state = service.live(known, range(4 * 28, 4 * 28 + 8))
        looks = [service.judge(known, state, 4 * 28 + 8 + place, warmer).findings for place in range(20)]
        told[name] = np.mean([any(finding.subject == "load" for finding in findings) for findings in looks])
    assert told["slots"] >= least
    assert told["all"] <= 0.2


def test_a_finding_names_the_hours_that_the_window_is_compared_with():
    service = Service(10)
    reference = service.reference(4 * 28)
    (finding,) = (each for each in service.judge(reference, DriftState(), 4 * 28 + 1, 2.0).findings if each.subject == "load")
    assert finding.words.endswith("compared with 06:00 to 12:00 UTC of other days")
    assert "one window, compared with 06:00 to 12:00 UTC of other days" in finding.evidence.note
    weekly = Service(10, hours=24).reference(7 * 12)
    assert next(each for each in weekly.streams if each.name == "load").season.words(service.when(0)) == "other Thursdays"


def test_a_lasting_shift_is_told_once_and_not_slot_by_slot():
    told = 0
    for seed in range(4):
        service = Service(seed, noise=0.2)
        reference = service.reference(4 * 28)
        found, state = service.live(reference, range(4 * 28, 4 * 28 + 40), warmer=2.0)
        told += sum("load" in subjects for subjects in found)
        assert state.streams["load"].alarms >= 1
    assert told <= 5


def test_an_outage_of_one_window_is_told_again_when_it_comes_again():
    service = Service(12)
    reference = service.reference(4 * 28)
    first, state = service.live(reference, [4 * 28], warmer=2.0)
    quiet, state = service.live(reference, range(4 * 28 + 1, 4 * 28 + 24), state=state)
    again, state = service.live(reference, [4 * 28 + 24], warmer=2.0, state=state)
    assert "load" in first[0]
    assert sum("load" in subjects for subjects in quiet) <= 1
    assert "load" in again[0]


@pytest.mark.parametrize(("word", "returns"), [(begin_anew, True), (accept, False)])
def test_the_reference_comes_back_in_each_slot_only_where_the_shift_was_not_taken_as_normal(word, returns):
    service = Service(13)
    service.policy = msgspec.structs.replace(service.policy, budget_windows=1000)
    reference = service.reference(4 * 28)
    _, state = service.live(reference, [4 * 28], warmer=2.0)
    _, state = service.live(reference, range(4 * 28 + 1, 4 * 28 + 37), state=word(state, "load"))
    assert [slot.from_reference for slot in state.streams["load"].slots] == [returns] * 4


def test_windows_of_another_length_are_compared_with_all_windows():
    service = Service(14, noise=0.2)
    reference = service.reference(4 * 28)
    longer = Window(model="m", unit="u", start=START, end=START + timedelta(days=1))
    assert streams_of(reference, longer) == reference.streams
    profile = profile_of(reference, service.rows(1), None)
    plain = judge(without_season(reference), DriftState(), profile, longer, service.policy)
    assert judge(reference, DriftState(), profile, longer, service.policy).findings == plain.findings


def test_a_reference_that_was_packaged_before_seasons_is_judged_as_it_was():
    service = Service(15)
    reference = without_season(service.reference(4 * 14))
    stored = msgspec.to_builtins(reference)
    for stream in stored["streams"]:
        del stream["season"]
    old = codec.decode(codec.encode(stored), Reference)
    assert old == reference
    profile = profile_of(old, service.rows(4 * 14), None)
    reading = judge(old, DriftState(), profile, service.when(4 * 14), service.policy)
    plain = msgspec.to_builtins(reading.state)
    for stream in plain["streams"].values():
        assert stream.pop("slots") == ()
    assert codec.decode(codec.encode(plain), DriftState) == reading.state


def test_states_replay_byte_for_byte_and_hold_a_kilobyte_or_two_a_slot():
    service = Service(16, noise=0.3)
    reference = service.reference(4 * 28)
    rows = [service.rows(number) for number in range(4 * 28, 4 * 28 + 24)]

    def replayed():
        state = DriftState()
        for place, columns in enumerate(rows):
            window = service.when(4 * 28 + place)
            state = judge(reference, state, profile_of(reference, columns, None), window, service.policy).state
        return state

    state = replayed()
    assert codec.encode(replayed()) == codec.encode(state)
    assert codec.decode(codec.encode(state), DriftState) == state
    slots = sum(len(each.slots) or 1 for each in state.streams.values())
    assert len(codec.encode(state)) < 1_800 * slots
    assert codec.decode(codec.encode(reference), Reference) == reference


def test_windows_are_told_apart_up_to_a_limit_and_where_there_are_times():
    times = np.arange(100) * HOUR_US
    found = blocks.numbered(times, timedelta(hours=6))
    assert found.numbers.tolist() == list(range(17))
    assert sum(part.size for part in found.windows) == 100
    assert blocks.numbered(None, timedelta(hours=6)) is None
    assert blocks.numbered(times, 10) is None
    assert blocks.numbered(np.arange(blocks.MOST_NUMBERED + 1), timedelta(microseconds=1)) is None


def test_traffic_of_real_weeks_is_compared_with_the_same_hours():
    """Windows of 6 hours with 60 rows, weeks shuffled as wholes: a rise of one standard deviation is found in most windows, and alarms stay within the budget."""
    table = frame("metro_traffic").drop_nulls("date_time")
    at = table["date_time"].str.to_datetime()
    value, week = table["traffic_volume"].to_numpy().astype(float), at.dt.epoch("s").to_numpy() // (7 * 86400)
    slot, rng = at.dt.hour().to_numpy() // 6, np.random.default_rng(17)
    pools = {number: [value[(week == number) & (slot == place)] for place in range(4)] for number in np.unique(week)}
    whole = [number for number, of in pools.items() if min(len(each) for each in of) >= 40]
    order = [whole[place] for place in rng.permutation(len(whole))[:14]]
    service, days = Service(17), 7 * 8
    service.signature = Signature(task="regression", columns=(Column(name="load", type=ColumnType.NUMBER),))

    def rows(number, tilt=0.0):
        pool = pools[order[number // 28]][number % 4]
        weights = np.exp(tilt * (pool - pool.mean()) / pool.std())
        return {"load": rng.choice(pool, 60, p=weights / weights.sum())}

    service.rows = lambda number, warmer=0.0: rows(number, warmer)
    made = np.concatenate([rows(number)["load"] for number in range(4 * days)])
    times = np.repeat(np.arange(4 * days) * 6 * HOUR_US, 60)
    reference = build(service.signature, {"load": made}, times, None, service.window, None)
    assert seasons_of(reference) == {"load": (1, 4)}
    state, alarms, told = DriftState(), 0, []
    for number in range(4 * days, 4 * days + 160):
        if number % 5 == 0:
            told.append(bool(service.judge(reference, state, number, 1.0).findings))
        reading = service.judge(reference, state, number)
        state, alarms = reading.state, alarms + bool(reading.findings)
    assert alarms <= 8 + 2 * np.sqrt(8)
    assert np.mean(told) >= 0.6
