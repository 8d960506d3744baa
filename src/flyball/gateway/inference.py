"""One request's way through the gateway, whatever door it came in by: find the route, answer, hand over, let shadows follow."""

from flyball.errors import HttpRefused, NotFound
from flyball.gateway import tracing
from flyball.gateway.answering import Answer, Answering
from flyball.gateway.capture_writer import CaptureWriter
from flyball.gateway.shadows import Job, Shadows
from flyball.gateway.tables import LiveRoute, LiveTable, Tables
from flyball.gateway.validation import Rows


class Inference:
    """What the doors of REST and gRPC share."""

    def __init__(self, tables: Tables, answering: Answering, shadows: Shadows, capture: CaptureWriter) -> None:
        self._tables = tables
        self._answering = answering
        self._shadows = shadows
        self._capture = capture

    def route(self, model: str) -> tuple[LiveTable, LiveRoute]:
        """Raises NotFound; HttpRefused 503 while there is no table."""
        table = self._tables.live
        if table is None:
            raise HttpRefused(503, "This gateway has no routing table yet", headers=[("retry-after", "1")])
        live = table.routes.get(model)
        if live is None:
            raise NotFound(
                f"There is no model {model[:100]!r} here", expected=", ".join(sorted(table.routes)) or "none is routed yet"
            )
        return table, live

    async def answer(self, table: LiveTable, live: LiveRoute, rows: Rows, at_us: int, *, simulated: bool = False) -> Answer:
        """The answer, its records handed over. Shadows follow: at once after it, or before it on a simulated clock. Raises ModelFailed."""
        self._tables.hold(table)
        try:
            answer, records = await self._answering.answer(live, rows, at_us, table.revision)
            if live.shadows and simulated:
                records += await self._answering.shadow(live, rows, answer)
            self._capture.hand_over(records)
            tracing.scored(records)
            if live.shadows and not simulated:
                self._shadows.offer(Job(table, live, rows, answer))
        finally:
            self._tables.release(table)
        return answer
