"""What capture, routing and a shadow cost: the gateway with them and without, in turn."""

from collections.abc import Callable

from bench.serving.bars import Bar, brief
from bench.serving.gateway import flyball
from bench.serving.load import MANY, SIXTEEN, Cell, Load
from bench.serving.processes import Place
from bench.serving.rounds import Plan, Told, alone, together

FULL, BARE = flyball("everything on"), flyball("no capture, no canary", canary=False, capture=False)
UNCAPTURED = flyball("no capture", capture=False)
PLAIN, SHADOWED = flyball("champion only", canary=False), flyball("champion, shadow", canary=False, shadow=True)
ALL = (FULL, BARE, UNCAPTURED, PLAIN, SHADOWED)

PACED = Load("16×1 paced", 16, 1, pause_ms=20)
"""Some 700 requests a second: a tenth of what a worker can do, so that there is a core for the shadow, and for the client."""


def measure(place: Place, plan: Plan) -> Told:
    told = Told()
    usable = [server for server in ALL if alone(server, place, told)]
    together(usable, (SIXTEEN, MANY, PACED), place, plan, told)
    return told


def bars(told: Told) -> list[Bar]:
    def lost(with_it: str, without: str, load: Load, value: Callable[[Cell], float]) -> float:
        return 1 - told.paired(with_it, without, load.name, value)

    found = []
    for load in (SIXTEEN, MANY):
        cpu = lost(FULL.name, BARE.name, load, lambda cell: cell.per_core)
        words = f"{load.connections} connections: share of requests/s that capture and routing cost, {brief(cpu)} for each second of CPU"
        share = lost(FULL.name, BARE.name, load, lambda cell: cell.rate)
        found.append(Bar(words, share, 0.15, least=False, noisy=told.noisy(load.name, FULL.name, BARE.name)))
    later = told.paired(SHADOWED.name, PLAIN.name, PACED.name, lambda cell: cell.p99_ms) - 1
    noisy = told.noisy(PACED.name, SHADOWED.name, PLAIN.name)
    words = "shadow on: production p99 above that without, requests paced"
    return [*found, Bar(words, later, 0.05, least=False, noisy=noisy)]
