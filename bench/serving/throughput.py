"""Requests a second, latencies, memory and start: floor, ceilings, servers written by hand, Flyball, and its peers."""

import os
import statistics
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from operator import sub

from bench.serving.bars import Bar, brief
from bench.serving.gateway import flyball, standalone
from bench.serving.load import BATCHES, LOADS, MANY, ONE, SIXTEEN, Cell, Load
from bench.serving.peers import PEERS, REPOSITORIES
from bench.serving.processes import Place
from bench.serving.rounds import Plan, Told, alone, in_turn, together
from bench.serving.servers import BY_HAND, CEILING_OF_TWO, CEILINGS, FLOORS, Server

OURS, OURS_OF_TWO, OURS_OPEN = "flyball", "flyball-w2", "flyball-v2"
LIGHT = (
    *FLOORS,
    *CEILINGS,
    CEILING_OF_TWO,
    *BY_HAND,
    flyball(OURS),
    flyball(OURS_OF_TWO, workers=2),
    flyball(OURS_OPEN, plain=False),
)
TREES = (standalone("flyball-gateway"), standalone("flyball-gateway-w2", workers=2))
"""Weighed and not loaded: with the supervisor."""
PEER_ROUNDS = 2
"""They are further away than two rounds can differ, and a round of them takes minutes."""
STARTS = 3


def measure(place: Place, plan: Plan, *, peers: bool, only: str = "*") -> Told:
    """`only`: names of the servers, with wildcards, several with commas."""
    patterns = only.split(",")

    def chosen(servers: Iterable[Server]) -> list[Server]:
        return [server for server in servers if any(fnmatch(server.name, pattern) for pattern in patterns)]

    told = Told()
    usable = [server for server in chosen(LIGHT) if alone(server, place, told)]
    for server in usable:
        if server.kind == "flyball":
            for _ in range(STARTS - 1):
                alone(server, place, told)
    for server in chosen(TREES):
        for _ in range(STARTS):
            alone(server, place, told)
    together(usable, LOADS, place, plan, told)
    if peers:
        in_turn(chosen(PEERS), LOADS, place, Plan(min(plan.rounds, PEER_ROUNDS), plan.seconds, plan.tries), told)
    return told


def bars(told: Told) -> list[Bar]:
    single = [bar for load in (SIXTEEN, MANY) for bar in _single_rows(told, load)]
    ceiling = _fastest(told, ONE, CEILINGS, _cpu)
    later = told.paired(OURS, ceiling, ONE.name, lambda cell: cell.p50_ms, sub)
    single.append(
        Bar(
            "1 connection: median above the ceiling's",
            later,
            0.25,
            least=False,
            unit=" ms",
            noisy=told.noisy(ONE.name, OURS, ceiling),
        )
    )
    return [*single, *_batches(told), *_two_workers(told), *_weight(told)]


def _single_rows(told: Told, load: Load) -> list[Bar]:
    ceiling = _fastest(told, load, CEILINGS, _cpu)
    by_hand = _fastest(told, load, BY_HAND, _cpu)
    default = _fastest(told, load, [server for server in PEERS if not server.name.endswith("-tuned")], _rate)
    tuned = _fastest(told, load, [server for server in PEERS if server.name.endswith("-tuned")], _rate)
    name = f"{load.connections} connections: "

    def rates(other: str, words: str, wanted: float) -> Bar:
        found = told.paired(OURS, other, load.name, lambda cell: cell.rate)
        return Bar(
            f"{name}requests/s over {words} ({other or 'none'})",
            found,
            wanted,
            least=True,
            noisy=told.noisy(load.name, OURS, other),
        )

    p99 = told.paired(OURS, ceiling, load.name, lambda cell: cell.p99_ms)
    per_core = told.paired(OURS, ceiling, load.name, lambda cell: cell.per_core)
    return [
        rates(ceiling, f"the ceiling, {brief(per_core)} for each second of CPU", 0.6),
        rates(by_hand, "FastAPI + onnxruntime by hand", 1.5),
        rates(default, "the fastest peer as it comes", 20),
        rates(tuned, "the fastest tuned peer", 4),
        Bar(f"{name}p99 over the ceiling's", p99, 2, least=False, noisy=told.noisy(load.name, OURS, ceiling)),
    ]


def _batches(told: Told) -> list[Bar]:
    ceiling = _fastest(told, BATCHES, CEILINGS, _rate)
    # What nobody reaches who is sent rows over HTTP says nothing of a gateway: the ceiling checks and keeps nothing, and makes the arrays all the same.
    words = (
        f"100 rows × 8 connections: rows/s over onnxruntime in process (the ceiling's own: {_in_process(told, ceiling, 'arrays'):.2f}; "
        f"of rows as they come: {_in_process(told, OURS, 'rows'):.2f})"
    )
    noisy = told.noisy(BATCHES.name, OURS)
    return [Bar(words, _in_process(told, OURS, "arrays"), 0.7, least=True, noisy=noisy)]


def _in_process(told: Told, name: str, of: str) -> float:
    """Rows a second of a server over those of a loop that calls onnxruntime in one process; `of`: `arrays` that lie ready, or `rows`."""
    cells = told.cells.get((name, BATCHES.name), [])
    pairs = zip(cells, told.in_process, strict=False)
    shares = [cell.rate * BATCHES.rows / getattr(beside, of) for cell, beside in pairs if cell is not None]
    return statistics.median(shares) if shares else float("nan")


def _two_workers(told: Told) -> list[Bar]:
    def twice(two: str, one: str) -> float:
        return told.paired(two, one, MANY.name, lambda cell: cell.rate)

    noisy = told.noisy(MANY.name, OURS, OURS_OF_TWO)
    possible = twice(CEILING_OF_TWO.name, CEILINGS[0].name)
    # One worker takes one core: more than the cores that are left over cannot be had of two, however little they have in common.
    asking = told.paired(OURS_OF_TWO, OURS, MANY.name, lambda cell: cell.client_cores, lambda two, _: two)
    left = (os.cpu_count() or 1) - asking
    words = (
        f"two workers over one, 64 connections (the ceiling's own: {possible:.2f}; cores that the client leaves them: {left:.2f})"
    )
    return [Bar(words, twice(OURS_OF_TWO, OURS), 1.7, least=True, noisy=noisy)]


def _weight(told: Told) -> list[Bar]:
    keepers = [told.memory(name) for name in told.memory_mb if name.startswith(REPOSITORIES)]
    leanest = min(keepers, default=float("nan"))
    one, two = (told.memory(server.name) for server in TREES)
    soonest = max(told.first_answer_seconds.get(OURS, [float("nan")]))
    words = f"memory of the whole tree ({one:.0f} MB) over the leanest peer with a repository ({leanest:.0f} MB); two workers: {two / leanest:.2f}"
    return [
        Bar(words, one / leanest, 0.5, least=False),
        Bar(f"first prediction after start, slowest of {STARTS}", soonest, 3, least=False, unit=" s"),
    ]


def _rate(cell: Cell) -> float:
    return cell.rate


def _cpu(cell: Cell) -> float:
    """Servers of one process are told apart by what they make of a core: their rates may differ by who else ran just then."""
    return cell.per_core


def _fastest(told: Told, load: Load, servers: Iterable[Server], by: Callable[[Cell], float]) -> str:
    """Of those that were measured; '' if none was."""
    found = {each.name: told.median(each.name, load.name, by) for each in servers if told.of(each.name, load.name)}
    return max(found, key=found.__getitem__, default="")
