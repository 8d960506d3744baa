"""Policies side by side: what each came to, and what was lost to the best of each month."""

import msgspec
import numpy as np
import pytest

from flyball.control.replay_comparison import Prices, Side, compare, of_prices
from flyball.control.replay_margin import margin_of
from flyball.control.replay_report import AloneFigures, GovernedFigures, Performance, ReplayReport, Span
from flyball.records import codec

BLANK = Performance(roc_auc=0.6)


def report(
    areas: list[float | None],
    errors: list[float],
    *,
    retrained: tuple[str, ...] = (),
    minutes: float = 0.0,
    rows: tuple[int, ...] = (100, 100, 100),
) -> ReplayReport:
    """`rows` of each month that it answered: 0 leaves the month out, as a replay does."""
    months = tuple(
        Span(start=f"2013-{3 + at:02d}", n=n, alone=BLANK, governed=Performance(roc_auc=area, errors=wrong))
        for at, (area, wrong, n) in enumerate(zip(areas, errors, rows, strict=True))
        if n
    )
    known = [area for area in areas if area is not None]
    return ReplayReport(
        project="p", model="m", task="binary", metric="roc_auc", since="2013-03-01T05:00:00+00:00", until="2013-06-01T04:00:00+00:00",
        timezone="America/New_York", alone=AloneFigures(mean_monthly_roc_auc=0.6),
        governed=GovernedFigures(
            mean_monthly_roc_auc=sum(known) / len(known), retrainings=len(retrained), retrained_at=retrained, training_minutes=minutes, alarms=4,
            promotions=len(retrained),
        ),
        requests=1, predictions=300, failed_requests=0, labels_sent=300, labels_joined=300, decisions=2, decisions_replayed_equal=2, wall_seconds=1.0,
        months=months,
    )  # fmt: skip


NEVER = Side("never", "no policies", report([0.70, 0.60, 0.50], [10.0, 20.0, 30.0]))
OTHER = Side(
    "other", "other.yaml", report([0.68, 0.66, 0.65], [11.0, 18.0, 24.0], retrained=("2013-05-01T03:59:00+00:00",), minutes=40.0)
)


def test_regret_is_what_was_lost_to_the_best_of_each_month() -> None:
    made = compare([NEVER, OTHER], None, 3.0)
    never, other = made.policies
    assert never.regret == pytest.approx((0.0 + 0.06 + 0.15) / 3)
    assert other.regret == pytest.approx(0.02 / 3)
    assert (never.regret_errors, other.regret_errors) == (2.0 + 6.0, 1.0)
    assert [month.best for month in never.months] == [True, False, False]
    assert [month.best for month in other.months] == [False, True, True]


def test_the_best_is_the_cheapest_where_prices_are_declared_and_else_the_one_with_the_fewest_errors() -> None:
    assert (compare([NEVER, OTHER], None, 3.0).best, compare([NEVER, OTHER], None, 3.0).policies[0].cost) == ("other", None)
    dear = compare([NEVER, OTHER], Prices(1.0, 1.0), 3.0)
    assert [line.cost for line in dear.policies] == [60.0, 53.0 + 40.0]
    assert (dear.best, dear.priced) == ("never", True)
    assert compare([NEVER, OTHER], Prices(10.0, 1.0), 3.0).best == "other"


def test_a_retraining_counts_for_the_month_of_the_projects_own_calendar() -> None:
    other = compare([NEVER, OTHER], None, 3.0).policies[1]
    assert [month.retrainings for month in other.months] == [0, 1, 0], "midnight of New York is four in the morning of UTC"


def test_errors_of_a_metric_that_is_better_when_low_are_compared_the_other_way_round() -> None:
    def as_mae(side: Side) -> Side:
        months = tuple(
            msgspec.structs.replace(month, governed=Performance(mae=1.0 - (month.governed.roc_auc or 0.0)))
            for month in side.report.months
        )
        changed = msgspec.structs.replace(side.report, task="regression", metric="mae", months=months)
        return side._replace(report=changed)

    made = compare([as_mae(NEVER), as_mae(OTHER)], None, 3.0)
    assert made.policies[1].regret == pytest.approx(0.02 / 3)
    assert (made.policies[0].errors, made.best) == (None, ""), "no scale, no errors: nothing is called best"


