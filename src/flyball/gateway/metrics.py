"""What Prometheus scrapes. Labels are doors, statuses, models and routed units: their number is bounded by the routing table, never by clients."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flyball.gateway.capture_writer import Sink
from flyball.gateway.tables import Tables
from flyball.gateway.tallies import Counts, Distributions

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 10_000, 100_000)
_MODEL_SECONDS = (0.00002, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0)


class Requests:
    """Those that were answered, those that ended in an error, and how long they took. `model` is whatever its sender wrote; '' where nobody was named."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._answered = Counts("flyball_requests", "Requests answered", ("door", "model", "status"), registry)
        errors = "Requests that ended in an error, by its class (errors.md)"
        self._failed = Counts("flyball_errors", errors, ("door", "model", "kind"), registry)
        self._seconds = Distributions(registry, "flyball_request_seconds", "Time to answer", ("door", "model"), _SECONDS)
        self._statuses: dict[int, str] = {}
        self.routed: frozenset[str] = frozenset()
        """Only these become labels: strangers can make up any number of names."""

    def answered(self, door: str, model: str, status: int, seconds: float) -> None:
        if model not in self.routed:
            model = ""
        self._answered.add(1, (door, model, self._statuses.get(status) or self._statuses.setdefault(status, str(status))))
        self._seconds.of((door, model)).observe(seconds)

    def failed(self, door: str, model: str, kind: str) -> None:
        """`kind`: a class of errors.py, or a word of ours."""
        self._failed.add(1, (door, model if model in self.routed else "", kind))

    def forget_others(self) -> None:
        """Drop the series of models that are routed no more."""
        for each in (self._answered, self._failed, self._seconds):
            each.keep(lambda labels: not labels[1] or labels[1] in self.routed)


class Metrics:
    """One worker's counters, in a registry of its own."""

    def __init__(self, capture: Sink) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        own = self.registry
        self.requests = Requests(own)
        self._rows = Counts("flyball_rows", "Rows scored", ("model", "unit", "role"), own)
        self._model_seconds = Distributions(
            own, "flyball_model_seconds", "Time of one call of a model", ("model", "unit"), _MODEL_SECONDS
        )
        self._failures = Counts("flyball_failed_rows", "Rows that a unit could not answer", ("model", "unit", "role"), own)
        self.shadow_dropped = Counter(
            "flyball_shadow_dropped_rows",
            "Rows that no shadow scored: the queue was full, the model too seldom idle, or a call before them failed",
            registry=own,
        )
        self._batch_rows = Distributions(own, "flyball_batch_rows", "Rows that shared one answer of a route", ("model",), _ROWS)
        self._shed = Counts("flyball_shed_requests", "Requests refused because too much is asked", ("model", "reason"), own)
        self._tolerated = Counts(
            "flyball_tolerated_rows", "Rows with a column that no unit takes any more", ("model", "column"), own
        )
        self.labels = Counts("flyball_labels", "Labels accepted", ("model",), own)
        self.revision = Gauge("flyball_routing_revision", "Revision of the routing table that is served", registry=own)
        self._in_flight: list[Callable[[], int]] = []
        _read("flyball_requests_in_flight", "Requests being answered", lambda: sum(each() for each in self._in_flight), own)
        own.register(_CaptureCounters(capture))
        ProcessCollector(registry=own)
        self._routed: tuple[Container[str], Mapping[str, Container[str]]] | None = None

    def watch_in_flight(self, requests: Callable[[], int]) -> None:
        """Show the requests that one server is answering, together with those of the others."""
        self._in_flight.append(requests)

    def watch_suspension(self, suspended: Callable[[], bool]) -> None:
        """Show whether the dead-man rule holds canaries back."""
        _read("flyball_canary_suspended", "1: the dead-man rule holds canaries at 0", suspended, self.registry)

    def watch_tables(self, tables: Tables) -> None:
        """Show each route's queue and each unit's circuit as they are when scraped, and what became of the tables that were given."""
        self.registry.register(_Routing(tables))

    def watch_shadows(self, waiting_rows: Callable[[], int]) -> None:
        """Show what shadows are behind: with the scored and the dropped ones it makes all rows that were answered."""
        _read("flyball_shadow_waiting_rows", "Rows that wait for a shadow, or that it scores now", waiting_rows, self.registry)

    def scored(self, model: str, unit: str, role: str, n: int, seconds: float) -> None:
        self._rows.add(n, (model, unit, role))
        self._model_seconds.of((model, unit)).observe(seconds)

    def batch(self, model: str, n: int) -> None:
        self._batch_rows.of((model,)).observe(n)

    def shed(self, model: str, reason: str) -> None:
        """`model`: "" for the gateway as a whole; `reason`: one of a few words of ours."""
        self._shed.add(1, (model, reason))

    def tolerated(self, model: str, column: str, n: int) -> None:
        """`column`: one of the routing table."""
        self._tolerated.add(n, (model, column))

    def failed(self, model: str, unit: str, role: str, n: int) -> None:
        self._failures.add(n, (model, unit, role))

    def forget_others(self, units: Container[str], models: Mapping[str, Container[str]]) -> None:
        """Drop the series of what is not routed any more: a gateway that lives through a thousand releases stays small. `models`: those that are routed,
        each with the columns that it tolerates."""
        self._routed = units, models
        self.requests.routed = frozenset(models)
        self._forget()

    def exposition(self) -> bytes:
        self._forget()  # what was still being answered at the last swap has counted since
        return generate_latest(self.registry)

    def _forget(self) -> None:
        if self._routed is None:
            return
        units, models = self._routed
        for by_unit in (self._rows, self._failures, self._model_seconds):
            by_unit.keep(lambda labels: labels[1] in units)
        for by_model in (self._batch_rows, self._shed, self.labels):
            by_model.keep(lambda labels: not labels[0] or labels[0] in models)  # without one: of the gateway as a whole
        self._tolerated.keep(lambda labels: labels[1] in models.get(labels[0], ()))
        self.requests.forget_others()


