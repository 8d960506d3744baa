"""What each door does with a request that was let in."""

import asyncio
import urllib.parse
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from flyball.errors import Fault, RequestError
from flyball.gateway import plain
from flyball.gateway.batches import Answer
from flyball.gateway.callers import NOBODY, Caller, patiently
from flyball.gateway.capture_writer import Sink
from flyball.gateway.careful import carefully
from flyball.gateway.explaining import Attribution, Explaining
from flyball.gateway.inference import Inference
from flyball.gateway.large import LARGE_BYTES, LARGE_ROWS, ArrayRows, PlainBody
from flyball.gateway.large_labels import LargeLabels
from flyball.gateway.lease import Lease
from flyball.gateway.metrics import Metrics
from flyball.gateway.openinference import metadata, rest, wording
from flyball.gateway.openinference.asking import pinned
from flyball.gateway.pieces import Pieces
from flyball.gateway.problems import JSON, Response, json_response, problem, problem_of
from flyball.gateway.tables import LiveRoute, LiveTable, Tables
from flyball.gateway.validation import Body, Rows
from flyball.records import codec
from flyball.records.routing import GatewayReport

MAX_ROWS = 100_000
"""In one request: more hold the interpreter for longer than other clients should wait."""


class Request(NamedTuple):
    model: str
    body: Body
    headers: Sequence[tuple[bytes, bytes]]
    """Names in lower case."""
    caller: Caller = NOBODY
    version: str = ""
    """The model's, where the path names one."""

    def header(self, name: bytes) -> bytes | None:
        """The first one of that name."""
        return next((value for known, value in self.headers if known == name), None)


class Settings(NamedTuple):
    worker: str
    pid: int
    request_clock: bool
    """Replay: event time comes with each request, shadows are scored before the answer leaves."""


class Parts(NamedTuple):
    """What the doors work with."""

    tables: Tables
    inference: Inference
    capture: Sink
    lease: Lease
    metrics: Metrics
    explaining: Explaining