def test_a_month_in_which_the_metric_is_not_defined_counts_for_nobody() -> None:
    side = Side("gap", "gap.yaml", report([0.7, None, 0.6], [1.0, 1.0, 1.0]))
    line = compare([side], None, 1.0).policies[0]
    assert (line.regret, line.months[1].value, line.months[1].best) == (0.0, None, False)


STOPPED = Side("stopped", "stopped.yaml", report([0.70, 0.90, None], [10.0, 1.0, 0.0], rows=(100, 10, 0)))
"""It stopped the model in April: few rows answered, and so few errors."""


@pytest.mark.parametrize("prices", [None, Prices(1.0, 0.05)])
def test_who_refuses_rows_is_not_the_best_for_the_errors_that_it_did_not_make(prices: Prices | None) -> None:
    made = compare([STOPPED, NEVER, OTHER], prices, 3.0)
    stopped, never, other = made.policies
    assert (made.best, stopped.ranked, stopped.answered, other.answered) == ("other", False, 110, 300)
    assert other.ranked
    assert never.ranked
    assert [month.ranked for month in stopped.months] == [True, False, False]
    assert [month.best for month in stopped.months] == [True, False, False]
    assert (never.regret_errors, other.regret_errors) == (8.0, 1.0), "the one error of its ten rows is nobody's measure"
    assert other.regret == pytest.approx(0.02 / 3)
    assert (stopped.regret, stopped.regret_errors) == (0.0, 0.0), "of the month that it answered"


def test_months_in_which_the_first_policy_answered_nothing_are_compared_all_the_same() -> None:
    made = compare([STOPPED, OTHER], None, 3.0)
    assert [[month.start for month in line.months] for line in made.policies] == [["2013-03", "2013-04", "2013-05"]] * 2
    assert (made.policies[0].months[2].n, made.policies[0].months[2].value) == (0, None)
    assert (made.policies[1].errors, made.policies[1].months[2].best) == (53.0, True)


def test_a_few_failed_requests_leave_a_policy_in_the_ranking() -> None:
    few = Side("few", "few.yaml", report([0.70, 0.60, 0.50], [9.0, 19.0, 29.0], rows=(100, 99, 100)))
    assert compare([NEVER, few], None, 3.0).best == "few"
    more = Side("more", "more.yaml", report([0.70, 0.60, 0.50], [9.0, 19.0, 29.0], rows=(100, 96, 100)))
    assert compare([NEVER, more], None, 3.0).best == "never"


def test_a_comparison_survives_storage() -> None:
    made = compare([NEVER, OTHER], Prices(1.0, 0.05), 3.0)
    assert codec.decode(codec.encode(made), type(made)) == made


def year(name: str, errors: np.ndarray) -> Side:
    """Of so many months."""
    base = report([0.7], [1.0], rows=(100,))
    months = tuple(
        Span(
            start=f"{2013 + at // 12}-{1 + at % 12:02d}",
            n=100,
            alone=BLANK,
            governed=Performance(roc_auc=0.7, errors=float(wrong)),
        )
        for at, wrong in enumerate(errors)
    )
    return Side(name, "", msgspec.structs.replace(base, months=months))


@pytest.mark.parametrize("policies", [2, 4])
@pytest.mark.parametrize("months", [4, 12])
def test_of_policies_that_differ_by_chance_alone_one_is_called_better_no_more_often_than_said(policies: int, months: int) -> None:
    draw, shown, times = np.random.default_rng(20261128), 0, 400
    for _ in range(times):
        world = draw.normal(80, 30, months)  # good and bad months are so for all
        made = compare([year(f"p{at}", world + draw.normal(0, 4, months)) for at in range(policies)], None, 1.0)
        shown += made.margin is not None and made.margin.shown
    assert shown <= times * 0.05 + 3 * np.sqrt(times * 0.05 * 0.95)


