"""The autopilot with its defaults over one stream: the same pure functions that the platform calls, at the end of every block."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.loop.fits import Fits, Window
from bench.loop.streams import FIRST, Floats
from flyball.autopilot import tournament, worth
from flyball.autopilot.entrants import Entrant, History, Strategy, entrant_of, possible
from flyball.records.findings import IncidentKind
from flyball.stats import logistic

START, DAY = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1)
"""A block of the stream is a day."""
MAPPED = 3
"""Newest mature blocks that a map over the scores is fitted on."""
HELD = 1
"""Newest mature blocks that no entrant learns from."""


class Unit(NamedTuple):
    window: Window
    strategy: Strategy = Strategy.ALL
    change: int | None = None
    """Block of the change since which it learned; None: it learned from before, too."""
    mapped: tuple[int, int] | None = None
    """Blocks that its map was fitted on; None: scores are answered as they are."""

    @property
    def known_until(self) -> int:
        """First block that it did not learn from."""
        return self.window.last if self.mapped is None else self.mapped[1]

    @property
    def name(self) -> str:
        window = f"{self.window.first}-{self.window.last}{'w' if self.window.half_life else ''}"
        return window if self.mapped is None else f"{window}+{self.mapped[1]}"


class Answered(NamedTuple):
    """What one way of governing gave over a stream."""

    losses: Floats
    """Mean bounded loss of each answered block."""
    fits: tuple[Window, ...]
    occasions: int
    """Tournaments, or retrainings of a schedule, that trained."""
    changes: int
    """Times that another unit became champion."""
    log: tuple[str, ...] = ()
    alarms: tuple[int, ...] = ()
    """Blocks at whose end a change was said to have happened."""


class Answers:
    """Losses of units, with and without maps over their scores."""

    def __init__(self, fits: Fits) -> None:
        self.fits, self._known = fits, {}

    def of(self, unit: Unit) -> Floats:
        """Of each row of the stream; NaN where it learned from the row. (n_rows,)"""
        if unit not in self._known:
            losses = self.fits.losses(unit.window)
            if unit.mapped is not None:
                losses = losses.copy()
                first, last = unit.mapped
                block, offset = self.fits.stream.block, unit.window.last * self.fits.stream.block
                scores = self.fits.scores(unit.window)
                known = slice(first * block - offset, last * block - offset)
                labels = self.fits.stream.labels[first * block : last * block]
                answers = _map(scores[known], labels)
                if answers is not None:
                    losses = self.fits.losses_of(unit.window, answers(scores))
                losses[: last * block] = np.nan
            self._known[unit] = losses
        return self._known[unit]

    def blocks(self, unit: Unit, first: int, last: int) -> Floats:
        block = self.fits.stream.block
        return self.of(unit)[first * block : last * block]


def _map(scores: NDArray[np.float32], labels: Floats):
    odds = logistic.logit(np.clip(scores.astype(float), 1e-6, 1 - 1e-6))
    columns = np.column_stack([np.ones_like(odds), odds])
    level, slope = logistic.fit(columns, labels, np.ones_like(labels), [0.0, 1.0])
    if slope <= 0.0:
        return None
    return lambda asked: logistic.expit(level + slope * logistic.logit(np.clip(asked.astype(float), 1e-6, 1 - 1e-6)))


class Pilot:
    """One flight over a stream, labels `delay` blocks late."""

    def __init__(self, fits: Fits, delay: int, seed: int) -> None:
        self.answers, self.fits, self.delay, self.seed = Answers(fits), fits, delay, seed
        first = Unit(Window(0, FIRST))
        self.champion, self.pool = first, [first]
        self.past: list[tournament.PastTournament] = []
        self.trained_at = FIRST
        self.made: list[Window] = []
        self.changes, self.log, self.alarms = 0, [], []

    def fly(self) -> Answered:
        blocks, losses = self.fits.stream.blocks, []
        for t in range(FIRST, blocks):
            losses.append(float(self.answers.blocks(self.champion, t, t + 1).mean()))
            mature = t + 1 - self.delay
            if t + 1 < blocks and mature > FIRST:
                self._decide(mature)
        return Answered(np.array(losses), tuple(self.made), len(self.past), self.changes, tuple(self.log), tuple(self.alarms))

    def _decide(self, mature: int) -> None:
        """At a block's end: blocks before `mature` have their labels."""
        found = worth.assess(self._situation(mature), worth.CostPolicy())
        change = None if found.since is None else (found.since - START) // DAY
        if found.excess > 0.0:
            self.alarms.append(mature)
        kind = IncidentKind.CONCEPT_SHIFT if change is not None else None
        if change is None:
            change = self.champion.change
        held = mature - HELD
        enough = change is None or change < held
        fits = tournament.MOST_FITS if found.act and enough else 0
        asked = tournament.order(self.past, kind, possible(self._history(held, change), kind), self.seed, fits)
        units = {entrant.name: unit for entrant in asked for unit in self._unit(entrant, held)}
        trained = tuple(units[each.name].window for each in asked if each.trains)
        self.made += [window for window in trained if window not in self.made]
        judged = self._judge(units, mature)
        if judged is None:
            return
        if fits:
            self._remember(mature, kind, found, judged, change)
            self.pool += [units[each.name] for each in asked if each.trains and units[each.name] not in self.pool]
            self.log.append(f"{mature}: {found.words} | {[each.name for each in asked if each.trains]} | {judged.words}")
        if judged.winner is not None:
            winner = units[judged.winner]
            if entrant_of(judged.winner).strategy is Strategy.RECALIBRATE:
                winner = self._mapped(mature)
            self.log.append(f"{mature}: {self.champion.name} -> {winner.name}: {judged.words}")
            self.champion, self.changes = winner, self.changes + 1

    def _situation(self, mature: int) -> worth.WorthSituation:
        block, first = self.fits.stream.block, self.champion.window.last
        windows = []
        plain = self.champion._replace(mapped=None)
        for b in range(first, mature):
            rows = self.answers.blocks(self.champion if b >= self.champion.known_until else plain, b, b + 1)
            windows.append(
                worth.JudgedWindow(start=START + b * DAY, rows=rows.size, loss=float(rows.mean()), spread=float(rows.std()))
            )
        begin = self.champion.change or 0
        return worth.WorthSituation(
            windows=tuple(windows),
            rows=(mature - begin) * block,
            trained_rows=(self.trained_at - begin) * block,
            past=tuple(self.past),
        )

    def _history(self, held: int, change: int | None) -> History:
        block, maps = self.fits.stream.block, self.fits.stream.task == "binary"
        current = self.champion._replace(mapped=None)
        earlier = tuple(unit.name for unit in self.pool if unit != self.champion)
        del current
        return History(
            begin=START, until=START + held * DAY, rows=held * block, earlier=earlier, maps_scores=maps,
            change=None if change is None else START + change * DAY, rows_since_change=0 if change is None else (held - change) * block,
        )  # fmt: skip

    def _unit(self, entrant: Entrant, held: int) -> Iterator[Unit]:
        """What it is made of; nothing, if it cannot be made."""
        strategy, detail = entrant.strategy, entrant.detail
        if strategy is Strategy.EARLIER:
            yield next(unit for unit in self.pool if unit.name == detail)
        elif strategy is Strategy.RECALIBRATE:
            yield self.champion
        elif strategy is Strategy.SINCE:
            change = (datetime.fromisoformat(detail) - START) // DAY
            yield Unit(Window(change, held), strategy, change)
        else:
            days = int(detail.rstrip("dw") or 0) * (7 if detail.endswith("w") else 1)
            if strategy is Strategy.RECENT:
                yield Unit(Window(max(held - days, 0), held), strategy)
            else:
                yield Unit(Window(0, held, days), strategy)

    def _mapped(self, at: int) -> Unit:
        """The champion's model with a map fitted on the blocks before `at`."""
        return self.champion._replace(mapped=(max(at - MAPPED, self.champion.window.last), at))

    def _judge(self, units: dict[str, Unit], mature: int) -> tournament.Judgement | None:
        first = max(mature - tournament.MOST_WINDOWS, self.champion.known_until)
        if not units or first >= mature:
            return None
        block = self.fits.stream.block
        losses = {
            name: self._had_it_been_mapped(first, mature)
            if name == Strategy.RECALIBRATE
            else self.answers.blocks(unit, first, mature)
            for name, unit in units.items()
        }
        windows = np.arange(first * block, mature * block) // block
        return tournament.judge(self.answers.blocks(self.champion, first, mature), losses, windows)

    def _had_it_been_mapped(self, first: int, mature: int) -> Floats:
        """Each block answered through a map fitted on what was mature before it."""
        parts = []
        for b in range(first, mature):
            at = b - self.delay
            known = at > self.champion.window.last
            unit = self._mapped(at) if known else self.champion
            rows = self.answers.blocks(unit, b, b + 1)
            parts.append(rows if known else np.full_like(rows, np.nan))
        return np.concatenate(parts)

    def _remember(
        self, mature: int, kind: IncidentKind | None, found: worth.Worth, judged: tournament.Judgement, change: int | None
    ) -> None:
        self.past.append(
            tournament.PastTournament(
                at=START + mature * DAY, kind=kind, growth=found.growth, excess=found.excess, standings=judged.standings,
                winner=judged.winner, rows_since_change=0 if change is None else (mature - change) * self.fits.stream.block,
            )
        )  # fmt: skip
        self.trained_at = mature
