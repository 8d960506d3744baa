"""One stream at one seed, governed in every way; kept on the disk, so that what was measured is not measured again."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.loop import governors, made_up, oracle
from bench.loop.answers import Answers
from bench.loop.fits import Fits
from bench.loop.pilot import Answered, Pilot
from bench.loop.streams import FIRST, Floats, Stream, load
from bench.monitoring.peers import Missing

AUTOPILOT, NEVER, EVERY, RANDOM = "autopilot", "never", "every 1, all", "random, all"
NEWEST_BEST = "best of the newest block"
"""No way to govern, since it fits a hundred models: how near the oracle one comes who must see a change before following it."""
NAMES = {0: "all", **{size: f"recent {size}" for size in governors.RECENT}}
HERE = Path(__file__).parent
RULES = (
    HERE / "pilot.py", HERE / "answers.py", HERE / "fits.py", HERE / "streams.py",
    *(HERE.parents[1] / "src/flyball/autopilot" / name for name in ("worth.py", "tournament.py", "entrants.py", "judges.py")),
    *(HERE.parents[1] / "src/flyball" / name for name in ("adapters/steps/mended.py", "stats/monotone.py", "stats/least_absolute.py", "stats/logistic.py")),
)  # fmt: skip
"""What the autopilot's figures rest on: changed, they are measured again."""


class Run(NamedTuple):
    """One stream, seed and delay."""

    stream: str
    seed: int
    delay: int
    rows: int
    block: int
    changes: tuple[float, ...]
    """Blocks in which it is known to change."""
    scale: float
    governed: dict[str, Answered]
    oracle: Floats
    """Mean loss with 0, 1, … retrainings."""
    seconds: dict[str, float]
    """Of all fits of each."""


Peers = tuple[Path | None, list[str]]
"""Where River is, and which of its detectors are left out."""


def runs(name: str, seed: int, delays: tuple[int, ...], places: tuple[Path, Path], peers: Peers) -> Iterator[Run | str]:
    """`places`: where the data are, and where fits are kept. A text says what is missing. Raises Absent."""
    data, root = places
    stream = made_up.make(name, seed) if name in made_up.MADE else load(data, name, seed)
    answers = Answers(Fits(stream, seed, root))
    try:
        river = governors.River(*peers)
    except Missing as why:
        river = None
        yield f"river: {why}"
    try:
        for delay in delays:
            yield _run(answers, stream, (seed, delay), root, river)
    finally:
        if river is not None:
            river.close()


def _run(answers: Answers, stream: Stream, at: tuple[int, int], root: Path, river: governors.River | None) -> Run:
    seed, delay = at
    kept = root / "runs" / stream.name / f"{seed}-{delay}.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    rules = hashlib.sha256(b"".join(path.read_bytes() for path in RULES)).hexdigest()
    if found.get("rules") != rules:
        found = {"rules": rules, "governed": {k: v for k, v in found.get("governed", {}).items() if k not in (AUTOPILOT, RANDOM)}}
    governed = {name: _answered(told) for name, told in found["governed"].items()}
    for name, ask in _ways(answers, delay, river):
        if name not in governed:
            governed[name] = ask()
    if AUTOPILOT not in governed:
        governed[AUTOPILOT] = Pilot(answers, delay, seed).fly()
    if RANDOM not in governed:
        governed[RANDOM] = governors.at_random(answers, delay, governed[AUTOPILOT].occasions, seed)
    best = found.get("oracle") or oracle.best(answers, delay, stream.blocks - FIRST - 1).tolist()
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(
        json.dumps({"rules": rules, "oracle": best, "governed": {name: _plain(each) for name, each in governed.items()}})
    )
    seconds = {name: sum(map(answers.fits.seconds, each.fits)) for name, each in governed.items()}
    changes = tuple(row / stream.block for row in stream.changes)
    return Run(
        stream.name, seed, delay, len(stream.labels), stream.block, changes, stream.scale, governed, np.array(best), seconds
    )


def _ways(answers: Answers, delay: int, river: governors.River | None) -> Iterator[tuple[str, Callable[[], Answered]]]:
    yield NEVER, lambda: governors.never(answers)
    yield NEWEST_BEST, lambda: governors.newest_best(answers, delay)
    for size, words in NAMES.items():
        for period in governors.PERIODS:
            alarm = governors.periodic(period)
            yield f"every {period}, {words}", lambda size=size, alarm=alarm: governors.governed(answers, delay, size, alarm)
    for size in (0, governors.RECENT[-1]):
        alarm = governors.threshold(answers)
        yield f"NannyML-style, {NAMES[size]}", lambda size=size, alarm=alarm: governors.governed(answers, delay, size, alarm)
        for detector in () if river is None else river.detectors:
            if detector != "DDM" or answers.stream.task != "regression":
                assert river is not None
                alarm = river.alarm(answers, detector)
                yield f"{detector}, {NAMES[size]}", lambda size=size, alarm=alarm: governors.governed(answers, delay, size, alarm)


def _plain(answered: Answered) -> dict[str, Any]:
    return {**answered._asdict(), "losses": answered.losses.tolist()}


def _answered(told: dict[str, Any]) -> Answered:
    from bench.loop.fits import Window

    fits = tuple(Window(*each) for each in told["fits"])
    return Answered(
        **{**told, "losses": np.array(told["losses"]), "fits": fits, "log": tuple(told["log"]), "alarms": tuple(told["alarms"])}
    )
