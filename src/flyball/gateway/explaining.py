"""`explain: true`: what each field did to a prediction. By a process of its own for each unit, started when it is first asked, so that neither
the event loop nor other requests carry any of it."""

import asyncio
import importlib.util
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import msgspec
import numpy as np

from flyball.errors import (
    ArtifactDamaged,
    Conflict,
    ExplanationFailed,
    Fault,
    ModelFailed,
    NotInstalled,
    Overloaded,
    RequestError,
)
from flyball.gateway.batches import Answer
from flyball.gateway.metrics import Metrics
from flyball.gateway.runtimes.contract import CodeLimits, Columns, packed
from flyball.gateway.runtimes.worker_process import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Program, WorkerProcess
from flyball.gateway.tables import LiveRoute, LiveUnit
from flyball.gateway.units import MODEL_FILES, code_digests, refuse_unlisted
from flyball.gateway.validation import Rows
from flyball.machine.package_files import whole
from flyball.records import background, codec
from flyball.records.routing import ServedUnit
from flyball.records.unit import Manifest

MAX_ROWS = 32
"""In a request that asks for reasons: each costs thousands of evaluations."""
MAX_IN_HAND = 4
"""Requests of one model that are explained or wait for it; more would pass the deadline in the queue."""
MAX_EXPLAINERS = 4
"""Processes at once in one worker (some 250 MB each); the one that was not asked for longest goes first."""
DEADLINE_SECONDS = 30.0
"""Of one explained request, without the start of its process. The process is ended where a single row takes longer."""


class Attribution(NamedTuple):
    """Of one prediction: `base` and all of `fields` together are its score."""

    fields: dict[str, float]
    base: float


class Progress:
    """Of one request: what its thread and the event loop tell each other. Made on the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = self._loop.create_future()
        """Its process stands and it has its turn: its time runs from here."""
        self.rows = 0
        """That are explained."""
        self.given_up = False
        """Nobody waits for it any more."""

    def begin(self) -> None:
        """In the thread."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        if not self.begun.done():
            self.begun.set_result(None)


class Explainer:
    """One unit's process, started by its first call."""

    def __init__(self, served: ServedUnit, limits: CodeLimits, after: "Future[None] | None" = None) -> None:
        """`after`: one that gives way to this one; its process ends first."""
        self._served = served
        self._after = after
        self._limits = limits
        self._process: WorkerProcess | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self._not_before = 0.0
        self.calls = 0
        """That run or wait."""
        self.asked_at = 0.0
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="explainer")

    def explain(self, columns: Columns, of: list[int], progress: Progress) -> list[Attribution]:
        """In the pool's thread. Row by row, so that a request that takes too long is given up between two and costs nobody the process: what was
        explained by then is returned. Raises ModelFailed, ArtifactDamaged."""
        process = self._started()
        progress.begin()
        told: list[Attribution] = []
        for at, score in enumerate(of):
            if progress.given_up:
                break
            told += self._row(process, {name: values[at : at + 1] for name, values in columns.items()}, score)
            progress.rows += 1
        return told

    def _row(self, process: WorkerProcess, columns: Columns, of: int) -> list[Attribution]:
        names = [column.name for column in self._served.signature.columns]
        request = {**packed(columns, self._served.signature, 1), "of": [of]}

        def read(answer: dict[str, Any]) -> list[Attribution]:
            told = zip(answer["values"], answer["base"], strict=True)
            return [Attribution(dict(zip(names, map(float, values), strict=True)), float(base)) for values, base in told]

        return process.call(request, 65_536 + 16 * (1 + len(names)), read)

    def close(self) -> None:
        """Waits for the call that is running."""
        self.pool.shutdown(wait=True, cancel_futures=True)
        if self._process is not None:
            self._process.close()
        elif self._after is not None:
            wait([self._after])  # whoever begins in this one's place

    def _started(self) -> WorkerProcess:
        if self._process is not None:
            return self._process
        if monotonic() < self._not_before:
            raise ModelFailed("the explainer did not start; it is tried again", retry_after=1 + int(self._pause))
        if self._after is not None:
            wait([self._after])
        try:
            self._process = self._launched()
        except ModelFailed:
            self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
            self._not_before = monotonic() + self._pause
            raise
        return self._process

    def _launched(self) -> WorkerProcess:
        return WorkerProcess(Program("flyball.gateway.explain_worker", "the explainer", self._order()), self._limits)

    def _order(self) -> dict[str, Any]:
        """Files and the digests that the unit's manifest gives them; the process checks the bytes that it reads."""
        package, unit = Path(self._served.package), self._served.unit
        try:
            manifest = codec.decode(whole(package, "manifest.json"), Manifest)
        except (OSError, msgspec.MsgspecError) as unreadable:
            raise ArtifactDamaged(f"the manifest of {unit.id} cannot be read: {unreadable}") from unreadable
        if codec.digest(manifest) != unit.manifest_digest:
            raise ArtifactDamaged(f"the manifest of {unit.id} has changed on disk", expected=f"{unit.manifest_digest[:12]}…")
        refuse_unlisted(package, manifest)
        model = MODEL_FILES[self._served.format]
        return {
            "model": str(package / model),
            "model_digest": manifest.files[model],
            "code": code_digests(manifest),
            "background": str(package / background.FILE),
            "background_digest": manifest.files.get(background.FILE, "no background in its manifest"),
            "format": self._served.format,
            "signature": msgspec.to_builtins(self._served.signature),
            "calibration": msgspec.to_builtins(unit.calibration),
        }


