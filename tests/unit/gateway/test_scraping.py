"""Several workers' expositions become one that Prometheus takes."""

import prometheus_client
from prometheus_client.parser import text_string_to_metric_families

from flyball.errors import ModelFailed
from flyball.gateway.capture_writer import NoCapture
from flyball.gateway.metrics import Metrics
from flyball.gateway.scraping import exposition_of


def exposition(requests: int) -> str:
    prometheus_client.disable_created_metrics()
    metrics = Metrics(NoCapture())
    for _ in range(requests):
        metrics.request("predict", 200, 0.002)
    metrics.errors.labels("predict", ModelFailed.__name__).inc()
    return metrics.exposition().decode()


def values(text: str, name: str) -> dict[str, float]:
    return {
        sample.labels["worker"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_each_series_has_its_worker_and_each_family_one_heading() -> None:
    text = exposition_of({"0": exposition(3), "1": exposition(5)}).decode()
    assert values(text, "flyball_requests_total") == {"0": 3.0, "1": 5.0}
    assert values(text, "flyball_request_seconds_count") == {"0": 3.0, "1": 5.0}
    headings = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(headings) == len(set(headings))
    assert "# HELP flyball_requests_total Requests answered" in text


def test_a_silent_worker_is_told_as_down_and_has_no_other_series() -> None:
    text = exposition_of({"0": exposition(1), "1": None}).decode()
    assert values(text, "flyball_worker_up") == {"0": 1.0, "1": 0.0}
    assert text.count('worker="1"') == 1


def test_a_label_with_quotes_and_line_ends_survives() -> None:
    metrics = Metrics(NoCapture())
    metrics.errors.labels("predict", 'a"b\\c\nd').inc()
    text = exposition_of({"0": metrics.exposition().decode()}).decode()
    (family,) = [each for each in text_string_to_metric_families(text) if each.name == "flyball_errors"]
    assert family.samples[0].labels == {"door": "predict", "kind": 'a"b\\c\nd', "worker": "0"}