class Handlers:
    """Everything behind the doors of one worker."""

    def __init__(self, settings: Settings, parts: Parts, now_us: Callable[[], int]) -> None:
        self._settings = settings
        self._tables, self._inference, self._capture, self._lease, self._metrics, self._explaining = parts
        self._now_us = now_us
        self.draining = False

    def doors(self) -> dict[str, Callable[[Request], Awaitable[Response]]]:
        """Door name → what it does."""
        return {
            "live": self._live,
            "ready": self._ready,
            "server_metadata": self._server_metadata,
            "model_metadata": self._model_metadata,
            "model_ready": self._model_ready,
            "infer": self._infer,
            "repository_index": self._repository_index,
            "predict": self._predict,
            "labels": self._labels,
            "served": self._served,
            "reload": self._reload,
        }

    async def _live(self, _: Request) -> Response:
        return json_response({"live": True})

    async def _ready(self, _: Request) -> Response:
        if self.draining:
            return problem(503, "This gateway is draining.", headers=[(b"retry-after", b"1")])
        if self._tables.live is None:
            return problem_of(self._tables.refusal())
        return json_response({"ready": True})

    async def _server_metadata(self, _: Request) -> Response:
        return json_response(metadata.server_metadata())

    async def _model_metadata(self, request: Request) -> Response:
        _, live = self._inference.route(request.model)
        return json_response(metadata.model_metadata(pinned(live, request.version)))

    async def _model_ready(self, request: Request) -> Response:
        _, live = self._inference.route(request.model)
        self._inference.check_answers(live)
        return json_response({"name": pinned(live, request.version).model, "ready": True})

    async def _repository_index(self, _: Request) -> Response:
        return json_response(metadata.repository_index(self._tables.live))

    async def _predict(self, request: Request) -> Response:
        table, live = self._inference.open_route(request.model)
        at_us = self._at_us(request)
        if len(request.body) >= LARGE_BYTES and not self._settings.request_clock:
            return await self._predict_large(request, table, live, at_us)
        rows = live.reader.read(request.body)
        if rows.explain:
            return await self._predict_explained(request, (table, live), rows, at_us)
        answer = await self._inference.answer(table, live, rows, at_us, request.caller)
        return json_response(plain.predictions(live, rows, answer), headers=_headers_of(answer))

    async def _predict_explained(
        self, request: Request, routed: tuple[LiveTable, LiveRoute], rows: Rows, at_us: int | None
    ) -> Response:
        table, live = routed
        told: list[Attribution] = []
        kept = self._settings.request_clock

        async def explain(answer: Answer) -> None:
            explained = asyncio.ensure_future(self._explaining.attributions(live, rows, answer))
            found = await patiently(explained, request.caller, "it was explained", asked=lambda: kept)
            told.extend(found)

        with self._explaining.admitted(live, rows):
            # Explained before it is captured: what cannot be explained is shown to nobody. (On a replay's clock it is captured first: shadows are
            # scored with its answer.)
            answer = await self._inference.answer_rows(table, live, rows, at_us, request.caller, explain)
        return json_response(plain.predictions(live, rows, answer, told), headers=_headers_of(answer))

    async def _predict_large(self, request: Request, table: LiveTable, live: LiveRoute, at_us: int | None) -> Response:
        parts = Pieces(b",")
        units: dict[str, None] = {}
        first, at = "", 0
        self._tables.hold(table)  # the body is opened in turns, and a swap may come between
        try:
            source = await PlainBody.opened(request.body, live.reader, MAX_ROWS)
            async for answer in self._inference.answer_large(table, live, source, at_us, request.caller):
                first = first or answer.ids[0]
                units.update(dict.fromkeys(unit.id for unit in answer.units))
                rows = source.rows(at, at + len(answer.ids)) if live.reader.flagging else None
                parts.add(plain.prediction_list(live, rows, answer))
                at += len(answer.ids)
        finally:
            self._tables.release(table)
        body = plain.framed(live, list(units), parts)
        return Response(200, body, headers=_headers(list(units), first))

    async def _infer(self, request: Request) -> Response:
        table, routed = self._inference.open_route(request.model)
        live = pinned(routed, request.version)
        at_us = self._at_us(request)
        if len(request.body) >= LARGE_BYTES and not self._settings.request_clock:
            return await self._infer_large(request, table, live)
        asked = rest.read_infer(live, request.body, request.header(wording.LENGTH_HEADER))
        answer = await self._inference.answer(table, live, asked.rows, at_us, request.caller)
        return wording.infer_response(live, asked, answer, _headers_of(answer))

    async def _infer_large(self, request: Request, table: LiveTable, live: LiveRoute) -> Response:
        self._tables.hold(table)  # the body is read in turns, and a swap may come between
        try:
            with self._inference.reading(request.caller) as pause:
                asked = await rest.read_large(live, request.body, request.header(wording.LENGTH_HEADER), pause)
            told = wording.Wording(live, asked)
            async for answer in self._inference.answer_large(table, live, ArrayRows(asked.rows), None, request.caller):
                told.add(answer)
        finally:
            self._tables.release(table)
        return told.response(_headers(told.units, told.first_id))

    async def _labels(self, request: Request) -> Response:
        form = await self._label_form(request.body)
        _, live = self._inference.route(self._model_of_labels(request.model, form.model))
        at_us = self._at_us(request) or self._now_us()
        if isinstance(form, LargeLabels):
            with self._inference.reading(request.caller) as pause:
                batch = await form.read(live, at_us, pause)
        elif len(form.labels) >= LARGE_ROWS:
            batch = await carefully(plain.read_labels, live, form, at_us)
        else:
            batch = plain.read_labels(live, form, at_us)
        if not self._capture.hand_over([batch]):
            return problem(503, "The labels could not be stored now; send them again.", headers=[(b"retry-after", b"1")])
        self._metrics.labels.add(len(batch.ids), (live.model,))
        return json_response({"accepted": len(batch.ids)})

    async def _label_form(self, body: Body) -> LargeLabels | plain.LabelForm:
        if len(body) < LARGE_BYTES:
            return plain.label_form(body, MAX_ROWS)
        large = await LargeLabels.opened(body, MAX_ROWS)
        return large if large is not None else await carefully(plain.label_form, body, MAX_ROWS)

    def _model_of_labels(self, door: str, named: str | None) -> str:
        """By the path, by the body, or the only one that is served."""
        if door or named:
            if door and named and door != named:
                raise RequestError([Fault("model", named[:100], f"{door[:100]}, as the path says, or nothing")])
            return door or str(named)
        routed = sorted(self._tables.live.routes) if self._tables.live is not None else []
        if len(routed) > 1:
            raise RequestError([Fault("model", "nothing", f"one of {', '.join(routed[:20])}")])
        return routed[0] if routed else ""

    async def _served(self, _: Request) -> Response:
        return Response(200, codec.encode(self.report()), JSON)

    async def _reload(self, _: Request) -> Response:
        self._lease.look()
        await self._tables.reload()
        return Response(200, codec.encode(self.report()), JSON)

    def report(self) -> GatewayReport:
        live = self._tables.live
        return GatewayReport(
            worker=self._settings.worker,
            pid=self._settings.pid,
            revision=live.revision if live else None,
            digest=live.digest if live else None,
            fingerprints=live.fingerprints if live else {},
            canary_suspended=self.suspended(),
            error=self._tables.error,
            loading=self._tables.loading,
            tripped=live.tripped() if live else {},
            capture_lost=self._capture.lost_records,
        )

    def suspended(self) -> bool:
        """Whether the dead-man rule keeps a canary from its share right now."""
        live = self._tables.live
        return live is not None and any(route.canary for route in live.routes.values()) and not self._lease.held

    def _at_us(self, request: Request) -> int | None:
        """The event time that a simulated clock needs; None: the time when it is answered."""
        if not self._settings.request_clock:
            return None
        return plain.event_us(request.header(b"x-flyball-event-time") or b"")


def _headers_of(answer: Answer) -> list[tuple[bytes, bytes]]:
    return _headers([unit.id for unit in dict.fromkeys(answer.units)], answer.ids[0])


def _headers(units: Sequence[str], first_id: str) -> list[tuple[bytes, bytes]]:
    # An id is the client's own text: quoted, it can neither end the header nor leave ASCII.
    first = urllib.parse.quote(first_id, safe="!#$&'()*+,/:;=?@[]~")
    return [(b"x-flyball-unit", ",".join(units).encode()), (b"x-flyball-prediction-id", first.encode())]
