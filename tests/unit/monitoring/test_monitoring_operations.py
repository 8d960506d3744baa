"""Simulations with fixed seeds. The budget of operations here: one false alarm in 200 windows or more, all signals together."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from monitored_world import POLICY

from flyball.monitoring.operations import DEFINITION, REDEFINED, WEIGHTS, Measures, OperationsState, judge
from flyball.monitoring.track import clock_of, is_ready
from flyball.monitoring.window import Window
from flyball.records import codec
from flyball.records.findings import FindingKind

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
BUDGET = msgspec.structs.replace(POLICY, budget_windows=20)
WARM_HOURS, WARM_DAYS = 28 * 24, 45


def window(number, hours=1):
    return Window(
        model="m", unit="u1", start=MONDAY + timedelta(hours=hours * number), end=MONDAY + timedelta(hours=hours * (number + 1))
    )


class Service:
    """A day, a weekend, growth, more than Poisson noise, neighbours alike; faults on demand."""

    def __init__(self, seed, *, hours=1, base=2000, rho=0.5, spread=0.08, growth=0.003, heavy=False):
        self.rng, self.z = np.random.default_rng(seed), 0.0
        self.hours, self.base, self.rho, self.spread, self.growth, self.heavy = hours, base, rho, spread, growth, heavy

    def measures(self, number, *, traffic=1.0, slower=1.0, failing=0.01):
        rng, hour, day = self.rng, number * self.hours % 24, number * self.hours // 24
        noise = rng.standard_t(3) / 1.7 if self.heavy else rng.normal()
        self.z = self.rho * self.z + np.sqrt(1 - self.rho**2) * noise * self.spread
        season = (1 + 0.8 * np.sin(2 * np.pi * (hour - 8) / 24) if self.hours < 24 else 1.0) * (0.6 if day % 7 >= 5 else 1.0)
        n = int(rng.poisson(traffic * self.base * season * np.exp(self.growth * day + self.z)))
        latency = slower * np.exp(8 + 0.05 * rng.normal() + 0.6 * rng.normal(size=min(n, 200)))
        return Measures(
            requests=n, failures=int(rng.binomial(n, failing * np.exp(0.1 * rng.normal()))), latencies_us=tuple(latency.astype(int).tolist()),
            missing=int(rng.binomial(10 * n, 0.02)), values=10 * n, labels=int(rng.poisson(0.8 * n)), label_delay_us=int(8e10 * np.exp(0.05 * rng.normal())),
        )  # fmt: skip


def live(service, numbers, state=None, **fault):
    """Findings per window, and the last state."""
    state, found = state or OperationsState(), []
    for number in numbers:
        reading = judge(state, service.measures(number, **fault), window(number, service.hours), BUDGET)
        state = reading.state
        found.append(reading)
    return found, state


@pytest.mark.parametrize(
    ("how", "windows"),
    [
        ({}, 1500),
        ({"rho": 0.8, "spread": 0.14}, 1500),
        ({"heavy": True, "growth": 0.01}, 1500),
        ({"base": 10, "rho": 0.3}, 1500),
        ({"hours": 24}, 400),
        ({"hours": 24, "heavy": True}, 400),
    ],
    ids=["hours", "neighbours alike", "heavy tails and growth", "few requests", "days", "days with heavy tails"],
)
def test_without_anomaly_alarms_stay_within_the_budget(how, windows):
    alarms = judged = 0
    for seed in range(2):
        found, _ = live(Service(seed, **how), range(windows))
        judged += sum(not reading.note for reading in found)
        alarms += sum(bool(reading.findings) for reading in found)
    assert judged > 0.4 * 2 * windows  # quantiles of few latencies learn longer
    # measured over 2,880 to 8,068 windows each at a budget of one in 180: one alarm in 370 to 960
    assert alarms / judged <= 1 / BUDGET.run_length("operations") + 2 * np.sqrt(1 / BUDGET.run_length("operations") / judged)


@pytest.mark.parametrize(("hours", "warm"), [(1, WARM_HOURS + 100), (24, WARM_DAYS + 30)])
@pytest.mark.parametrize(
    ("fault", "within", "signals"),
    [
        ({"traffic": 0.0}, 1, {"requests", "labels"}),
        ({"traffic": 0.5}, 4, {"requests", "labels"}),
        ({"slower": 2.0}, 2, {"latency_median", "latency_p99"}),
        ({"failing": 0.03}, 3, {"failures"}),
    ],
    ids=["outage", "half of the traffic", "twice the latency", "three times the failures"],
)
def test_a_fault_is_found_within_few_windows_and_named(hours, warm, fault, within, signals):
    for seed in range(3):
        service = Service(seed, hours=hours)
        _, state = live(service, range(warm))
        found, _ = live(service, range(warm, warm + within), state, **fault)
        named = [finding for reading in found for finding in reading.findings]
        assert named, seed
        assert {finding.subject for finding in named} <= signals
        assert all(finding.kind is FindingKind.OPERATIONS and finding.pages for finding in named)
        assert named[0].changed_since >= window(warm - 1, hours).start


def test_an_outage_is_told_in_the_words_of_its_hour():
    service = Service(4)
    _, state = live(service, range(WARM_HOURS + 14))
    found, _ = live(service, range(WARM_HOURS + 14, WARM_HOURS + 15), state, traffic=0.0)
    (finding,) = [finding for finding in found[0].findings if finding.subject == "requests"]
    assert finding.words.startswith("0 rows asked for, at this hour of a Monday usually ")
    assert finding.effect == 0.0
    assert finding.effect_unit == "times the usual"
    assert found[0].usual["requests"].lower > 1000


def test_an_anomaly_is_told_once_a_worse_one_again_and_its_end_ends_it():
    service = Service(5)
    _, state = live(service, range(WARM_HOURS + 50))
    at = WARM_HOURS + 50
    halved, state = live(service, range(at, at + 20), state, traffic=0.4)
    gone, state = live(service, range(at + 20, at + 23), state, traffic=0.0)
    calm, state = live(service, range(at + 23, at + 60), state)
    told = [sum(f.subject == "requests" for reading in part for f in reading.findings) for part in (halved, gone, calm)]
    assert told == [1, 1, 0]
    assert state.tracks["requests"].told == 0.0


def test_what_lasts_a_week_is_what_is_usual():
    service = Service(6)
    _, state = live(service, range(WARM_HOURS + 50))
    service.base /= 3
    found, state = live(service, range(WARM_HOURS + 50, WARM_HOURS + 50 + 400), state)
    told = [number for number, reading in enumerate(found) for f in reading.findings if f.subject == "requests"]
    assert len(told) <= 2
    usual = found[-1].usual["requests"]
    assert usual.lower < usual.value * 1.5
    assert usual.upper > usual.value / 1.5


def test_more_traffic_is_shown_and_pages_nobody():
    service = Service(7)
    _, state = live(service, range(WARM_HOURS + 50))
    found, _ = live(service, range(WARM_HOURS + 50, WARM_HOURS + 56), state, traffic=4.0)
    risen = [finding for reading in found for finding in reading.findings if finding.subject == "requests"]
    assert risen
    assert not any(finding.pages for finding in risen)


def test_faster_answers_and_fewer_failures_are_nothing():
    service = Service(8)
    _, state = live(service, range(WARM_HOURS + 50))
    found, _ = live(service, range(WARM_HOURS + 50, WARM_HOURS + 80), state, slower=0.3, failing=0.0)
    assert not any(reading.findings for reading in found)


def test_a_gap_is_not_zero_traffic():
    service = Service(9)
    _, state = live(service, range(WARM_HOURS + 50))
    unknown = Measures(requests=None, failures=None)
    for number in range(WARM_HOURS + 50, WARM_HOURS + 74):
        reading = judge(state, unknown, window(number), BUDGET)
        state = reading.state
        assert not reading.findings
    found, _ = live(service, range(WARM_HOURS + 80, WARM_HOURS + 104), state)  # six windows were not judged at all
    assert not any(reading.findings for reading in found)


def test_nothing_is_said_while_it_learns_and_that_is_shown():
    service = Service(10)
    found, state = live(service, range(24 * 20))
    assert not any(reading.findings for reading in found)
    assert "still learning what is usual: requests (192 more windows)" in found[-1].note
    assert found[-1].usual["requests"].lower is None
    outage, _ = live(service, range(24 * 20, 24 * 20 + 5), state, traffic=0.0)
    assert not any(reading.findings for reading in outage)


def test_a_service_that_never_failed_alarms_at_its_first_real_failures():
    service = Service(11)
    _, state = live(service, range(WARM_HOURS + 50), failing=0.0)
    found, _ = live(service, range(WARM_HOURS + 50, WARM_HOURS + 52), state, failing=0.1)
    assert "failures" in {finding.subject for reading in found for finding in reading.findings}


def test_what_another_definition_counted_is_learned_anew_and_nothing_else_is():
    """A service that turned a tenth away every day, which was no failure then."""
    service = Service(14)
    _, state = live(service, range(WARM_HOURS + 50), failing=0.0)
    assert "failures" in {
        each.subject
        for reading in live(service, range(WARM_HOURS + 50, WARM_HOURS + 53), state, failing=0.1)[0]
        for each in reading.findings
    }
    older = codec.decode(codec.encode(msgspec.structs.replace(state, definition=0)), OperationsState)
    found, after = live(service, range(WARM_HOURS + 50, WARM_HOURS + 60), older, failing=0.1)
    assert not any(reading.findings for reading in found)
    assert after.learning.startswith("still learning what is usual: requests (")
    assert all((after.tracks[name].baseline is None) == (name in REDEFINED) for name in WEIGHTS)
    assert after.definition == DEFINITION


@pytest.mark.parametrize(
    "width", [timedelta(minutes=5), timedelta(hours=6), timedelta(hours=5), timedelta(days=2), timedelta(days=7)]
)
def test_windows_of_any_length_have_a_baseline(width):
    rng, state, note = np.random.default_rng(12), OperationsState(), "?"
    n = 6048 + 300 if width < timedelta(hours=1) else 210
    for number in range(n):
        at = Window(model="m", unit="u", start=MONDAY + number * width, end=MONDAY + (number + 1) * width)
        reading = judge(state, Measures(requests=int(rng.poisson(500)), failures=None), at, BUDGET)
        state, note = reading.state, reading.note
    assert note == ""
    assert 400 < reading.usual["requests"].lower < reading.usual["requests"].upper < 600


def test_judging_is_the_same_byte_for_byte_once_and_small():
    found, state = live(Service(13), range(WARM_HOURS + 30))
    again, once_more = live(Service(13), range(WARM_HOURS + 30))
    assert codec.encode((found[-1], state)) == codec.encode((again[-1], once_more))
    assert codec.decode(codec.encode(state), OperationsState) == state
    assert len(codec.encode(state)) < 30_000
    second = judge(state, Service(13).measures(0), window(WARM_HOURS + 29), BUDGET)
    assert second.state == state
    assert "judged before" in second.note


def test_shares_of_the_budget_sum_to_one():
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)
    assert msgspec.json.encode(Measures(requests=None, failures=None))


@pytest.mark.parametrize("hours", [5, 9, 10, 36, 48])
def test_the_season_of_windows_that_do_not_divide_a_day_or_a_week_is_learned(hours):
    """Of traffic that varies by nothing but hour and weekday little is left to be surprised by."""

    def expected(number):
        half_hours = MONDAY + timedelta(hours=hours * number), 2 * hours
        moments = [half_hours[0] + timedelta(minutes=15 + 30 * each) for each in range(half_hours[1])]
        return sum(500 * np.exp(np.sin(np.pi * at.hour / 12)) * (0.5 if at.weekday() >= 5 else 1.0) for at in moments)

    rng, state, alarms, tested = np.random.default_rng(20261128), OperationsState(), 0, 0
    for number in range(300 * 24 // hours):
        reading = judge(
            state, Measures(requests=int(rng.poisson(expected(number))), failures=None), window(number, hours), BUDGET
        )
        state, alarms = reading.state, alarms + len(reading.findings)
        tested += is_ready(state.tracks["requests"], clock_of(window(number, hours)))
    baseline = state.tracks["requests"].baseline
    assert baseline.scale < 0.06
    assert tested > 100
    assert alarms <= 1 + tested / 180


def test_slots_that_an_earlier_release_made_are_learned_anew():
    state = OperationsState()
    for number in range(120):
        state = judge(state, Measures(requests=1000, failures=None), window(number, 10), BUDGET).state
    of_then = msgspec.structs.replace(state.tracks["requests"].baseline, day=(0.0,) * 2, week=(0.0,) * 14)
    track = msgspec.structs.replace(state.tracks["requests"], baseline=of_then)
    earlier = msgspec.structs.replace(state, tracks={**state.tracks, "requests": track})
    reading = judge(earlier, Measures(requests=1000, failures=None), window(120, 10), BUDGET)
    assert reading.findings == ()
    assert reading.state.tracks["requests"].baseline is None
