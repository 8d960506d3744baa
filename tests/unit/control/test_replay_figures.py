"""The figures of a replay: by the calendar asked for, every month alike, nothing that is not defined."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from flyball.control.replay_figures import Outcomes, alone_figures, drift_map, figures_by, governed_figures, spans_of
from flyball.control.replay_metrics import measured, metric_of
from flyball.control.replay_report import ReplayReport
from flyball.records import codec

START = datetime(2013, 3, 1, 5, tzinfo=UTC)
ZONE = "America/New_York"


@pytest.fixture(scope="module")
def outcomes() -> Outcomes:
    generator = np.random.default_rng(3)
    n = 4_000
    times = pl.Series("time", [START + timedelta(minutes=22 * i) for i in range(n)], dtype=pl.Datetime("us", "UTC"))
    truth = generator.uniform(size=n)
    labels = (generator.uniform(size=n) < truth).astype(np.int64)
    noisy = np.clip(truth + generator.normal(0, 0.4, n), 0.01, 0.99)
    units = pl.Series("unit", ["v1"] * (n // 2) + ["v2"] * (n - n // 2))
    return Outcomes(times, labels, noisy[:, None], truth[:, None], units)


def test_months_are_those_of_the_zone_asked_for() -> None:
    times = pl.Series(
        "t", [datetime(2013, 4, 1, 3, tzinfo=UTC), datetime(2013, 4, 1, 5, tzinfo=UTC)], dtype=pl.Datetime("us", "UTC")
    )
    assert spans_of(times, "month", ZONE).to_list() == ["2013-03", "2013-04"]
    assert spans_of(times, "week", ZONE).to_list() == ["2013-03-25", "2013-04-01"]


@pytest.mark.parametrize(
    ("zone", "noon", "monday"),
    [("America/Santiago", datetime(2022, 9, 11, 15, tzinfo=UTC), "2022-09-05"), ("Africa/Cairo", datetime(2023, 4, 28, 9, tzinfo=UTC), "2023-04-24")],
)  # fmt: skip
def test_a_day_that_has_no_midnight_is_a_day(zone: str, noon: datetime, monday: str) -> None:
    """Summer time begins with it."""
    times = pl.Series("t", [noon], dtype=pl.Datetime("us", "UTC"))
    found = {calendar: spans_of(times, calendar, zone).item() for calendar in ("day", "week", "month")}
    assert found == {"day": f"{noon:%Y-%m-%d}", "week": monday, "month": f"{noon:%Y-%m}"}


def test_every_row_falls_into_one_month_and_the_area_is_that_of_its_rows(outcomes: Outcomes) -> None:
    months = figures_by("month", "binary", outcomes, ZONE)
    assert [month.start for month in months] == ["2013-03", "2013-04", "2013-05"]
    assert sum(month.n for month in months) == 4_000
    march = (spans_of(outcomes.times, "month", ZONE) == "2013-03").to_numpy()
    expected = roc_auc_score(outcomes.labels[march], outcomes.governed[march, 0])
    assert months[0].governed.roc_auc == pytest.approx(expected)
    assert months[0].governed.lower < expected < months[0].governed.upper
    assert months[0].answered_by == {"v1": int(march[:2000].sum())} | (
        {"v2": int(march[2000:].sum())} if march[2000:].any() else {}
    )


def test_every_month_counts_alike(outcomes: Outcomes) -> None:
    months = figures_by("month", "binary", outcomes, ZONE)
    governed = governed_figures(months, retrainings=3)
    assert governed.mean_monthly_roc_auc == pytest.approx(np.mean([month.governed.roc_auc for month in months]))
    assert governed.mean_monthly_roc_auc > alone_figures(months).mean_monthly_roc_auc
    assert governed.mean_monthly_mae is None


def test_a_single_class_has_no_area_and_still_a_log_loss(outcomes: Outcomes) -> None:
    day = outcomes._replace(labels=np.zeros(4_000, np.int64))
    months = figures_by("month", "binary", day, ZONE)
    assert months[0].alone.roc_auc is None
    assert months[0].alone.log_loss is not None
    assert alone_figures(months).mean_monthly_roc_auc is None


def test_a_single_row_of_a_class_has_an_area_without_an_interval(outcomes: Outcomes) -> None:
    labels = np.zeros(4_000, np.int64)
    labels[0] = 1
    march = figures_by("month", "binary", outcomes._replace(labels=labels), ZONE)[0]
    assert march.alone.roc_auc is not None
    assert march.alone.lower is None


def test_regression_is_measured_by_its_absolute_error(outcomes: Outcomes) -> None:
    months = figures_by("month", "regression", outcomes._replace(labels=outcomes.governed[:, 0] + 2.0), ZONE)
    assert months[0].governed.mae == pytest.approx(2.0)
    assert months[0].governed.roc_auc is None


def test_several_classes_have_an_area_without_an_interval(outcomes: Outcomes) -> None:
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], 4_000)
    march = figures_by(
        "month", "multiclass", outcomes._replace(labels=np.arange(4_000) % 3, alone=scores, governed=scores), ZONE
    )[0]
    assert 0.4 < march.governed.roc_auc < 0.6
    assert march.governed.upper is None


def test_the_drift_map_is_the_mean_of_the_windows_of_a_week() -> None:
    days = [(START + timedelta(days=d), {"temp": 0.1 * d, "prediction": 0.5}) for d in range(4)]  # Friday to Monday
    found = drift_map([*days, (START + timedelta(days=20), {"visib": 1.0})], ["visib", "temp", "never_seen"], ZONE)
    assert found.features == ("visib", "temp", "prediction")
    assert found.weeks == ("2013-02-25", "2013-03-04", "2013-03-18")
    assert found.distances[0] == (None, None, 1.0)
    assert found.distances[1] == pytest.approx((0.1, 0.3, None))
    assert drift_map([], ["temp"], ZONE).features == ()


def test_the_report_is_written_without_nan(outcomes: Outcomes) -> None:
    months = figures_by("month", "binary", outcomes, ZONE)
    report = ReplayReport(
        project="p", model="m", task="binary", metric="roc_auc", since="a", until="b", requests=1, predictions=1, failed_requests=0,
        labels_sent=1, labels_joined=1, decisions=0, decisions_replayed_equal=0, wall_seconds=1.0, months=months,
        alone=alone_figures(months), governed=governed_figures(months, retrainings=0),
    )  # fmt: skip
    assert codec.decode(codec.encode(report), ReplayReport) == report


def test_the_declared_metric_leads_and_is_measured() -> None:
    assert [metric_of(task, None) for task in ("binary", "multiclass", "regression")] == ["roc_auc", "log_loss", "mae"]
    assert metric_of("binary", "brier") == "brier"
    assert measured("binary", "brier") == ("brier", "roc_auc", "log_loss", "accuracy")


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "f1"])
def test_whatever_metric_is_declared_has_a_mean_of_its_months(outcomes: Outcomes, metric: str) -> None:
    months = figures_by("month", "binary", outcomes, ZONE, metrics=measured("binary", metric))
    mean = getattr(governed_figures(months, retrainings=0), f"mean_monthly_{metric}")
    assert mean == pytest.approx(np.mean([getattr(month.governed, metric) for month in months]))


def mapped(outcomes: Outcomes) -> Outcomes:
    """The same order within each of two units, the second of which takes over amid April and answers scores in the upper half."""
    late = np.arange(4_000) >= 3_000
    governed = np.where(late[:, None], 0.5 + outcomes.governed / 2, outcomes.governed / 2)
    return outcomes._replace(governed=governed, alone=outcomes.governed, units=pl.Series(np.where(late, "v2", "v1")))


def test_a_map_within_a_month_moves_the_area_of_all_its_answers_and_not_that_of_each_unit(outcomes: Outcomes) -> None:
    outcomes = mapped(outcomes)
    april = figures_by("month", "binary", outcomes, ZONE)[1]
    assert len(april.answered_by) == 2
    assert april.governed.roc_auc < april.alone.roc_auc - 0.05
    assert april.governed.by_unit == pytest.approx(april.alone.by_unit), "the same rows are ranked, each by one unit"
    rows = (spans_of(outcomes.times, "month", ZONE) == "2013-04").to_numpy()
    shares = [(rows & (outcomes.units == unit).to_numpy()) for unit in ("v1", "v2")]
    areas = [roc_auc_score(outcomes.labels[mine], outcomes.alone[mine, 0]) for mine in shares]
    assert april.governed.by_unit == pytest.approx(np.average(areas, weights=[mine.sum() for mine in shares]))


def test_where_one_unit_answered_its_area_is_that_of_all_answers(outcomes: Outcomes) -> None:
    april = figures_by("month", "binary", outcomes, ZONE)[1]
    assert april.answered_by.keys() == {"v2"}
    assert april.governed.by_unit == pytest.approx(april.governed.roc_auc)


def test_the_accuracy_is_of_the_answers_as_each_was_given(outcomes: Outcomes) -> None:
    thresholds = np.where((outcomes.units == "v2").to_numpy(), 0.8, 0.5)
    months = figures_by("month", "binary", outcomes._replace(alone=outcomes.governed, thresholds=thresholds), ZONE)
    right = (outcomes.governed[:, 0] >= thresholds) == outcomes.labels
    assert sum(month.n * month.governed.accuracy for month in months) == pytest.approx(right.sum())
    plain = (outcomes.governed[:, 0] >= 0.5) == outcomes.labels
    assert sum(month.n * month.alone.accuracy for month in months) == pytest.approx(plain.sum())
    assert months[2].governed.log_loss == months[2].alone.log_loss, "which no threshold moves"


def test_who_answered_alike_in_another_order_is_told_alike(outcomes: Outcomes) -> None:
    back = np.arange(4_000)[::-1]
    other = Outcomes(outcomes.times[back.tolist()], *(each[back] for each in outcomes[1:4]), outcomes.units[back.tolist()])
    assert figures_by("month", "binary", other, ZONE) == figures_by("month", "binary", outcomes, ZONE)
