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
from flyball.gateway import plain
from flyball.gateway.access import Tokens
from flyball.gateway.callers import Caller
from flyball.gateway.inference import Inference
from flyball.gateway.metrics import Metrics
from flyball.gateway.openinference import metadata, rpc
from flyball.gateway.openinference.asking import pinned
from flyball.gateway.openinference.messages import HEALTH, OPEN_INFERENCE, messages
from flyball.gateway.refusals import Refusals
from flyball.gateway.routes import Door
from flyball.records.permissions import Permission

SERVICE = f"{OPEN_INFERENCE}.GRPCInferenceService"

MAX_CONCURRENT = 512
"""As over REST: beyond it a call is refused at once with RESOURCE_EXHAUSTED."""
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

Method = Callable[[Any, Any], Awaitable[Any]]


class Settings(NamedTuple):
    host: str
    port: int
    """0: any free one. Another one is shared with whoever shares it, as the workers of one gateway do."""
    max_bytes: int
    request_clock: bool
    """Replay: event time comes with each request, in `x-flyball-event-time`."""


class _Admission(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpcio has no types
    """Refuses before the message is received: 16 MB of each of hundreds of strangers would be held only to be refused."""

    def __init__(self, refusal: Callable[[Any], FlyballError | None]) -> None:
        self._refusal = refusal

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        refused = self._refusal(handler_call_details)
        if refused is None:
            return await continuation(handler_call_details)

        async def refuse(_: Any, context: Any) -> Any:
            return await _abort(context, refused)

        return grpc.stream_unary_rpc_method_handler(refuse)  # a stream that nobody reads


class GrpcDoors:
    """One server: `inference.GRPCInferenceService` without its stream, and `grpc.health.v1.Health/Check`."""

    def __init__(self, settings: Settings, inference: Inference, tokens: Tokens, counters: tuple[Metrics, Refusals]) -> None:
        self._settings = settings
        self._inference = inference
        self._tokens = tokens
        metrics, self._refusals = counters
        self._metrics = metrics
        self._messages = messages(OPEN_INFERENCE)
        self._health = messages(HEALTH)
        self._server: Any = None
        self._in_flight = 0
        metrics.watch_in_flight(self.in_flight)
        self.pending: Callable[[], int] = self.in_flight
        """Requests that are being answered, whatever door they came in by."""
        self.draining = False

    def in_flight(self) -> int:
        """Calls that are being answered."""
        return self._in_flight

    async def start(self) -> int:
        """The port. Raises OperatorError when it is taken."""
        options = [
            ("grpc.max_receive_message_length", self._settings.max_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", int(self._settings.port != 0)),
        ]
        services = self._services()
        self._server = grpc.aio.server(
            options=options, maximum_concurrent_rpcs=MAX_CONCURRENT, interceptors=(_Admission(self._refusal),)
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
        return bound

    async def stop(self, grace_seconds: float) -> None:
        """Accept nothing more; finish what was accepted."""
        if self._server is not None:
            await self._server.stop(grace_seconds)

    def _services(self) -> tuple[Any, ...]:
        of = self._messages
        methods = {
            "ServerLive": self._door("ServerLive", of["ServerLiveRequest"], self._live),
            "ServerReady": self._door("ServerReady", of["ServerReadyRequest"], self._ready),
            "ModelReady": self._door("ModelReady", of["ModelReadyRequest"], self._model_ready),
            "ServerMetadata": self._door("ServerMetadata", of["ServerMetadataRequest"], self._server_metadata),
            "ModelMetadata": self._door("ModelMetadata", of["ModelMetadataRequest"], self._model_metadata),
            "ModelInfer": self._door("ModelInfer", of["ModelInferRequest"], self._infer),
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
        try:
            self._tokens.permit(door, _first(called.invocation_metadata, "authorization"))
        except FlyballError as refused:
            self._metrics.request(door.name, refused.http_status, 0.0)
            self._metrics.errors.labels(door.name, type(refused).__name__).inc()
            return refused
        return None

    def _door(self, name: str, request: Any, method: Method) -> Any:
        """`name`: in DOORS; whoever calls it was let in."""
        door = DOORS[name]

        async def handle(body: bytes, context: Any) -> bytes:
            begin, status = perf_counter(), 200
            refused: FlyballError | None = None
            self._in_flight += 1
            try:
                answer: bytes = (await method(_parsed(request, body), context)).SerializeToString()
            except FlyballError as error:
                refused, status = error, error.http_status
                self._metrics.errors.labels(door.name, type(error).__name__).inc()
            except Exception:
                log.exception("incident at the door %s", door.name)
                status = 500
                self._metrics.errors.labels(door.name, "Unforeseen").inc()
            finally:
                self._in_flight -= 1
            self._metrics.request(door.name, status, perf_counter() - begin)
            if status == 200:
                return answer
            return await _abort(context, refused)  # type: ignore[no-any-return]

        # Bytes in, bytes out: what does not decode is the client's fault, and gRPC would call it ours.
        return grpc.unary_unary_rpc_method_handler(handle)

    async def _live(self, _request: Any, _context: Any) -> Any:
        return self._messages["ServerLiveResponse"](live=True)

    async def _ready(self, _request: Any, _context: Any) -> Any:
        return self._messages["ServerReadyResponse"](ready=self._is_ready())

    async def _check(self, request: Any, _context: Any) -> Any:
        if request.service not in ("", SERVICE):
            raise NotFound(f"There is no service {request.service[:100]!r} here", expected=SERVICE)
        return self._health["HealthCheckResponse"](status=1 if self._is_ready() else 2)

    async def _model_ready(self, request: Any, _context: Any) -> Any:
        try:
            live = pinned(self._inference.route(request.name)[1], request.version)
            self._inference.check_answers(live)
        except (NotFound, HttpRefused):
            return self._messages["ModelReadyResponse"](ready=False)
        return self._messages["ModelReadyResponse"](ready=not self.draining)

    async def _server_metadata(self, _request: Any, _context: Any) -> Any:
        return self._messages["ServerMetadataResponse"](**metadata.server_metadata())

    async def _model_metadata(self, request: Any, _context: Any) -> Any:
        live = pinned(self._inference.route(request.name)[1], request.version)
        known = metadata.model_metadata(live)
        del known["parameters"]  # the message has no place for them
        return self._messages["ModelMetadataResponse"](**known)

    async def _infer(self, request: Any, context: Any) -> Any:
        try:
            return await self._answered(request, context)
        except Exception as error:
            self._refusals.count(request.model_name, error)
            raise

    async def _answered(self, request: Any, context: Any) -> Any:
        table, routed = self._inference.open_route(request.model_name)
        live = pinned(routed, request.model_version)
        at_us = plain.event_us(_metadata(context, "x-flyball-event-time")) if self._settings.request_clock else None
        asked = rpc.read_infer(live, request)
        remaining = context.time_remaining()
        # Whoever hangs up has this call cancelled, so nothing else needs to tell.
        until = None if remaining is None else asyncio.get_running_loop().time() + remaining
        caller = Caller(until, pending=self.pending)
        answer = await self._inference.answer_rows(table, live, asked.rows, at_us, caller)
        response = self._messages["ModelInferResponse"]()
        rpc.fill_response(response, live, asked, answer)
        return response

    def _is_ready(self) -> bool:
        return not self.draining and self._inference.serves


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


async def _abort(context: Any, refused: FlyballError | None) -> Any:
    if refused is None:
        return await context.abort(grpc.StatusCode.INTERNAL, "The gateway failed; its log says more.")
    trailers = (("retry-after", str(refused.retry_after)),) if isinstance(refused, ModelFailed | Overloaded) else ()
    code = _CODES.get(refused.http_status, grpc.StatusCode.FAILED_PRECONDITION)
    words = refused.message
    return await context.abort(
        code, words if len(words) <= MAX_MESSAGE_CHARACTERS else f"{words[:MAX_MESSAGE_CHARACTERS]}…", trailers
    )
