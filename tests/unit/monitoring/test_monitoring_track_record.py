import numpy as np

from flyball.monitoring.track_record import DISTRUST, REMEMBERED, TrackRecord, kept, recorded
from flyball.records import codec
from flyball.records.evidence import Evidence


def said(lower=0.1, upper=0.3):
    return {"brier": Evidence(name="brier", value=0.2, lower=lower, upper=upper, alpha=0.05, n=90)}


def came(value):
    return {"brier": Evidence(name="brier", value=value)}


def after(values):
    record = TrackRecord()
    for number, value in enumerate(values):
        record = recorded(record, f"w{number}", said(), came(value))
    return record


def test_intervals_that_keep_their_word_are_believed():
    rng = np.random.default_rng(1)
    withheld = 0
    for _ in range(2_000):
        record = TrackRecord(held={"brier": tuple(rng.random(30) > 0.05)})
        withheld += kept(record, said())["brier"].value is None
    assert withheld / 2_000 <= DISTRUST + 3 * (DISTRUST * (1 - DISTRUST) / 2_000) ** 0.5


def test_three_misses_in_a_row_are_enough_and_the_reason_is_told():
    assert kept(after([0.9]), said()) == said()
    told = kept(after([0.9, 0.8, 0.9]), said())["brier"]
    assert (told.value, told.lower, told.upper, told.n) == (None, None, None, 90)
    assert "of 3 windows completed before, 3 missed" in told.note


def test_good_windows_win_trust_back():
    assert kept(after([0.9] * 3 + [0.2] * REMEMBERED), said()) == said()


def test_a_window_counts_once_and_what_has_no_value_does_not():
    once = after([0.9])
    assert recorded(once, "w0", said(), came(0.9)) == once
    assert recorded(TrackRecord(), "w", said(), came(None)).held == {}
    assert recorded(TrackRecord(), "w", said(None, None), came(0.2)).held == {}
    assert recorded(TrackRecord(), "w", said(), {}).held == {}


def test_it_travels_in_the_ledger():
    record = after([0.9, 0.2])
    assert codec.decode(codec.encode(record), TrackRecord) == record
