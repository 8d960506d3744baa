"""What a replay tells while it lives: one line a day."""

from datetime import datetime, timedelta

from flyball.control.engine import Engine
from flyball.control.replay_position import Sent
from flyball.control.unit_names import unit_names
from flyball.control.window_words import labelled
from flyball.records.findings import WindowSummary


class Diary:
    """Keeps no figures from day to day: a replay that goes on tells what one that was not interrupted tells."""

    def __init__(self, engine: Engine, metrics: tuple[str, ...]) -> None:
        """`metrics`: the report's, its own first; of windows that do not measure that one the next is told."""
        self._engine = engine
        self._metrics = metrics
        self._read = 0
        """Events up to here."""

    def day(self, now: datetime, before: Sent, sent: Sent) -> None:
        """Say how the day that ended was."""
        yesterday = now - timedelta(days=1)
        new = self._findings(yesterday, now)
        parts = [
            f"{yesterday:%Y-%m-%d}",
            f"{sent.requests - before.requests:3d} requests",
            f"{sent.predictions - before.predictions:5d} rows",
            self._performance(),
            self._serving(),
        ]
        if new:
            parts.append(f"{new} finding" + "s" * (new > 1))
        if sent.refused_rows:
            parts.append(f"{sent.refused_rows} rows REFUSED")
        if sent.failed_requests:
            parts.append(f"{sent.failed_requests} FAILED")
        self._engine.world.say("plain", "  ".join(parts))

    def _findings(self, after: datetime, until: datetime) -> int:
        ledger = self._engine.world.ports.ledger
        raised = ledger.events(after=self._read, kinds=("finding.raised",))
        self._read = ledger.head().seq
        return sum(after < event.at <= until for event in raised)

    def _performance(self) -> str:
        """Of the newest mature window, the champion's where several end there: younger ones would flatter or slander."""
        world, champion = self._engine.world, self._engine.releases.champion()
        mature = [window for window in world.all("window", WindowSummary) if window.mature and window.metrics]
        if not mature:
            return "no mature labels yet"
        own = champion.unit if champion is not None else ""
        newest = max(mature, key=lambda window: (window.start, window.unit == own))
        # Windows measure what `evaluate.metrics` lists alone.
        name = next(each for each in (*self._metrics, *newest.metrics) if each in newest.metrics)
        evidence = newest.metrics[name]
        whose = "" if newest.unit == own else f" of {unit_names(world).get(newest.unit, newest.unit)}"
        if evidence.value is None:
            return f"{name} not measurable on {newest.start:%m-%d}{whose}"
        rows = labelled(newest) if newest.shadow else f"{labelled(newest)}/{newest.predictions} labels"
        return f"{name} {evidence.value:.3f} on {newest.start:%m-%d}{whose} ({rows})"

    def _serving(self) -> str:
        champion, release = self._engine.releases.champion(), self._engine.releases.active()
        names = unit_names(self._engine.world)
        words = f"champion {names.get(champion.unit, champion.unit)}" if champion else "no champion"
        if release is not None and champion is not None and release.challenger != champion.unit:
            words += f", {names.get(release.challenger, release.challenger)} in {release.phase.value}"
        return words
