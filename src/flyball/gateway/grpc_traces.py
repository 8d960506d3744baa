"""Spans of gRPC calls, as those of requests over REST: the child of the `traceparent` in a call's metadata, refusals included. Off it does not exist."""

import asyncio
from collections.abc import Container
from typing import Any

import grpc
import grpc.aio

from flyball.gateway import tracing
from flyball.gateway.tracing import Call, Tracer

_CARRIERS = ("traceparent", "tracestate")
_FAILED = frozenset({
    grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS,
})  # fmt: skip
"""What OpenTelemetry's conventions of gRPC call an error of the server: others are their caller's."""


class GrpcTraces(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpcio has no types
    """Stands before whoever refuses calls. `methods`: those that are traced, as `package.Service/Method`."""

    def __init__(self, tracer: Tracer, methods: Container[str]) -> None:
        self._tracer = tracer
        self._methods = methods

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method.lstrip("/")
        if handler is None or method not in self._methods:
            return handler

        async def traced(messages: Any, context: Any) -> Any:
            call = self._begun(method, context)
            with tracing.ongoing(call):
                try:
                    return await handler.stream_unary(messages, context)
                except asyncio.CancelledError:
                    context.set_code(grpc.StatusCode.CANCELLED)  # its caller has gone, and nobody else will say so
                    raise
                finally:
                    code = context.code() or grpc.StatusCode.OK
                    self._tracer.answered(call, {"rpc.response.status_code": code.name}, failed=code in _FAILED)

        return grpc.stream_unary_rpc_method_handler(traced)

    def _begun(self, method: str, context: Any) -> Call:
        carried = {name: value for name, value in context.invocation_metadata() or () if name in _CARRIERS}
        return self._tracer.begin(method, carried, {"rpc.system.name": "grpc", "rpc.method": method})