def test_a_best_that_is_better_in_every_month_is_shown_to_be_and_a_hair_is_not() -> None:
    draw = np.random.default_rng(3)
    world, noise = draw.normal(80, 30, 12), draw.normal(0, 2, 12)
    better = compare([year("never", world + 9 + noise), year("current", world)], None, 1.0)
    assert (better.best, better.margin.over, better.margin.shown) == ("current", "never", True)
    assert better.margin.lower < 9 < better.margin.upper
    hair = compare([year("never", world + 0.07 + noise - noise.mean()), year("current", world)], None, 1.0)
    assert (hair.best, hair.margin.shown) == ("current", False)
    assert hair.margin.words.startswith("not shown to differ from never: 0.07 errors a month less (-0.867 to 1.01, 95%")


def test_a_best_that_one_month_made_is_worse_in_the_months_that_both_answered() -> None:
    made = margin_of("never", [-3.0, -4.0, -5.0, -4.0], "errors")
    assert made.words == "worse than never in the months that both answered: 4 errors a month more (2.7 to 5.3, 95%, of 4 months)"
    assert (made.shown, made.mean) == (False, -4.0)
    assert made.upper == pytest.approx(-2.7, abs=0.01)


@pytest.mark.parametrize("differences", [[9.0] * 5, [0.1 + 0.2, 0.3, 0.3, 0.3], [-2.0] * 4, [0.0] * 12])
def test_months_that_all_differ_by_the_same_make_no_interval(differences: list[float]) -> None:
    made = margin_of("never", differences, "errors")
    assert not made.shown
    assert made.words.startswith(f"not shown to differ from never: {differences[0]:.3g} errors a month less in each of")


def test_few_months_say_nothing_and_one_that_is_ranked_alone_is_beside_nobody() -> None:
    made = compare([NEVER, OTHER], None, 3.0)
    assert (
        made.margin.words
        == "not shown to differ from never: 3 months in which both answered as much, fewer than the 4 that an interval needs"
    )
    assert compare([NEVER], None, 3.0).margin is None
    assert compare([STOPPED, NEVER], None, 3.0).margin is None, "who refuses rows is no next"


def test_a_margin_is_of_what_the_best_is_best_by() -> None:
    world = np.array([80.0, 90.0, 70.0, 60.0])
    dear = year("dear", world - 5)
    told = msgspec.structs.replace(
        dear.report.governed,
        retrainings=2,
        retrained_at=("2013-02-03T12:00:00+00:00", "2013-03-03T12:00:00+00:00"),
        training_minutes=40.0,
    )
    dear = dear._replace(report=msgspec.structs.replace(dear.report, governed=told))
    made = compare([dear, year("never", world)], Prices(1.0, 1.0), 1.0)
    assert made.best == "never"
    assert made.margin.mean == pytest.approx(40 / 4 - 5)
    assert "of cost a month less" in made.margin.words


def test_regret_says_of_how_many_months_it_is() -> None:
    made = compare([STOPPED, NEVER, OTHER], None, 3.0)
    assert [line.regret_months for line in made.policies] == [1, 3, 3]


@pytest.mark.parametrize(
    ("prices", "ranked"), [(None, "nobody is ranked by cost"), (Prices(1.0, 0.0), "ranked by those of flyball.yaml")]
)
def test_where_policies_name_other_prices_it_is_said_by_which_they_are_ranked(prices: Prices | None, ranked: str) -> None:
    made = compare([NEVER, OTHER], prices, 3.0, (), ["other"])
    assert of_prices(made).startswith("other acted by its own prices")
    assert ranked in of_prices(made)
    assert of_prices(compare([NEVER, OTHER], prices, 3.0)) == ""
