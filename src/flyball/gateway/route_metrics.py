"""What the live table's routes look like at the moment of a scrape; between scrapes it costs nothing."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily

from flyball.gateway.tables import LiveRoute, LiveUnit, Tables


class RouteFigures:
    """A collector: labels are models and units of the live table alone."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def collect(self) -> Iterator[GaugeMetricFamily]:
        queue = GaugeMetricFamily("flyball_queue_rows", "Rows that wait for a route or are being scored", labels=["model"])
        circuit = GaugeMetricFamily(
            "flyball_circuit_open", "1: this unit failed so often that it is not asked now", labels=["model", "unit"]
        )
        weight = GaugeMetricFamily(
            "flyball_canary_weight", "Share of keys that the canary is to answer", labels=["model", "unit"]
        )
        live = self._tables.live
        for route in live.routes.values() if live else ():
            queue.add_metric([route.model], route.queue.rows + route.queue.busy_rows)
            for unit in _units(route):
                circuit.add_metric([route.model, unit.id], float(unit.breaker.open))
            if route.canary is not None:
                weight.add_metric([route.model, route.canary.id], route.route.canary_weight)
        yield from (queue, circuit, weight)


def _units(route: LiveRoute) -> list[LiveUnit]:
    """Each once: during a canary it stands among the shadows, too."""
    units = (route.champion, route.canary, route.fallback, *route.arms, *route.shadows)
    return list({unit.id: unit for unit in units if unit is not None}.values())
