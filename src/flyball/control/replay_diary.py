"""What a replay tells while it lives: one line a day."""

from datetime import datetime, timedelta

from flyball.control.engine import Engine
from flyball.control.replay_position import Sent
from flyball.records.evidence import Evidence
from flyball.records.findings import WindowSummary
from flyball.records.unit import Unit


class Diary:
    """Keeps no figures from day to day: a replay that goes on tells what one that was not interrupted tells."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
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
        """Of the newest mature window: younger ones would flatter or slander."""
        mature = [window for window in self._engine.world.all("window", WindowSummary) if window.mature and window.metrics]
        if not mature:
            return "no mature labels yet"
        newest = max(mature, key=lambda window: window.start)
        name = next((name for name in ("roc_auc", "log_loss", "mae") if name in newest.metrics), "")
        evidence: Evidence | None = newest.metrics.get(name)
        if evidence is None or evidence.value is None:
            return "not measurable"
        return f"{name} {evidence.value:.3f} on {newest.start:%m-%d} ({newest.labels}/{newest.predictions} labels)"

    def _serving(self) -> str:
        world = self._engine.world
        champion, release = self._engine.releases.champion(), self._engine.releases.active()
        unit = world.get("unit", champion.unit, Unit) if champion else None
        words = f"champion v{unit.version}" if unit else "no champion"
        if release is not None and champion is not None and release.challenger != champion.unit:
            challenger = world.get("unit", release.challenger, Unit)
            words += f", v{challenger.version if challenger else '?'} in {release.phase.value}"
        return words
