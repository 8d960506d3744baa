"""The gateway over gRPC: who may come in, what they bring, and a status in every case. The same worker, event loop and way to an answer as REST.

A browser cannot speak gRPC without TLS, so foreign pages and rebound names need no check here; the token does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, NamedTuple

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from flyball.errors import Fault, FlyballError, HttpRefused, ModelFailed, NotFound, OperatorError, Overloaded, RequestError
from flyball.gateway import plain, tracing
from flyball.gateway.access import Tokens
from flyball.gateway.batches import Answer
from flyball.gateway.callers import Caller
from flyball.gateway.careful import MESSAGES, carefully
from flyball.gateway.grpc_traces import GrpcTraces
from flyball.gateway.inference import Inference
from flyball.gateway.large import LARGE_BYTES, LARGE_ROWS
from flyball.gateway.leaving import leave
from flyball.gateway.metrics import Metrics
from flyball.gateway.openinference import metadata, rpc
from flyball.gateway.openinference.asking import InferRequest, pinned
from flyball.gateway.openinference.messages import HEALTH, OPEN_INFERENCE, messages
from flyball.gateway.openinference.wire import refuse_countless
from flyball.gateway.problems import without_places
from flyball.gateway.receiving import Receiving
from flyball.gateway.refusals import Refusals
from flyball.gateway.routes import Door
from flyball.gateway.tables import LiveRoute, Tables
from flyball.gateway.tracing import Tracer
from flyball.records.permissions import Permission

SERVICE = f"{OPEN_INFERENCE}.GRPCInferenceService"

MAX_CONCURRENT = 512
"""As over REST: beyond it a call is refused at once with RESOURCE_EXHAUSTED."""
LEAVE_SECONDS = 1.0
"""For connections whose calls are still being answered: so long other calls of theirs are told to come again."""
MAX_MESSAGE_CHARACTERS = 1500
"""It travels in a header, where a character may take nine bytes; common clients give all headers together 16 KiB."""

DOORS = {
    "ServerLive": Door("grpc_live", Permission.PROBE),
    "ServerReady": Door("grpc_ready", Permission.PROBE),
    "ModelReady": Door("grpc_model_ready", Permission.PREDICT),
    "ServerMetadata": Door("grpc_server_metadata", Permission.PREDICT),
    "ModelMetadata": Door("grpc_model_metadata", Permission.PREDICT),
    "ModelInfer": Door("grpc_infer", Permission.PREDICT),
    "Check": Door("grpc_health", Permission.PROBE),
}
"""By method: every one that there is, and what it asks for."""
TRACED = frozenset({f"{SERVICE}/ModelInfer"})
"""As over REST: what asks a model, not what probes."""

_CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}

log = logging.getLogger("flyball.gateway")

Method = Callable[[Any, "_Called"], Awaitable[Any]]


class Settings(NamedTuple):
    host: str
    port: int
    """0: any free one. Another one is shared with whoever shares it, as the workers of one gateway do."""
    max_bytes: int
    request_clock: bool
    """Replay: event time comes with each request, in `x-flyball-event-time`."""


class _Called:
    """One call that is being answered."""

    __slots__ = ("context", "model")

    def __init__(self, context: Any) -> None:
        self.context = context
        self.model = ""
        """As its message names it; '' before that is read, or where it names none."""


class _Admission(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpcio has no types
    """Refuses before the message is received: 16 MB of each of hundreds of strangers would be held only to be refused."""

    def __init__(self, refusal: Callable[[Any], FlyballError | None]) -> None:
        self._refusal = refusal

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        refused = self._refusal(handler_call_details)
        if refused is None:
            return await continuation(handler_call_details)

        async def refuse(_: Any, context: Any) -> Any:
            tracing.failed(type(refused).__name__)
            return await _abort(context, refused)

        return grpc.stream_unary_rpc_method_handler(refuse)  # a stream that nobody reads


class GrpcDoors:
    """One server: `inference.GRPCInferenceService` without its stream, and `grpc.health.v1.Health/Check`."""

    def __init__(
        self,
        settings: Settings,
        answers: tuple[Inference, Tables],
        tokens: Tokens,
        counters: tuple[Metrics, Refusals],
        tracer: Tracer | None,
    ) -> None:
        self._settings = settings
        self._inference, self._tables = answers
        self._tokens = tokens
        metrics, self._refusals = counters
        self._metrics = metrics
        self._traces = (GrpcTraces(tracer, TRACED),) if tracer is not None else ()
        self._messages = messages(OPEN_INFERENCE)
        self._health = messages(HEALTH)
        self._receiving = Receiving(settings.max_bytes, metrics)
        self._server: Any = None
        self._open: set[Any] = set()
        """Calls that are being answered, or whose answer is on its way."""
        self._port, self._leaving = 0, False
        metrics.watch_in_flight(self.in_flight)
        self.pending: Callable[[], int] = self.in_flight
        """Requests that are being answered, whatever door they came in by."""
        self.draining = False

    def in_flight(self) -> int:
        """Calls that are being answered."""
        return len(self._open)

    async def start(self) -> int:
        """The port. Raises OperatorError when it is taken."""
        options = [
            ("grpc.max_receive_message_length", self._settings.max_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", int(self._settings.port != 0)),
        ]
        services = self._services()
        self._server = grpc.aio.server(
            options=options,
            maximum_concurrent_rpcs=MAX_CONCURRENT,
            interceptors=(*self._traces, _Admission(self._refusal)),
        )
        self._server.add_generic_rpc_handlers(services)
        host, port = self._settings.host, self._settings.port
        try:
            bound: int = self._server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        except RuntimeError as taken:
            raise OperatorError(
                f"gRPC cannot listen on {host} port {port}", next_step="end who holds it, or choose another port for gRPC"
            ) from taken
        await self._server.start()
        self._port = bound
        return bound

    async def stop(self, grace_seconds: float) -> None:
        """Accept nothing more; finish what was accepted."""
        if self._server is not None:
            self._leaving = True
            await leave(self._port, self._busy, LEAVE_SECONDS)
            await self._server.stop(grace_seconds)

    def _busy(self) -> set[int]:
        """Ports of clients that wait for an answer."""
        return {int(each.peer().rpartition(":")[2]) for each in self._open}

    def _services(self) -> tuple[Any, ...]:
        of = self._messages
        methods = {
            "ServerLive": self._door("ServerLive", of["ServerLiveRequest"], self._live),
            "ServerReady": self._door("ServerReady", of["ServerReadyRequest"], self._ready),
            "ModelReady": self._door("ModelReady", of["ModelReadyRequest"], self._model_ready),
            "ServerMetadata": self._door("ServerMetadata", of["ServerMetadataRequest"], self._server_metadata),
            "ModelMetadata": self._door("ModelMetadata", of["ModelMetadataRequest"], self._model_metadata),
            "ModelInfer": self._door("ModelInfer", None, self._infer),
        }
        check = self._door("Check", self._health["HealthCheckRequest"], self._check)
        return (
            grpc.method_handlers_generic_handler(SERVICE, methods),
            grpc.method_handlers_generic_handler(f"{HEALTH}.Health", {"Check": check}),
        )

    def _refusal(self, called: Any) -> FlyballError | None:
        """Why a call may not come in; None: it may."""
        door = DOORS.get(called.method.rpartition("/")[2])
        if door is None:
            return None  # there is no such method, and gRPC says so itself
        if self._leaving:
            return HttpRefused(
                503, "This worker is ending, and the call was not begun", next_step="Send it again: another one answers"
            )
        try:
            self._tokens.permit(door, _first(called.invocation_metadata, "authorization"))
        except FlyballError as refused:
            self._metrics.requests.answered(door.name, "", refused.http_status, 0.0)
            self._metrics.requests.failed(door.name, "", type(refused).__name__)
            return refused
        return None

    def _door(self, name: str, request: Any, method: Method) -> Any:
        """`name`: in DOORS; whoever calls it was let in. `request` None: the method reads the message itself."""
        door = DOORS[name]

        async def handle(_: Any, context: Any) -> bytes:
            begin, status, size = perf_counter(), 200, 0
            refused: FlyballError | None = None
            called = _Called(context)
            self._open.add(context)
            context.add_done_callback(self._open.discard)
            try:
                body = await self._receiving.message(context)
                size = len(body)
                answer = await method(body if request is None else _parsed(request, body), called)
                if not isinstance(answer, bytes):
                    answer = answer.SerializeToString()
            except FlyballError as error:
                refused, status = _without_frames(error), error.http_status
                tracing.failed(type(error).__name__)
                self._metrics.requests.failed(door.name, called.model, type(error).__name__)
            except Exception:
                log.exception("incident at the door %s", door.name)
                status = 500
                tracing.failed("Unforeseen")
                self._metrics.requests.failed(door.name, called.model, "Unforeseen")
            finally:
                body = b""  # gRPC keeps this frame in a cycle where it is left by an abort
                self._receiving.done(size)
            self._metrics.requests.answered(door.name, called.model, status, perf_counter() - begin)
            if status == 200:
                return answer  # type: ignore[no-any-return]
            return await _abort(context, refused)  # type: ignore[no-any-return]

        # Bytes in, bytes out: what does not decode is the client's fault, and gRPC would call it ours. A stream of one message, which is the same to
        # the client: we say when it is received.
        return grpc.stream_unary_rpc_method_handler(handle)

    async def _live(self, _request: Any, _called: _Called) -> Any:
        return self._messages["ServerLiveResponse"](live=True)

    async def _ready(self, _request: Any, _called: _Called) -> Any:
        return self._messages["ServerReadyResponse"](ready=self._is_ready())

    async def _check(self, request: Any, _called: _Called) -> Any:
        if request.service not in ("", SERVICE):
            raise NotFound(f"There is no service {request.service[:100]!r} here", expected=SERVICE)
        return self._health["HealthCheckResponse"](status=1 if self._is_ready() else 2)

    async def _model_ready(self, request: Any, called: _Called) -> Any:
        called.model = request.name
        try:
            live = pinned(self._inference.route(request.name)[1], request.version)
            self._inference.check_answers(live)
        except (NotFound, HttpRefused):
            return self._messages["ModelReadyResponse"](ready=False)
        return self._messages["ModelReadyResponse"](ready=not self.draining)

    async def _server_metadata(self, _request: Any, _called: _Called) -> Any:
        return self._messages["ServerMetadataResponse"](**metadata.server_metadata())

    async def _model_metadata(self, request: Any, called: _Called) -> Any:
        called.model = request.name
        live = pinned(self._inference.route(request.name)[1], request.version)
        known = metadata.model_metadata(live)
        del known["parameters"]  # the message has no place for them
        return self._messages["ModelMetadataResponse"](**known)

    async def _infer(self, body: bytes, called: _Called) -> Any:
        large = len(body) >= LARGE_BYTES and not self._settings.request_clock
        read = self._messages["ModelInferRequest"]
        request = await carefully(_parsed_large, read, body, line=MESSAGES) if large else _parsed(read, body)
        called.model = request.model_name
        try:
            return await self._answered(request, called.context, large=large)
        except Exception as error:
            self._refusals.count(request.model_name, error)
            raise

    async def _answered(self, request: Any, context: Any, *, large: bool) -> Any:
        table, routed = self._inference.open_route(request.model_name)
        live = pinned(routed, request.model_version)
        at_us = plain.event_us(_metadata(context, "x-flyball-event-time")) if self._settings.request_clock else None
        self._tables.hold(table)  # what is large is read beside the loop, and a swap may come between
        try:
            asked = await carefully(rpc.read_infer, live, request, line=MESSAGES) if large else rpc.read_infer(live, request)
            answer = await self._inference.answer_rows(table, live, asked.rows, at_us, self._caller(context))
            if self._traces:
                tracing.answered((unit.id for unit in dict.fromkeys(answer.units)), answer.ids[0])
        finally:
            self._tables.release(table)
        if asked.rows.n >= LARGE_ROWS:
            return await asyncio.to_thread(self._worded, live, asked, answer)
        return self._worded(live, asked, answer)

    def _caller(self, context: Any) -> Caller:
        remaining = context.time_remaining()
        # Whoever hangs up has this call cancelled, so nothing else needs to tell.
        until = None if remaining is None else asyncio.get_running_loop().time() + remaining
        return Caller(until, pending=self.pending)

    def _worded(self, live: LiveRoute, asked: InferRequest, answer: Answer) -> bytes:
        response = self._messages["ModelInferResponse"]()
        rpc.fill_response(response, live, asked, answer)
        return response.SerializeToString()  # type: ignore[no-any-return]

    def _is_ready(self) -> bool:
        return not self.draining and self._inference.serves


def _parsed_large(request: Any, body: bytes) -> Any:
    """Of a request to infer."""
    refuse_countless(body)
    return _parsed(request, body)


def _parsed(request: Any, body: bytes) -> Any:
    try:
        return request.FromString(body)
    except DecodeError:
        raise RequestError([Fault("message", f"{len(body)} bytes", f"a {request.DESCRIPTOR.full_name}")]) from None


def _metadata(context: Any, name: str) -> bytes:
    return _first(context.invocation_metadata(), name)


def _first(metadata: Any, name: str) -> bytes:
    for known, value in metadata or ():
        if known == name:
            return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return b""


def _without_frames(error: FlyballError) -> FlyballError:
    """They hold the message, and whoever keeps the error is one of them: megabytes, until somebody looks for cycles."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


async def _abort(context: Any, refused: FlyballError | None) -> Any:
    if refused is None:
        return await context.abort(grpc.StatusCode.INTERNAL, "The gateway failed; its log says more.")
    code = _CODES.get(refused.http_status, grpc.StatusCode.FAILED_PRECONDITION)
    words = without_places(refused.message) if isinstance(refused, ModelFailed) else refused.message
    return await context.abort(
        code, words if len(words) <= MAX_MESSAGE_CHARACTERS else f"{words[:MAX_MESSAGE_CHARACTERS]}…", _trailers(refused)
    )


def _trailers(refused: FlyballError) -> tuple[tuple[str, str], ...]:
    """When to come again, wherever REST says so; other headers are HTTP's own."""
    if isinstance(refused, ModelFailed | Overloaded):
        return (("retry-after", str(refused.retry_after)),)
    headers = refused.headers if isinstance(refused, HttpRefused) else ()
    return tuple((name, value) for name, value in headers if name == "retry-after")
