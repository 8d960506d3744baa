"""One span for each request that a model or the labels are asked for, a child for each model call. Off it does not exist: nothing is wrapped."""

import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from flyball.errors import HttpRefused
from flyball.gateway import routes
from flyball.records.captured import Captured, FailureBatch, PredictionBatch

if TYPE_CHECKING:
    from opentelemetry.trace import Span

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

QUEUE_SPANS = 4096
"""Ended spans that wait for the collector: a few seconds of a busy worker, some MB. A full queue drops the oldest and never makes a request wait."""
MOST_CALLS = 32
"""Of one request: a large one is answered in slices, and a span for each of hundreds helps nobody."""
FLUSH_SECONDS = 2.0
"""What the last spans are worth at the end: a collector that is gone must not hold up a restart."""

UNIT, PREDICTION_ID = "flyball.unit", "flyball.prediction_id"
_CARRIERS = (b"traceparent", b"tracestate")

log = logging.getLogger("flyball.gateway")


class Call:
    """A request that is being traced."""

    __slots__ = ("_now_us", "calls", "kind", "span")

    def __init__(self, span: "Span", now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self.span = span
        self.kind = ""
        """Class of the error that it ended in."""
        self.calls: list[tuple[int, PredictionBatch | FailureBatch]] = []
        """(when it ended, what it made); several requests may share a call."""

    def scored(self, records: Sequence[Captured], ids: frozenset[str], failed: frozenset[str]) -> None:
        """Of a batch's records keep those of this request: `ids` are its rows, `failed` the units that could not answer one of them."""
        if len(self.calls) >= MOST_CALLS:
            return
        end = self._now_us()
        # Backwards from now: a batch's calls were made one after the other, the last one a moment ago.
        for record in reversed(records):
            if isinstance(record, PredictionBatch):
                if not ids.isdisjoint(record.ids):
                    self.calls.append((end, record))
                end -= record.latency_us
            elif isinstance(record, FailureBatch) and record.unit in failed:
                self.calls.append((end, record))


_present: ContextVar[Call | None] = ContextVar("call", default=None)


def present() -> Call | None:
    """The request that is being answered here; None: it is not traced."""
    return _present.get()


def failed(kind: str) -> None:
    """Tell the present request's span in which error it ended."""
    call = _present.get()
    if call is not None:
        call.kind = kind


def answered(units: Iterable[str], first_id: str) -> None:
    """Tell the present request's span what its answer says in no header."""
    call = _present.get()
    if call is not None:
        call.span.set_attributes({UNIT: ",".join(units), PREDICTION_ID: first_id})


@contextmanager
def ongoing(call: Call) -> Iterator[None]:
    """Whatever is done within is done for that request; its span ends with it."""
    token = _present.set(call)
    try:
        yield
    finally:
        _present.reset(token)
        call.span.end()


def present_ids() -> tuple[str, str] | None:
    """(trace id, span id) of the present request in hex; None: it is not traced."""
    call = _present.get()
    if call is None:
        return None
    context = call.span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


class Tracer:
    """Sampler, endpoint, headers and time limits are those of the standard variables (OTEL_…), which the SDK reads itself."""

    def __init__(self, service: str, worker: str, now_us: Callable[[], int]) -> None:
        """`service` '': as the standard variables say. Raises ImportError without the extra `otel`."""
        from opentelemetry.context import Context
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        named = {"service.name": service} if service else {}
        self._provider = TracerProvider(
            resource=Resource.create({**named, "service.instance.id": worker}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=QUEUE_SPANS))
        self._tracer = self._provider.get_tracer("flyball.gateway")
        self._nowhere = Context()
        """Of a request without a caller's trace. None would mean whatever is ambient."""
        self._extract = TraceContextTextMapPropagator().extract
        self._server, self._internal = SpanKind.SERVER, SpanKind.INTERNAL
        self._error: Callable[[str], Status] = partial(Status, StatusCode.ERROR)
        self._below = set_span_in_context
        self._now_us = now_us

    def around(self, application: Application) -> Application:
        """The same application, traced."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            route = _route(scope)
            if route is None:
                await application(scope, receive, send)
                return
            call = self._begun(scope, route)

            async def told(message: Mapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    self.answered(call, _attributes(message), failed=message["status"] >= 500)
                await send(message)

            with ongoing(call):
                await application(scope, receive, told)

        return traced

    def begin(self, name: str, carried: Mapping[str, str], attributes: Mapping[str, str]) -> Call:
        """A request has come. `carried`: its `traceparent` and `tracestate`, as far as it has them."""
        context = self._extract(carried) if carried else self._nowhere
        return Call(self._tracer.start_span(name, context=context, kind=self._server, attributes=attributes), self._now_us)

    def answered(self, call: Call, attributes: Mapping[str, str | int], *, failed: bool) -> None:
        """It is told so. `failed`: by a fault that is not its sender's."""
        span = call.span
        if not span.is_recording():
            return
        span.set_attributes(attributes)
        if call.kind:
            span.set_attribute("error.type", call.kind)
        if failed:
            span.set_status(self._error(call.kind))
        for end, record in call.calls:
            self._model_call(span, end, record)

    def close(self) -> None:
        """Send what is left, for at most two seconds."""
        last = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(FLUSH_SECONDS)

    def _begun(self, scope: Scope, route: str) -> Call:
        method = scope["method"]
        carried = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CARRIERS}
        return self.begin(f"{method} {route}", carried, {"http.request.method": method, "http.route": route})

    def _model_call(self, span: "Span", end_us: int, record: PredictionBatch | FailureBatch) -> None:
        answered = isinstance(record, PredictionBatch)
        latency_us = record.latency_us if isinstance(record, PredictionBatch) else 0
        child = self._tracer.start_span(
            f"model {record.role}",
            context=self._below(span),
            kind=self._internal,
            start_time=(end_us - latency_us) * 1000,
            attributes={
                "flyball.model": record.model,
                UNIT: record.unit,
                "flyball.role": record.role,
                "flyball.rows": len(record.ids) if isinstance(record, PredictionBatch) else record.n,
            },
        )
        if not answered:
            child.set_attribute("error.type", "ModelFailed")
            child.set_status(self._error("ModelFailed"))
        child.end(end_time=end_us * 1000)


def open_tracer(service: str | None, worker: str, now_us: Callable[[], int]) -> Tracer | None:
    """None: tracing is off, or its libraries are not there, which is told: serving is worth more than seeing."""
    if service is None:
        return None
    try:
        return Tracer(service, worker, now_us)
    except ImportError as absent:
        log.warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but no trace is sent: %s is not installed (pip install 'flyball[otel]')",
            absent.name,
        )
        return None


def _attributes(message: Mapping[str, Any]) -> dict[str, str | int]:
    """Of the head of an answer over HTTP."""
    found: dict[str, str | int] = {"http.response.status_code": message["status"]}
    for name, value in message["headers"]:
        if name == b"x-flyball-unit":
            found[UNIT] = value.decode()
        elif name == b"x-flyball-prediction-id":
            found[PREDICTION_ID] = value.decode("latin-1")
    return found


def _route(scope: Scope) -> str | None:
    """The door as a template: what a client writes into a path never becomes a span's name. None: not traced (probes, scrapes, no such door)."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    try:
        door = routes.find("POST", scope["path"], admin=False).door
    except HttpRefused:
        return None
    return _TEMPLATES[door.name]


_TEMPLATES = {
    door.name: "/" + "/".join("{model}" if part == "*" else part for part in pattern)
    for (method, pattern), door in reversed(routes.DOORS.items())  # of several ways to a door the first one listed names it
    if method == "POST"
}
