"""Given the whole loop under traffic, when its parts are killed 50 times, then nothing is lost, nothing happens twice, and all of it can be proved."""

import json
import os
import statistics
import time
from typing import Any

import numpy as np
import pytest
from bench.release import checks
from bench.release.clients import Client, Crowd, rows_of
from bench.release.orders import Person
from bench.release.reader import Ledger, captured, chain_faults, read_ledger, read_mlflow
from bench.release.stack import Kill, Stack, Victim, wait_for

KILLS = int(os.environ.get("FLYBALL_KILLS", "50"))
SEED = int(os.environ.get("FLYBALL_KILL_SEED", "1"))
CLIENTS = 4
KINDS = ("control", "gateway", "child")
SHARES = (0.28, 0.27, 0.45)
LONGEST_PAUSE_SECONDS = 1.6
CHILD_SECONDS = 2.5
"""Between two runs there is no child for a while; then another part dies."""
SETTLE_SECONDS = 120.0


class Killer:
    """Draws who dies next and when; the same seed draws the same, the machine's timing does the rest.

    It waits for a part to serve again only before it kills that part again, so that others also die while one is on its way back.
    """

    def __init__(self, stack: Stack, seed: int) -> None:
        self._stack = stack
        self._draw = np.random.default_rng(seed)
        self._victims: list[Victim] = []

    @property
    def kills(self) -> list[Kill]:
        return [victim.kill for victim in self._victims]

    def kill_once(self) -> None:
        kind = str(self._draw.choice(KINDS, p=SHARES))
        other = str(self._draw.choice(KINDS[:2]))
        worker = f"gateway-{self._draw.integers(2)}"
        time.sleep(float(self._draw.uniform(0, LONGEST_PAUSE_SECONDS)))
        if kind == "child" and not self._stack.await_child(CHILD_SECONDS):
            kind = other
        name = worker if kind == "gateway" else kind
        for earlier in self._victims:
            if earlier.kill.part == name:
                earlier.await_recovery()
        self._victims.append(self._stack.kill(name))

    def await_all(self) -> None:
        for victim in self._victims:
            victim.await_recovery()


def settled(stack: Stack) -> Ledger:
    """The ledger as soon as no job and no release is under way; later the autopilot may begin something new."""
    found: list[Ledger] = []

    def rests() -> bool:
        found.append(read_ledger(stack.state))
        jobs, releases = found[-1].all("job").values(), found[-1].all("release").values()
        return all(job["status"] in checks.FINISHED for job in jobs) and all(
            each["phase"] in checks.TERMINAL for each in releases
        )

    wait_for(rests, "jobs and releases do not end", SETTLE_SECONDS)
    return found[-1]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_kills_lose_nothing_and_do_nothing_twice(tmp_path):
    stack = Stack(tmp_path / "shop")
    try:
        stack.init()
        first = stack.flyball("run", "--json")
        assert first.returncode == 0, first.stderr
        up = stack.flyball("up", "--detach", "--json")
        assert up.returncode == 0, up.stderr
        stack.note_processes()
        rows = rows_of(stack.directory / "data" / "orders.csv")
        killer = Killer(stack, SEED)
        crowd = Crowd([Client(number, stack.url, stack.headers(), rows) for number in range(CLIENTS)])
        with crowd, Person(stack) as person:
            while len(killer.kills) < KILLS:
                killer.kill_once()
                stack.note_processes()
                assert chain_faults(read_ledger(stack.state)) == [], f"after kill {len(killer.kills)}, seed {SEED}"
            person.stop()
            rest = settled(stack)
        proof = stack.flyball("verify", "--json")
        down = stack.flyball("down")
        assert down.returncode == 0, down.stderr
        ledger, records = read_ledger(stack.state), captured(stack.state)
        faults = {
            "chain": chain_faults(ledger),
            "champion": checks.champion_faults(ledger),
            "registry": checks.registry_faults(ledger, read_mlflow(stack.state)),
            "predictions": checks.prediction_faults(crowd.sent, records),
            "labels": checks.label_faults(crowd.labels, records),
            "answers": checks.answer_faults(ledger, records, crowd.sent),
            "gates": checks.gate_faults(ledger, records),
            "orders": checks.order_faults(ledger, person.orders),
            "jobs": checks.job_faults(rest),
            "releases": checks.release_faults(rest),
            "windows": checks.window_faults(ledger, records, 10_000_000),
            "clients": checks.client_faults(crowd.attempts, killer.kills),
            "cache": checks.leftover_faults(stack.state),
            "processes": stack.left_over(),
            "verify": []
            if proof.returncode == 0 and json.loads(proof.stdout)["ok"]
            else [proof.stdout[-2000:] + proof.stderr[-2000:]],
        }
        (tmp_path / "figures.json").write_text(json.dumps(figures(killer, crowd, person, ledger), indent=1))
        assert {name: found[:5] for name, found in faults.items() if found} == {}, f"seed {SEED}"
    finally:
        stack.end_by_force()


def figures(killer: Killer, crowd: Crowd, person: Person, ledger: Ledger) -> dict[str, Any]:
    """What a report of this scenario tells."""
    took = {kind: [kill.recovered_seconds or 0.0 for kill in killer.kills if kill.kind == kind] for kind in KINDS}
    return {
        "kills": {kind: len(seconds) for kind, seconds in took.items()},
        "recovery_seconds": {
            kind: (round(statistics.median(took[kind]), 2), round(max(took[kind]), 2)) for kind in KINDS[:2] if took[kind]
        },
        "requests": len(crowd.attempts),
        "requests_failed": sum(not attempt.ok for attempt in crowd.attempts),
        "predictions": sum(len(sent.ids) for sent in crowd.sent),
        "orders": [f"{order.kind} {order.code}" for order in person.orders],
        "jobs": [f"{name} {job['status']} {job['attempt']} {job['error'][:80]}" for name, job in ledger.all("job").items()],
        "releases": [f"{name} {each['phase']} {each['reason'][:80]}" for name, each in ledger.all("release").items()],
    }
