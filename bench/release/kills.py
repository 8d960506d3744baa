"""`kill -9` of the control process at random instants of releases: how long until the next one has completed a tick, and what still holds then."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.release import checks
from bench.release.candidates import Candidate, code
from bench.release.clients import Client, Crowd, rows_of
from bench.release.offers import ENDS, Shop, shop
from bench.release.reader import captured, chain_faults, read_ledger, read_mlflow
from bench.release.stack import wait_for
from bench.serving.bars import Bar
from flyball.control import commands
from flyball.records.unit import Format

SETTINGS = """
release:
  shadow: {at_least: 1s, min_labels: 10}
  steps: [{traffic: 20%, at_least: 1s, min_requests: 5}, {traffic: 60%, at_least: 1s, min_requests: 5}]
  watch: 2s
  margin: 0.9
monitor: {window: 10s, min_rows: 20}
"""
"""A release passes all of its phases in some eight seconds."""

CLIENTS = 3
LONGEST_PAUSE_SECONDS = 4.0
"""From one recovery to the next kill: uniform below it, so that kills fall into every phase, and into recoveries' aftermath."""
RECOVERY_SECONDS = 5.0


@dataclass(frozen=True)
class Scale:
    kills: int
    seed: int = 1


FULL, SHORT = Scale(100), Scale(5)


@dataclass
class Seen:
    seed: int
    phases: dict[str, int] = field(default_factory=dict)
    """Phase of the release under way → kills in it."""
    back_seconds: list[float] = field(default_factory=list)
    """From each kill to the end of the next control process's first tick."""
    claimed_seconds: list[float] = field(default_factory=list)
    """To its taking over: the rest is its first tick."""
    requests: int = 0
    failed: int = 0
    releases: dict[str, int] = field(default_factory=dict)
    """How they ended."""
    faults: dict[str, list[str]] = field(default_factory=dict)


class Challengers:
    """There is always a release to kill in: one after the other, of both formats."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._good, self._onnx = shop.estimator(), shop.champion_model()
        self._unit = ""
        self._count = 0

    def phase(self) -> str:
        """Of the release under way; a new one is offered when the last has ended."""
        release = self._shop.release(self._unit) if self._unit else None
        if self._unit and release is None:
            return "not proposed yet"
        if release is None or release["phase"] in (*ENDS, "watching"):
            self._count += 1
            model = (self._onnx, Format.ONNX) if self._count % 2 else (code(Candidate("raises", self._good)), Format.CODE)
            self._unit = self._shop.offer(*model)
            return "not proposed yet" if release is None else str(release["phase"])
        step = f" {release['step'] + 1}" if release["phase"] == "canary" else ""
        return str(release["phase"]) + step


def measure(scale: Scale) -> Seen:
    seen = Seen(scale.seed)
    draw = np.random.default_rng(scale.seed)
    with shop(SETTINGS) as here:
        rows = rows_of(here.stack.directory / "data" / "orders.csv")
        crowd = Crowd([Client(number, here.stack.url, here.stack.headers(), rows) for number in range(CLIENTS)])
        challengers = Challengers(here)
        with crowd:
            for number in range(scale.kills):
                _pass_time(challengers, float(draw.uniform(0, LONGEST_PAUSE_SECONDS)))
                phase = challengers.phase()
                seen.phases[phase] = seen.phases.get(phase, 0) + 1
                claimed, back = _kill(here)
                seen.claimed_seconds.append(claimed)
                seen.back_seconds.append(back)
                broken = chain_faults(read_ledger(here.stack.state))
                assert broken == [], f"after kill {number + 1}, seed {scale.seed}: {broken}"
            wait_for(lambda: _at_rest(here), "the last release does not end", 120)
        proof = here.stack.flyball("verify", "--json")
        here.stack.flyball("down")
        seen.faults = {name: found for name, found in _faults(here, crowd).items() if found}
        if not (proof.returncode == 0 and json.loads(proof.stdout)["ok"]):
            seen.faults["verify"] = [proof.stdout[-1000:] + proof.stderr[-1000:]]
        seen.requests, seen.failed = len(crowd.attempts), sum(not attempt.ok for attempt in crowd.attempts)
        for each in read_ledger(here.stack.state).all("release").values():
            seen.releases[each["phase"]] = seen.releases.get(each["phase"], 0) + 1
    return seen


def _pass_time(challengers: Challengers, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        challengers.phase()
        time.sleep(0.02)


def _kill(here: Shop) -> tuple[float, float]:
    """Seconds until the next control process took over, and until it had completed a tick.

    A tick leaves no mark of its own. An order that nobody can carry out is refused by the first tick; a second one, given then, by the tick after it,
    which begins a pause after the first has ended: that is the figure, less the pause, and still some tenths of a second too large.
    """
    before = here.stack.epoch()
    victim = here.stack.kill("control")
    at = victim.kill.at
    order = _order(here)
    wait_for(lambda: here.stack.epoch() > before, "no control process has taken over")
    claimed = time.monotonic() - at
    wait_for(lambda: _settled(here, order), "the first tick has not settled the order")
    second = _order(here)
    wait_for(lambda: _settled(here, second), "the second tick has not settled the order")
    back = time.monotonic() - at - here.world.spec.serve.tick.total_seconds()
    here.stack.note_processes()
    return claimed, back


def _order(here: Shop) -> str:
    return commands.order(here.world, "nothing", "user:bench", "").id


def _settled(here: Shop, order: str) -> bool:
    command = here.world.get("command", order, commands.Command)
    return command is not None and command.status != "open"


def _at_rest(here: Shop) -> bool:
    return all(each["phase"] in ENDS for each in read_ledger(here.stack.state).all("release").values())


def _faults(here: Shop, crowd: Crowd) -> dict[str, list[str]]:
    ledger, records = read_ledger(here.stack.state), captured(here.stack.state)
    return {
        "chain": chain_faults(ledger),
        "champion": checks.champion_faults(ledger),
        "registry": checks.registry_faults(ledger, read_mlflow(here.stack.state)),
        "predictions": checks.prediction_faults(crowd.sent, records)[:5],
        "labels": checks.label_faults(crowd.labels, records)[:5],
        "answers": checks.answer_faults(ledger, records, crowd.sent)[:5],
        "releases": checks.release_faults(ledger),
        "windows": checks.window_faults(ledger, records, 10_000_000)[:5],
        "clients": checks.client_faults(crowd.attempts, [])[:5],
        "processes": here.stack.left_over(),
    }


def bars(seen: Seen) -> list[Bar]:
    back = np.array(seen.back_seconds)
    phases = ", ".join(f"{phase} {count}" for phase, count in sorted(seen.phases.items()))
    claimed = float(np.median(seen.claimed_seconds))
    words: list[Any] = [f"{name}: {found[0]}" for name, found in seen.faults.items()]
    return [
        Bar(
            f"{len(back)} × kill -9 of control ({phases}): median recovery (taken over after {claimed:.1f} s)",
            float(np.median(back)),
            5,
            least=False,
            unit=" s",
        ),
        Bar("… p99", float(np.quantile(back, 0.99)), RECOVERY_SECONDS, least=False, unit=" s"),
        Bar("… longest", float(back.max()), RECOVERY_SECONDS, least=False, unit=" s"),
        Bar(f"… failed requests of {seen.requests:,}", seen.failed, 0, least=False),
        Bar(f"… invariants that do not hold {words or ''}", len(seen.faults), 0, least=False),
        Bar(f"… releases that have ended ({seen.releases})", sum(seen.releases.values()), 2, least=True),
    ]
