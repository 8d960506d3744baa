"""Ways to decide when to retrain that are not Flyball's: never, schedules, detectors as triggers, thresholds, chance."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.loop.answers import Answers
from bench.loop.fits import Window
from bench.loop.pilot import Answered
from bench.loop.streams import FIRST, Floats
from bench.monitoring.frames import Frame
from bench.monitoring.peers import Worker

PERIODS = (1, 2, 5, 10)
RECENT = (5, 10)
"""Blocks of a recent window."""
WINDOWS = (0, *RECENT)
"""Blocks that a retraining learns from; 0: all."""
DETECTORS = {"ADWIN": 0.002, "DDM": 3.0, "KSWIN": 0.005}
"""River's own defaults."""
CHUNKS, SIGMAS = 10, 3.0
"""NannyML's default threshold: mean ± 3 standard deviations of the metric over ten chunks of the reference."""
DRAWS = 20
"""Of random alarms."""


class Look(NamedTuple):
    """At the end of a block."""

    champion: Window
    since: int
    """How many blocks were mature when it took over."""
    mature: int


Alarm = Callable[[Look], bool]
"""Whether to retrain now."""


def window_at(mature: int, size: int) -> Window:
    return Window(max(mature - size, 0) if size else 0, mature)


def never(answers: Answers) -> Answered:
    return Answered(_blocks(answers, Window(0, FIRST))[FIRST:])


def governed(answers: Answers, delay: int, size: int, alarm: Alarm) -> Answered:
    """Retrains on all or on the newest `size` mature blocks whenever `alarm` says so, and asks nobody whether it helped."""
    champion, since, losses, fits, alarms = Window(0, FIRST), FIRST, [], [], []
    for t in range(FIRST, answers.stream.blocks):
        losses.append(_blocks(answers, champion)[t])
        mature = t + 1 - delay
        if t + 1 < answers.stream.blocks and mature > FIRST and alarm(Look(champion, since, mature)):
            champion, since = window_at(mature, size), mature
            fits.append(champion)
            alarms.append(mature)
    return Answered(np.array(losses), tuple(fits), len(fits), len(fits), alarms=tuple(alarms))


def periodic(period: int) -> Alarm:
    return lambda look: look.mature > look.since and (look.mature - FIRST) % period == 0


def threshold(answers: Answers) -> Alarm:
    """As NannyML judges realised performance by default: chunks of a reference that an earlier model answered."""
    half = FIRST // 2
    block = answers.stream.block
    reference = answers.fits.losses(Window(0, half))[half * block : FIRST * block]
    chunks = np.array([part.mean() for part in np.array_split(reference, CHUNKS)])
    upper = chunks.mean() + SIGMAS * chunks.std()
    return lambda look: bool(_blocks(answers, look.champion)[look.mature - 1] > upper)


def newest_best(answers: Answers, delay: int) -> Answered:
    """Far more than anybody may do: at the end of every block a model on all rows and on each recent window, and whichever of all so far lost least on the
    newest mature block answers the next one, fitted once more with that block. It knows all that labels say, and not the future."""
    first, blocks = Window(0, FIRST), answers.stream.blocks
    champion, losses, fits = first, [], dict.fromkeys([first])
    for t in range(FIRST, blocks):
        losses.append(_blocks(answers, champion)[t])
        mature = t + 1 - delay
        if t + 1 < blocks and mature > FIRST:
            known = [first, *(window_at(end, size) for end in range(FIRST + 1, mature) for size in WINDOWS)]
            best = min(known, key=lambda window: _blocks(answers, window)[mature - 1])
            newest = best.last == mature - 1 and best != first
            champion = window_at(mature, 0 if best.first == 0 else best.last - best.first) if newest else best
            fits.update(dict.fromkeys([*known, champion]))
    made = tuple(fits)[1:]
    return Answered(np.array(losses), made, len(made), len(made))


def at_random(answers: Answers, delay: int, number: int, seed: int) -> Answered:
    """`number` retrainings on all rows at random times; losses are means over draws."""
    draw = np.random.default_rng([seed, delay, number])
    places = np.arange(FIRST + 1, answers.stream.blocks - delay)
    found = []
    for _ in range(DRAWS):
        chosen = set(draw.choice(places, min(number, len(places)), replace=False).tolist())
        found.append(governed(answers, delay, 0, lambda look, chosen=chosen: look.mature in chosen))  # type: ignore[misc]
    return found[0]._replace(losses=np.mean([each.losses for each in found], axis=0))


class River:
    """River's detectors, in an environment of its own."""

    def __init__(self, root: Path | None, without: Sequence[str]) -> None:
        """Raises peers.Missing."""
        self.detectors = tuple(name for name in DETECTORS if name not in without)
        self._worker = Worker(root, "river", "river_worker.py")

    def alarm(self, answers: Answers, detector: str) -> Alarm:
        """It sees every mature row's error of the champion since it took over, and begins anew with the next one."""
        known: dict[tuple[Window, int], int] = {}

        def asked(look: Look) -> bool:
            first = max(look.champion.last, look.since)
            if (look.champion, first) not in known:
                known[look.champion, first] = self._first(answers, detector, look.champion, first)
            return known[look.champion, first] < look.mature

        return asked

    def _first(self, answers: Answers, detector: str, champion: Window, first: int) -> int:
        """Block in which it alarms first."""
        block, blocks = answers.stream.block, answers.stream.blocks
        errors = _errors(answers, champion)
        for last in _growing(first, blocks):
            values = errors[first * block : last * block]
            frame = Frame({"value": values}, values, values)
            self._worker.ask([frame], do="fit", detector=detector, knob=DETECTORS[detector])
            alarms = self._worker.ask([frame], do="alarms")[0]
            if alarms:
                return first + int(alarms[0]) // block
        return blocks

    def close(self) -> None:
        self._worker.close()


def _growing(first: int, blocks: int) -> Iterator[int]:
    """Ends of longer and longer stretches: most alarms come early, and a stretch is sent whole."""
    reach = 4
    while first + reach < blocks:
        yield first + reach
        reach *= 3
    yield blocks


def _errors(answers: Answers, champion: Window) -> Floats:
    """0 or 1 where there are classes, else the bounded loss."""
    losses = answers.fits.losses(champion)
    if answers.stream.task == "regression":
        return losses
    if answers.stream.task == "binary":
        return np.where(np.isnan(losses), np.nan, (losses > 0.25).astype(float))
    begin = champion.last * answers.stream.block
    errors = np.full(len(losses), np.nan)
    errors[begin:] = np.argmax(answers.fits.scores(champion), axis=1) != answers.stream.labels[begin:]
    return errors


def _blocks(answers: Answers, window: Window) -> Floats:
    return answers.fits.block_losses(window)
