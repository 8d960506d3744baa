"""What one scrape of the public port is told: the metrics of every worker behind it, each series with its worker's name."""

import asyncio
import http.client
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from flyball.gateway.handlers import Request
from flyball.gateway.metrics import Metrics
from flyball.gateway.problems import Response
from flyball.machine.birth import Birth, runs
from flyball.records import codec

SIBLING_SECONDS = 1.0
"""A tenth of Prometheus's default time limit: a worker that hangs is told as down, and must not take the others' figures with it."""

_TYPE = CONTENT_TYPE_LATEST.encode()


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    """What a process writes of itself."""

    pid: int
    device: int | None = None
    inode: int | None = None
    """Of the directory in which it was written: a copy of it speaks of the original's processes. None: an earlier release's."""


class _Card(_Written, frozen=True, kw_only=True):
    admin_port: int
    ticks: int | None = None
    boot: int | None = None
    """As Birth has them."""


class _Supervisor(_Written, frozen=True, kw_only=True):
    workers: int = 0
    """How many it is to keep running, named by number. 0: an earlier release's, which does not say."""


Told = TypeVar("Told", bound=_Written)


class Scraping:
    """The kernel gives a scrape to whichever worker is idle; that one asks its siblings, whose cards lie beside its own. Who has no card but should be
    there is known from its supervisor."""

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
        siblings = self._siblings()
        texts |= dict.fromkeys(siblings)
        ports = {worker: port for worker, port in siblings.items() if port is not None}
        if ports:
            with ThreadPoolExecutor(min(len(ports), 16), thread_name_prefix="scrape") as pool:
                texts |= dict(zip(ports, pool.map(self._ask, ports.values()), strict=True))
        return exposition_of(texts)

    def _siblings(self) -> dict[str, int | None]:
        """Worker → admin port, of all that should be there or are; None: it does not run."""
        found = dict[str, int | None]()
        for card in sorted((self._state_dir / "gateways").glob("*.json")):
            facts = _written_here(card, _Card)
            if facts is not None:  # otherwise it is going
                # A killed worker's card stays: its port may be somebody else's by now, who must not get the token, whoever has its number.
                found[card.stem] = facts.admin_port if runs(facts.pid, Birth(ticks=facts.ticks, boot=facts.boot)) else None
        expected = self._expected()
        if expected:
            # A card without a process is that of a worker of before, when there were more of them.
            found = {worker: port for worker, port in found.items() if port is not None or worker in expected}
            found = dict.fromkeys(expected) | found
        found.pop(self._worker, None)
        return found

    def _expected(self) -> tuple[str, ...]:
        """Workers that a supervisor keeps running; none: nobody does, or an earlier release that does not say so."""
        supervisor = _written_here(self._state_dir / "run" / "supervisor.json", _Supervisor)
        return tuple(map(str, range(supervisor.workers))) if supervisor is not None and runs(supervisor.pid, Birth()) else ()

    def _ask(self, port: int) -> str | None:
        """None: it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SIBLING_SECONDS)
        try:
            token = (self._state_dir / "token").read_text().strip()
            connection.request("GET", "/flyball/metrics", headers={"authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException, ValueError):  # also for a token that can stand in no header, or is no text
            return None
        finally:
            connection.close()
        return text if answer.status == 200 else None


def _written_here(path: Path, kind: type[Told]) -> Told | None:
    """None: there is no such file, it cannot be read, or it was written in another directory, of which this is a copy."""
    try:
        found, here = codec.decode(path.read_bytes(), kind), path.parent.stat()
    except (OSError, ValueError):
        return None
    return found if (found.device, found.inode) in ((None, None), (here.st_dev, here.st_ino)) else None


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