class _CaptureCounters:
    """Counters that the sink keeps itself, exactly; read when scraped."""

    def __init__(self, capture: Sink) -> None:
        self._capture = capture

    def collect(self) -> Iterator[CounterMetricFamily]:
        sink = self._capture
        for name, words, value in (
            ("flyball_capture_records", "Records handed to the kernel", sink.records),
            ("flyball_capture_bytes", "Bytes handed to the kernel", sink.bytes),
            ("flyball_capture_lost_records", "Records that could not be handed over", sink.lost_records),
            ("flyball_capture_lost_rows", "Rows and labels in the lost records", sink.lost_rows),
            ("flyball_capture_failed_syncs", "Times that the disk did not take what the kernel had", sink.failed_syncs),
        ):
            yield CounterMetricFamily(name, words, value=value)


class _Routing(Collector):
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def collect(self) -> Iterable[Metric]:
        queued = GaugeMetricFamily("flyball_queue_rows", "Rows that wait for a call of the model", labels=["model"])
        circuit = GaugeMetricFamily(
            "flyball_circuit_open", "1: the unit failed too often and is only probed", labels=["model", "unit"]
        )
        weight = GaugeMetricFamily(
            "flyball_canary_weight", "Share of keys that the canary is to answer", labels=["model", "unit"]
        )
        refused = CounterMetricFamily("flyball_tables_refused", "Routing tables that did not load", value=self._tables.refused)
        refusing = GaugeMetricFamily(
            "flyball_routing_refused", "1: the routing table is not served as it is", self._tables.refusing
        )
        live = self._tables.live
        for route in live.routes.values() if live else ():
            queues = {lane.queue for lane in route.lanes}
            queued.add_metric([route.model], sum(queue.rows + queue.busy_rows for queue in queues))
            for unit in route.units:
                circuit.add_metric([route.model, unit.id], unit.breaker.open)
            if route.canary is not None:
                weight.add_metric([route.model, route.canary.id], route.route.canary_weight)
        return queued, circuit, weight, refused, refusing


def _read(name: str, words: str, source: Callable[[], float], registry: CollectorRegistry) -> None:
    """A value that lies elsewhere and is read when scraped."""
    Gauge(name, words, registry=registry).set_function(source)
