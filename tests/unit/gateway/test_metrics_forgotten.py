"""The number of series is bounded by the routing table, whatever was routed before."""

import prometheus_client
from prometheus_client.parser import text_string_to_metric_families

from flyball.gateway.capture_writer import NoCapture
from flyball.gateway.metrics import Metrics


def count_all(metrics: Metrics, model: str, unit: str, column: str) -> None:
    metrics.scored(model, unit, "champion", 3, 0.001)
    metrics.failed(model, unit, "champion", 1)
    metrics.batch(model, 3)
    metrics.shed(model, "queue")
    metrics.tolerated(model, column, 2)
    metrics.labels.add(1, (model,))
    metrics.requests.answered("predict", model, 503, 0.002)
    metrics.requests.failed("predict", model, "ModelFailed")


def told(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Every counter of a model: its name and labels, sorted by their names → its value."""
    return {
        (sample.name, *(value for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
        if "model" in sample.labels and not sample.name.endswith(("_bucket", "_sum"))
    }


def test_what_is_routed_no_more_has_no_series_and_what_comes_back_begins_at_0() -> None:
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    metrics = Metrics(NoCapture())
    metrics.forget_others({"u1", "u2"}, {"shop": {"colour"}, "gone": {"colour"}})
    metrics.shed("", "in_flight")
    metrics.requests.answered("labels", "", 200, 0.002)
    count_all(metrics, "shop", "u1", "colour")
    alone = told(metrics)
    assert len(alone) == 13
    count_all(metrics, "gone", "u2", "colour")
    assert len(told(metrics)) == 23
    metrics.forget_others({"u1"}, {"shop": {"colour"}})
    assert told(metrics) == alone
    metrics.scored("gone", "u2", "champion", 3, 0.001)  # a request that was still being answered at the swap
    metrics.batch("gone", 3)
    assert told(metrics) == alone
    metrics.forget_others({"u1", "u2"}, {"shop": set(), "gone": set()})
    metrics.batch("gone", 1)
    assert told(metrics) == {key: value for key, value in alone.items() if key[0] != "flyball_tolerated_rows_total"} | {
        ("flyball_batch_rows_count", "gone"): 1.0
    }


def test_names_that_strangers_make_up_are_no_labels_and_sums_over_models_are_all_requests() -> None:
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    metrics = Metrics(NoCapture())
    metrics.requests.answered("predict", "shop", 503, 0.002)  # before there is a table
    metrics.forget_others({"u1"}, {"shop": ()})
    for model in ("shop", "shop", "", *(f"made-up-{number}" for number in range(100))):
        metrics.requests.answered("predict", model, 404, 0.002)
        metrics.requests.failed("predict", model, "NotFound")
    assert told(metrics) == {
        ("flyball_requests_total", "predict", "", "503"): 1.0,
        ("flyball_requests_total", "predict", "", "404"): 101.0,
        ("flyball_requests_total", "predict", "shop", "404"): 2.0,
        ("flyball_errors_total", "predict", "NotFound", ""): 101.0,
        ("flyball_errors_total", "predict", "NotFound", "shop"): 2.0,
        ("flyball_request_seconds_count", "predict", ""): 102.0,
        ("flyball_request_seconds_count", "predict", "shop"): 2.0,
    }
