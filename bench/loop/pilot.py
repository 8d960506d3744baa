"""The autopilot with its defaults over one stream: the same pure functions that the platform calls, at the end of every block."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby, starmap, takewhile
from typing import NamedTuple

import msgspec
import numpy as np

from bench.loop.answers import Answers, Unit
from bench.loop.fits import Window
from bench.loop.streams import FIRST, Floats, Stream
from flyball.adapters.steps.apart import LEAST_JUDGES
from flyball.adapters.steps.mended import LEAST_ROWS
from flyball.autopilot import tournament, worth
from flyball.autopilot.entrants import Entrant, History, Strategy, entrant_of, possible
from flyball.autopilot.judges import judging
from flyball.control.tournaments import MOST_EARLIER, REMEMBERED
from flyball.records.findings import IncidentKind

START, DAY = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1)
"""A block of the stream is a day."""
SHARE = 0.2
"""Of the blocks, as `evaluate.holdout` has it without being told: those at the end of what the first model learned on say what it lost before it answered anybody."""
HOLDOUT = round(SHARE * FIRST)
LOOKED_BACK = 8
"""Blocks after a tournament that tell what its winner really gave."""


class Answered(NamedTuple):
    """What one way of governing gave over a stream."""

    losses: Floats
    """Mean loss of each answered block."""
    fits: tuple[Window, ...] = ()
    occasions: int = 0
    """Tournaments, or retrainings of a schedule, that trained."""
    changes: int = 0
    """Times that another model became champion."""
    recalibrations: int = 0
    log: tuple[str, ...] = ()
    alarms: tuple[int, ...] = ()
    """Blocks at whose end the loss was said to have risen."""


class Pilot:
    """One flight over a stream, labels `delay` blocks late."""

    def __init__(self, answers: Answers, delay: int, seed: int) -> None:
        self.answers, self.delay, self.seed = answers, delay, seed
        self.champion = Unit(Window(0, FIRST))
        self.pool = [self.champion]
        """Verified: each of them has been champion, who was so last at the end."""
        self.judged = {self.champion.window: Window(0, FIRST - HOLDOUT)}
        """What was refitted on all rows → what was judged."""
        self.past: list[tournament.PastTournament] = []
        self.took_over: list[tuple[Unit, Unit] | None] = []
        """Of each past tournament whose winner was trained for it: the champion before, and the winner."""
        self.trained_at = FIRST
        self.made: list[Window] = []
        self.changes, self.recalibrations = 0, 0
        self.log: list[str] = []
        self.alarms: list[int] = []
        self.answered: list[tuple[Unit, float]] = []
        """Of each block, who was champion in it, and its loss."""
        self.uncommon = _uncommon(answers.stream)

    def fly(self) -> Answered:
        blocks, losses = self.answers.stream.blocks, []
        for t in range(FIRST, blocks):
            losses.append(float(self._rows(self.champion, t, t + 1).mean()))
            self.answered.append((self.champion, losses[-1]))
            mature = t + 1 - self.delay
            if t + 1 < blocks and mature > FIRST:
                self._decide(mature)
                self.recalibrations += self.champion.mapped is not None
        return Answered(
            np.array(losses), tuple(self.made), len(self.past), self.changes, self.recalibrations, tuple(self.log), tuple(self.alarms)
        )  # fmt: skip

    @property
    def _remembered(self) -> tuple[tournament.PastTournament, ...]:
        """As control/tournaments.py hands it on: all of `past` have trained."""
        return tuple(self.past[-REMEMBERED:])

    def _rows(self, unit: Unit, first: int, last: int) -> Floats:
        """Losses of rows in these blocks."""
        block = self.answers.stream.block
        return self.answers.of(unit)[first * block : last * block]

    def _decide(self, mature: int) -> None:
        """At a block's end: blocks before `mature` have their labels."""
        self._look_back(mature)
        found = worth.assess(self._situation(mature), worth.CostPolicy())
        change = None if found.since is None else (found.since - START) // DAY
        kind = None if change is None else IncidentKind.CONCEPT_SHIFT
        if change is not None:
            self.alarms.append(mature)
        change = self.champion.change if change is None else change
        held = mature - self._judging(mature, change)
        # a change that only the newest rows have seen leaves nothing to learn it from
        fits = tournament.MOST_FITS if found.act and (change is None or change < held) else 0
        asked = tournament.order(self._remembered, kind, possible(self._history(held, change), kind), self.seed, fits)
        units = {entrant.name: unit for entrant in asked for unit in self._unit(entrant, held, change)}
        trained = [each for each in asked if each.trains]
        self.made += [units[each.name].window for each in trained if units[each.name].window not in self.made]
        judged = self._judge(units, mature)
        if trained:
            self._remember(mature, kind, found, judged, change)
            self.log.append(f"{mature}: {found.words} | {', '.join(each.name for each in trained)} | {judged.words}")
        if judged.winner is not None:
            self._adopt(units[judged.winner], judged, mature)

    def _judging(self, mature: int, change: int | None) -> int:
        """Newest mature blocks that no entrant learns from, as steps/apart.py has it; a block is the least."""
        block = self.answers.stream.block
        most = SHARE * mature
        if change is not None and (mature - change) * block // 2 >= LEAST_JUDGES:
            most = min(most, (mature - change) / 2)
        uncommon = None if self.uncommon is None else self.uncommon[mature - 1 :: -1]
        return min(judging([block] * mature, uncommon), max(int(most), 1))

    def _adopt(self, winner: Unit, judged: tournament.Judgement, mature: int) -> None:
        assert judged.winner is not None
        entrant = entrant_of(judged.winner)
        winner = self._refitted(entrant, winner, mature)
        self.log.append(f"{mature}: {self.champion.name} → {winner.name}: {judged.words}")
        if entrant.trains:
            self.took_over[-1] = (self.champion, winner)
        self.changes += winner.window != self.champion.window
        self.champion = winner
        # of a model as it is one, of its maps the newest
        others = (unit for unit in self.pool if (unit.window, unit.mapped is None) != (winner.window, winner.mapped is None))
        self.pool = [*others, winner]

    def _refitted(self, entrant: Entrant, winner: Unit, mature: int) -> Unit:
        """On the rows that judged it, too: `evaluate.refit`, as it is for winners."""
        if entrant.strategy is Strategy.RECALIBRATE and winner.mapped is not None:
            more = winner._replace(mapped=(winner.mapped[0], mature))
            return more if self.answers.maps(more) else winner
        if not entrant.trains:
            return winner
        judged = winner.window
        moved = mature - judged.last if entrant.strategy is Strategy.RECENT else 0
        refitted = Window(judged.first + moved, mature, judged.half_life)
        self.judged[refitted] = judged
        self.made.append(refitted)
        return winner._replace(window=refitted)

    def _look_back(self, mature: int) -> None:
        """What winners gave since, beside the champion that they replaced."""
        for place, (past, both) in enumerate(zip(self.past, self.took_over, strict=True)):
            first = (past.at - START) // DAY
            if both is not None and first < mature:
                last = min(mature, first + LOOKED_BACK)
                before, after = (float(self._rows(unit, first, last).mean()) for unit in both)
                self.past[place] = msgspec.structs.replace(past, realised=1.0 - after / before if before > 0.0 else 0.0)

    def _situation(self, mature: int) -> worth.WorthSituation:
        block, begin = self.answers.stream.block, self.champion.change or 0
        return worth.WorthSituation(
            windows=tuple(starmap(self._window, self._windows(mature))),
            answered=max(mature - self._begun, 0),
            tenures=tuple(self._answered_before(mature)),
            rows=(mature - begin) * block,
            trained_rows=(self.trained_at - begin) * block,
            past=self._remembered,
            since_change=self.champion.change is not None,
            before=worth.differing(list(self._tenures())),
        )

    def _windows(self, mature: int) -> Iterator[tuple[Unit, int]]:
        """The champion's: those that judged it before it answered, and those that its model has answered since another one did, under whatever map."""
        model = self.champion.window
        yield from ((self._as_known(b), b) for b in range(self.judged.get(model, model).last, model.last))
        yield from ((self.answered[b - FIRST][0], b) for b in range(self._begun, mature))

    def _answered_before(self, mature: int) -> Iterator[tuple[worth.JudgedWindow, ...]]:
        """By champions before: of each model, under whatever map, what it answered up to being replaced."""
        before = [(unit, b) for b, (unit, _) in enumerate(self.answered, FIRST) if b < min(self._begun, mature)]
        for _, own in groupby(before, key=lambda each: each[0].window):
            yield tuple(starmap(self._window, own))

    def _window(self, unit: Unit, block: int) -> worth.JudgedWindow:
        rows = self._rows(unit, block, block + 1)
        return worth.JudgedWindow(start=START + block * DAY, rows=rows.size, loss=float(rows.mean()), spread=float(rows.std()))

    @property
    def _begun(self) -> int:
        """The block from which on the champion's model has answered."""
        return FIRST + len(self.answered) - len(self._term)

    @property
    def _term(self) -> list[tuple[Unit, float]]:
        own = takewhile(lambda each: each[0].window == self.champion.window, reversed(self.answered))
        return list(own)[::-1]

    def _tenures(self) -> Iterator[list[float]]:
        """Losses of champions before, in the blocks that they answered and that had their labels when somebody else was chosen."""
        before = self.answered[: len(self.answered) - len(self._term)]
        for _, own in groupby(before, key=lambda each: each[0]):
            losses = [loss for _, loss in own]
            yield losses[: max(len(losses) - self.delay, 0)]

    def _as_known(self, block: int) -> Unit:
        """The champion as it was before it had learned from this block: without its map, or as it was judged."""
        unit = self.champion if self.champion.learned <= block else self.champion._replace(mapped=None)
        return unit if unit.window.last <= block else unit._replace(window=self.judged[unit.window])

    def _history(self, held: int, change: int | None) -> History:
        block = self.answers.stream.block
        return History(
            begin=START, until=START + held * DAY, rows=held * block,
            change=None if change is None else START + change * DAY, rows_since_change=0 if change is None else (held - change) * block,
            earlier=tuple(unit.name for unit in self.pool if unit != self.champion)[-MOST_EARLIER:],
        )  # fmt: skip

    def _unit(self, entrant: Entrant, held: int, change: int | None) -> Iterator[Unit]:
        """What it is made of; nothing, where no map can be fitted."""
        strategy, detail = entrant.strategy, entrant.detail
        if strategy is Strategy.EARLIER:
            yield next(unit for unit in self.pool if unit.name == detail)
        elif strategy is Strategy.RECALIBRATE:
            fresh, block = self.champion.learned, self.answers.stream.block
            if change is not None and change > fresh and (held - change) * block >= LEAST_ROWS:
                fresh = change
            unit = self.champion._replace(mapped=(fresh, held))
            if fresh < held and self.answers.maps(unit):
                yield unit
        elif strategy is Strategy.SINCE:
            since = (datetime.fromisoformat(detail) - START) // DAY
            yield Unit(Window(since, held), since)
        elif strategy is Strategy.RECENT:
            yield Unit(Window(max(held - _days(detail), 0), held))
        else:
            yield Unit(Window(0, held, _days(detail)))

    def _judge(self, units: dict[str, Unit], mature: int) -> tournament.Judgement:
        first = max(mature - tournament.MOST_WINDOWS, self.champion.learned)
        block = self.answers.stream.block
        windows = np.arange(first * block, mature * block) // block
        losses = {name: self._rows(unit, first, mature) for name, unit in units.items()}
        return tournament.judge(self._rows(self.champion, first, mature), losses, windows)

    def _remember(
        self, mature: int, kind: IncidentKind | None, found: worth.Worth, judged: tournament.Judgement, change: int | None
    ) -> None:
        self.past.append(
            tournament.PastTournament(
                at=START + mature * DAY, kind=kind, growth=found.growth, excess=found.excess, standings=judged.standings,
                winner=judged.winner, rows_since_change=0 if change is None else (mature - change) * self.answers.stream.block,
            )
        )  # fmt: skip
        self.took_over.append(None)
        self.trained_at = mature


def _uncommon(stream: Stream) -> list[int] | None:
    """Rows of each block that are not of the commonest class; None: there are no classes."""
    if stream.task == "regression":
        return None
    labels, counts = np.unique(stream.labels, return_counts=True)
    others = np.asarray(stream.labels != labels[np.argmax(counts)])
    return [int(others[b * stream.block : (b + 1) * stream.block].sum()) for b in range(stream.blocks)]


def _days(detail: str) -> int:
    """Of `9d` or `2w`; 0 of nothing."""
    return int(detail.rstrip("dw") or 0) * (7 if detail.endswith("w") else 1)