class Explaining:
    """All explainers of one worker. On the event loop only."""

    def __init__(self, limits: CodeLimits, metrics: Metrics, make: Callable[..., Explainer] = Explainer) -> None:
        self._metrics = metrics
        self._make = make
        # Compiling shap's loops takes 9 s at each start and saves 2 to 6 ms a row: interpreted, the first answer comes in 3 s.
        uncompiled = (*limits.environment, ("NUMBA_DISABLE_JIT", "1"))
        self._limits = limits._replace(deadline_seconds=DEADLINE_SECONDS, environment=uncompiled)
        self._explainers: dict[str, Explainer] = {}
        self._served: Container[str] | None = None
        """Units that may have one; None: nobody has said yet."""
        self._in_hand: Counter[str] = Counter()
        self._leaving = 0
        """Those that are being closed: each waits for the call that is running, in a thread of its own."""
        self._closing = ThreadPoolExecutor(MAX_EXPLAINERS, thread_name_prefix="explainer-closing")

    @contextmanager
    def admitted(self, live: LiveRoute, rows: Rows) -> Iterator[None]:
        """Around the answer and its reasons, so that nothing is answered whose reasons cannot be given.
        Raises RequestError, NotInstalled, Conflict, Overloaded."""
        if rows.n > MAX_ROWS:
            raise RequestError([Fault("rows", f"{rows.n} rows", f"at most {MAX_ROWS} in a request with explain")])
        if importlib.util.find_spec("shap") is None:
            raise NotInstalled("This gateway cannot explain: shap is not installed",
                               next_step="pip install 'flyball[explain]' where the gateway runs, then start it again")  # fmt: skip
        units = [unit for unit in (live.champion, live.canary, live.fallback, *live.arms) if unit is not None]
        for unit in units:
            if not (Path(unit.served.package) / background.FILE).is_file():
                raise Conflict(f"{unit.id} cannot be explained: its package has no {background.FILE}, an older Flyball made it",
                               next_step="flyball run, and release the new version")  # fmt: skip
        if max(self._in_hand[live.model], self.calls(units)) >= MAX_IN_HAND:
            self._metrics.shed(live.model, "explanations")
            raise Overloaded(429, f"{MAX_IN_HAND} requests are being explained already")
        self._in_hand[live.model] += 1
        try:
            yield
        finally:
            self._in_hand[live.model] -= 1

    async def attributions(self, live: LiveRoute, rows: Rows, answer: Answer) -> list[Attribution]:
        """One a row, by the unit that answered it: of the score, or of the most probable class. Raises ExplanationFailed, ArtifactDamaged."""
        columns = live.builder.of_rows(rows).columns
        of = [int(np.argmax(scores)) if live.signature.n_scores > 1 else 0 for scores in answer.scores]
        shares = {unit: [row for row, by in enumerate(answer.units) if by is unit] for unit in dict.fromkeys(answer.units)}
        asked = [
            self._explained(unit, {name: columns[name][at] for name in unit.names}, [of[row] for row in at])
            for unit, at in shares.items()
        ]
        try:
            found = await asyncio.gather(*asked)
        except ModelFailed as failed:
            raise ExplanationFailed(
                failed.found,
                expected=failed.expected,
                next_step=failed.next_step,
                retry_after=failed.retry_after,
                died=failed.died,
            ) from failed
        told: dict[int, Attribution] = {}
        for at, given in zip(shares.values(), found, strict=True):
            told |= zip(at, given, strict=True)
        return [told[row] for row in range(rows.n)]

    def calls(self, units: Iterable[LiveUnit]) -> int:
        """The most that run or wait at one of them, those included whose callers have left."""
        return max((self._explainers[unit.id].calls for unit in units if unit.id in self._explainers), default=0)

    def forget_others(self, units: Container[str]) -> None:
        """Close the explainers of units that are not among `units`, and begin none of theirs; does not wait."""
        self._served = units
        for name in [name for name in self._explainers if name not in units]:
            self._close(name)

    def close(self) -> None:
        self.forget_others(())
        self._closing.shutdown(wait=True)

    async def _explained(self, unit: LiveUnit, columns: Columns, of: list[int]) -> list[Attribution]:
        explainer = self._explainers.get(unit.id) or self._begun(unit)
        explainer.calls += 1
        explainer.asked_at = monotonic()

        def ended() -> None:
            explainer.calls -= 1

        # Its thread goes on where its caller has left: so long it is not idle.
        progress = Progress()
        call = explainer.pool.submit(explainer.explain, columns, of, progress)
        call.add_done_callback(_on_loop(ended))
        answer = asyncio.wrap_future(call)
        try:
            return await self._in_time(answer, progress, len(of))
        except asyncio.CancelledError as cancelled:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ModelFailed(f"{unit.id} was replaced while it was being explained") from cancelled
        finally:
            progress.given_up = True
            answer.cancel()

    async def _in_time(self, answer: "asyncio.Future[list[Attribution]]", progress: Progress, n: int) -> list[Attribution]:
        """Raises ModelFailed."""
        seconds = self._limits.deadline_seconds
        begun: list[asyncio.Future[Any]] = [answer, progress.begun]
        await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([answer], timeout=seconds)
        if not answer.done() and progress.rows:
            raise ModelFailed(f"{progress.rows} of {n} rows were explained in {seconds:g} s",
                              next_step=f"Send fewer in a request, at most {progress.rows}", retry_after=0)  # fmt: skip
        return await answer  # of a first row that takes as long the process is being ended

    def _begun(self, unit: LiveUnit) -> Explainer:
        """Raises ModelFailed: as many as may are at work, or nobody would end this one."""
        if self._served is not None and unit.id not in self._served:
            raise ModelFailed(f"{unit.id} was replaced before it was explained")
        up, after = len(self._explainers) + self._leaving, None
        if up >= MAX_EXPLAINERS:
            idle = sorted((each.asked_at, name) for name, each in self._explainers.items() if not each.calls)
            if not idle:
                raise ModelFailed(f"{up} explainers are at work already")
            after = self._close(idle[0][1])
        explainer = self._explainers[unit.id] = self._make(unit.served, self._limits, after)
        return explainer

    def _close(self, name: str) -> "Future[None]":
        """It counts until its process has ended."""
        self._leaving += 1

        def left() -> None:
            self._leaving -= 1

        closed = self._closing.submit(self._explainers.pop(name).close)
        closed.add_done_callback(_on_loop(left))
        return closed


def _on_loop(tell: Callable[[], None]) -> "Callable[[Future[Any]], None]":
    """What calls `tell` on the event loop that is running now."""
    loop = asyncio.get_running_loop()

    def told(_: "Future[Any]") -> None:
        with suppress(RuntimeError):  # it has ended, and nobody counts any more
            loop.call_soon_threadsafe(tell)

    return told
