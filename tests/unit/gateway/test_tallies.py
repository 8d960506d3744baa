"""Claims about the counters of the hot path: what is scraped is what prometheus_client's own metrics would say."""

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from flyball.gateway.tallies import Counts, Distributions

BOUNDS = (0.001, 0.01, 0.5, 2)


def test_they_are_exposed_as_prometheus_clients_own():
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counts = Counts("seen", "Seen", ("door", "status"), ours)
    distributions = Distributions(ours, "took", "Took", ("door",), BOUNDS)
    counter = Counter("seen", "Seen", ["door", "status"], registry=theirs)
    histogram = Histogram("took", "Took", ["door"], buckets=BOUNDS, registry=theirs)
    draw = np.random.default_rng(3)
    for number in range(2000):
        door, value = "ab"[number % 2], float(draw.choice([0.001, 0.01, 0.5, 2.0, draw.exponential(0.3)]))
        counts.add(number % 3, (door, "200"))
        counter.labels(door, "200").inc(number % 3)
        distributions.of((door,)).observe(value)
        histogram.labels(door).observe(value)
    wanted = [line for line in generate_latest(theirs).decode().splitlines() if "_created" not in line]
    assert generate_latest(ours).decode().splitlines() == wanted


def test_what_is_forgotten_is_not_exposed():
    registry = CollectorRegistry()
    counts = Counts("seen", "Seen", ("unit",), registry)
    counts.add(1, ("u1",))
    counts.add(1, ("u2",))
    counts.keep(lambda labels: labels != ("u1",))
    assert "u1" not in generate_latest(registry).decode()
    assert 'seen_total{unit="u2"} 1.0' in generate_latest(registry).decode()
