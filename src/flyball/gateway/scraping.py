"""What one scrape of the public port is told: the metrics of every worker behind it, each series with its worker's name."""

import asyncio
import http.client
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from flyball.gateway.handlers import Request
from flyball.gateway.metrics import Metrics
from flyball.gateway.problems import Response

SIBLING_SECONDS = 1.0
"""A tenth of Prometheus's default time limit: a worker that hangs is told as down, and must not take the others' figures with it."""

_TYPE = CONTENT_TYPE_LATEST.encode()


class Scraping:
    """The kernel gives a scrape to whichever worker is idle; that one asks its siblings, whose cards lie beside its own."""

    def __init__(self, state_dir: Path, worker: str, metrics: Metrics) -> None:
        self._state_dir = state_dir
        self._worker = worker
        self._metrics = metrics

    def doors(self) -> dict[str, Callable[[Request], Awaitable[Response]]]:
        return {"metrics": self._all, "own_metrics": self._own}

    async def _own(self, _: Request) -> Response:
        return Response(200, self._metrics.exposition(), _TYPE)

    async def _all(self, _: Request) -> Response:
        # Our own counters are read on the event loop, which alone changes them; to ask and to merge takes milliseconds, beside it.
        own = self._metrics.exposition().decode()
        return Response(200, await asyncio.to_thread(self._merged, own), _TYPE)

    def _merged(self, own: str) -> bytes:
        texts: dict[str, str | None] = {self._worker: own}
        siblings = dict(self._siblings())
        if siblings:
            with ThreadPoolExecutor(min(len(siblings), 16), thread_name_prefix="scrape") as pool:
                texts |= dict(zip(siblings, pool.map(self._ask, siblings.values()), strict=True))
        return exposition_of(texts)

    def _siblings(self) -> Iterator[tuple[str, int]]:
        """(worker, admin port) of those whose cards are here."""
        for card in sorted((self._state_dir / "gateways").glob("*.json")):
            if card.stem == self._worker:
                continue
            try:
                facts = msgspec.json.decode(card.read_bytes())
                os.kill(
                    int(facts["pid"]), 0
                )  # a killed worker's card stays: its port may be somebody else's by now, who must not get the token
                yield card.stem, int(facts["admin_port"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # it is going, or its card is just being replaced

    def _ask(self, port: int) -> str | None:
        """None: it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SIBLING_SECONDS)
        try:
            token = (self._state_dir / "token").read_text().strip()
            connection.request("GET", "/flyball/metrics", headers={"authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException, UnicodeDecodeError):
            return None
        finally:
            connection.close()
        return text if answer.status == 200 else None


class _Collected:
    """Families that are there already, as a registry takes them."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> list[Metric]:
        return self._families


def exposition_of(texts: dict[str, str | None]) -> bytes:
    """Worker → its own exposition (None: it did not answer) as one exposition with a label `worker`, and `flyball_worker_up`."""
    families: dict[str, Metric] = {}
    up = GaugeMetricFamily("flyball_worker_up", "1: this worker answered the scrape", labels=["worker"])
    for worker, text in texts.items():
        up.add_metric([worker], float(text is not None))
        for family in text_string_to_metric_families(text or ""):
            merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            merged.samples += [sample._replace(labels={**sample.labels, "worker": worker}) for sample in family.samples]
    registry: Any = CollectorRegistry()
    registry.register(_Collected([up, *families.values()]))
    return generate_latest(registry)
