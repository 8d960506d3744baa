"""What must hold after any number of kills; each check answers with what it found wrong, in words."""

import struct
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.release.clients import Attempt, Sent, SentLabels
from bench.release.orders import Order
from bench.release.reader import Ledger, Registered, package_faults
from bench.release.stack import Kill

TERMINAL = {"settled", "rolled_back"}
FINISHED = {"registered", "refused", "failed"}
JOB_ENDS = {"job.finished", "job.failed"}
UNDER_WAY_ROWS = 12
"""Of four clients with three rows each: an event time is that of a request's beginning, its record is there some milliseconds later."""
Record = dict[str, Any]


def champion_faults(ledger: Ledger) -> list[str]:
    """Exactly one, and its bytes are what was registered."""
    champions = ledger.all("champion")
    if list(champions) != ["shop"]:
        return [f"champions: {champions}"]
    route = ledger.all("routing")["shop"]["routes"][0]
    unit = ledger.all("unit").get(champions["shop"]["unit"])
    if unit is None:
        return [f"the champion {champions['shop']['unit']} is no registered unit"]
    faults = package_faults(Path(route["champion"]["package"]), route["champion"]["unit"]["manifest_digest"])
    for served in (each for each in (route["champion"], route.get("canary"), *route["shadows"]) if each):
        if served["unit"] != ledger.all("unit").get(served["unit"]["id"]):
            faults.append(f"the routed unit {served['unit']['id']} is not the registered one")
        faults += package_faults(Path(served["package"]), served["unit"]["manifest_digest"])
    return faults


def registry_faults(ledger: Ledger, registered: Registered) -> list[str]:
    """One version a run key, one run a run key, and both tables know the same; the aliases tell people the truth."""
    versions = {value["number"]: value["lineage"]["run_key"] for value in ledger.all("version").values()}
    faults = [f"run key {key[:12]} is registered {n} times" for key, n in Counter(registered.run_keys).items() if n > 1]
    faults += [f"run key {key[:12]} has {n} runs" for key, n in Counter(key for key, _ in registered.runs).items() if n > 1]
    faults += [f"run {key[:12]} is left {status}" for key, status in registered.runs if status != "FINISHED"]
    if dict(enumerate(registered.run_keys, 1)) != versions:
        faults.append(f"MLflow knows {len(registered.run_keys)} versions, the ledger {len(versions)}")
    champion = ledger.all("unit")[ledger.all("champion")["shop"]["unit"]]["version"]
    if registered.aliases.get("champion") != str(champion):
        faults.append(
            f"MLflow's alias champion is version {registered.aliases.get('champion')}, the champion is version {champion}"
        )
    return faults


def prediction_faults(sent: list[Sent], records: list[Record]) -> list[str]:
    """What was acknowledged is there as it was sent, once for each time that it may have arrived."""
    shown: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for record in records:
        if record["k"] == "p" and record["role"] != "shadow":
            for at, id_ in enumerate(record["ids"]):
                row = {name: values[at] for name, values in record["columns"].items()}
                shown[id_].append((record["unit"], record["scores"][at][0], record["keys"][at], row))
    faults, known = [], set()
    for one in sent:
        for at, id_ in enumerate(one.ids):
            known.add(id_)
            there = shown.get(id_, [])
            if len(there) > one.tries:
                faults.append(f"prediction {id_} was captured {len(there)} times, sent {one.tries} times")
            if one.ended_us:
                answer = one.predictions[at]
                wanted = (answer["unit"], answer["score"], one.keys[at], _as_stored(one.rows[at]))
                if answer["id"] != id_ or wanted not in there:
                    faults.append(f"prediction {id_} was acknowledged as {wanted}, captured as {there}")
    return faults + [f"prediction {id_} was captured and never sent" for id_ in sorted(set(shown) - known)]


def label_faults(labels: list[SentLabels], records: list[Record]) -> list[str]:
    there: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record["k"] == "l":
            for id_, value in zip(record["ids"], record["values"], strict=True):
                there[id_].append(value)
    faults = []
    for one in labels:
        for id_, value in zip(one.ids, one.values, strict=True):
            found = there.get(id_, [])
            if (one.acknowledged and not found) or len(found) > one.tries or set(found) - {value}:
                faults.append(
                    f"label {id_}={value} was sent {one.tries} times (acknowledged: {one.acknowledged}), captured as {found}"
                )
    return faults


def answer_faults(ledger: Ledger, records: list[Record], sent: list[Sent]) -> list[str]:
    """Who answered was champion or canary in the table of that revision, no sooner than it was written; and nobody who asked after a newer one was seen
    everywhere was answered by it. What was in hand then is answered by the table that it came under."""
    asked = {id_: one.begun_us for one in sent if one.tries == 1 and one.begun_us for id_ in one.ids}
    tables: dict[int, tuple[int, dict[str, Any]]] = {}
    overtaken: list[tuple[int, int]] = []
    current = 0
    for entry in ledger.entries:
        table = entry.put.get(("routing", "shop"))
        if table is not None:
            current = table["revision"]
            tables[current] = (_micros(entry.at), table["routes"][0])
        if entry.kind == "release.verified":
            overtaken.append((current, _micros(entry.at)))
    faults = []
    for record in (each for each in records if each["k"] == "p"):
        written_us, route = tables.get(record["revision"], (0, None))
        if route is None:
            faults.append(f"revision {record['revision']} answered and is not in the ledger")
            continue
        allowed = {
            "champion": [route["champion"]],
            "canary": [route.get("canary")],
            "shadow": [route["champion"], *route["shadows"]],
        }
        if record["unit"] not in {each["unit"]["id"] for each in allowed[record["role"]] if each}:
            faults.append(f"{record['unit']} answered as {record['role']} of revision {record['revision']} and is not that there")
        later = [at for revision, at in overtaken if revision > record["revision"]]
        newest = min(record["at_us"], max((asked.get(id_, record["at_us"]) for id_ in record["ids"]), default=record["at_us"]))
        if record["role"] != "shadow" and (record["at_us"] < written_us or (later and newest > later[0])):
            faults.append(
                f"revision {record['revision']} answered at {record['at_us']}, asked at {newest}, written {written_us}, replaced everywhere {later[:1]}"
            )
    return faults


def gate_faults(ledger: Ledger, records: list[Record]) -> list[str]:
    """No unit has answered, shadows included, before its run had passed the gates."""
    passed = {
        entry.told["situation"]["candidate"]: _micros(entry.at) for entry in reversed(ledger.of("decision.made"))
        if entry.told["room"] == "gates" and entry.told["plan"]["outcome"] == "pass"
    }  # fmt: skip
    first: dict[str, int] = {}
    for record in (each for each in records if each["k"] == "p"):
        first[record["unit"]] = min(record["at_us"], first.get(record["unit"], record["at_us"]))
    run_keys = {f"{value['number']}": value["lineage"]["run_key"] for value in ledger.all("version").values()}
    faults = []
    for unit, at_us in first.items():
        key = run_keys.get(str(ledger.all("unit").get(unit, {}).get("version")))
        if key is None or passed.get(key, at_us + 1) > at_us:
            faults.append(f"unit {unit} (run {key}) answered at {at_us} without having passed its gates")
    return faults


def order_faults(ledger: Ledger, orders: list[Order]) -> list[str]:
    """One order, one outcome. Who was told that the order stands, though nobody has taken it yet, was told the truth: it is settled once, too."""
    faults = [
        f"{order.kind} {order.reason} was not acknowledged: exit {order.code} {order.words}"
        for order in orders
        if order.answer is None and not (order.code == 2 and "the order stands" in order.words)
    ]
    settled = Counter(entry.subject for entry in ledger.of("command.settled"))
    ordered = {entry.subject: entry for entry in ledger.of("command.ordered")}
    faults += [f"{subject} was settled {settled[subject]} times" for subject in ordered if settled[subject] != 1]
    for order in (each for each in orders if each.answer is not None):
        if order.kind == "rollback":
            mine = [subject for subject, entry in ordered.items() if entry.told["reason"] == order.reason]
            if len(mine) != 1:
                faults.append(f"{order.reason} is in the ledger {len(mine)} times")
        elif order.answer["job"]["id"] not in ledger.all("job"):
            faults.append(f"the run {order.answer['job']['id']} was acknowledged and is not in the ledger")
    moves = Counter(entry.told["reason"] for entry in ledger.of("release.moved"))
    faults += [f"{reason} moved a release {n} times" for reason, n in moves.items() if reason.startswith("rollback") and n > 1]
    runs = [command for command in ledger.all("command").values() if command["kind"] == "run"]
    jobs = Counter(command["subject"] for command in runs)
    faults += [f"{subject} came of {n} orders" for subject, n in jobs.items() if n > 1]
    return faults


def job_faults(ledger: Ledger) -> list[str]:
    """Each job was asked for once, ended once, and came of something."""
    faults = []
    asked = Counter(entry.subject for entry in ledger.of("job.requested"))
    ended = Counter(entry.subject for entry in ledger.of(*JOB_ENDS))
    for entry in ledger.of("decision.made"):
        ended.update(f"job:{key}" for (kind, key), value in entry.put.items() if kind == "job" and value["status"] == "refused")
    for name, job in ledger.all("job").items():
        if job["status"] not in FINISHED:
            faults.append(f"job {name} is left {job['status']}")
        if asked[f"job:{name}"] != 1 or ended[f"job:{name}"] != 1:
            faults.append(f"job {name} was asked for {asked[f'job:{name}']} times and ended {ended[f'job:{name}']} times")
    todos = ledger.all("todo")
    retrained = Counter(job["cause"] for job in ledger.all("job").values() if job["cause"].startswith("d-"))
    faults += [
        f"what {todo['decision']} decided ({todo['action']['kind']}) was done {retrained[todo['decision']]} times"
        for todo in todos.values()
        if not todo["done"] or (todo["action"]["kind"] == "retrain" and retrained[todo["decision"]] != 1)
    ]
    return faults + [f"a tick failed at {entry.at}: {entry.told['words']}" for entry in ledger.of("tick.failed")]


def release_faults(ledger: Ledger) -> list[str]:
    """Each has ended; each new unit was released once; each became champion once at most."""
    releases = ledger.all("release")
    faults = [f"release {name} is left {value['phase']}" for name, value in releases.items() if value["phase"] not in TERMINAL]
    opened = Counter(entry.subject for entry in ledger.of("release.opened"))
    faults += [f"{subject} was opened {n} times" for subject, n in opened.items() if n > 1]
    full = Counter(entry.subject for entry in ledger.of("release.verified") if entry.told["phase"] == "full")
    return faults + [f"{subject} took over {n} times" for subject, n in full.items() if n > 1]


def window_faults(ledger: Ledger, records: list[Record], width_us: int) -> list[str]:
    """A closed window counts each row that was answered in it, but for those under way at its end; and nobody's who was not champion in it."""
    answered: Counter[int] = Counter()
    champions: dict[int, set[str]] = defaultdict(set)
    for record in (each for each in records if each["k"] == "p" and each["role"] != "shadow"):
        start = record["at_us"] - record["at_us"] % width_us
        answered[start] += len(record["ids"])
        champions[start] |= {record["unit"]} if record["role"] == "champion" else set()
    counted: Counter[int] = Counter()
    faults = []
    for window in ledger.all("window").values():
        start = _micros(window["start"])
        counted[start] += window["predictions"]
        if window["unit"] not in champions[start]:
            faults.append(f"window {window['start']} was closed for {window['unit']}, which was not champion in it")
    for start, n in counted.items():
        if not answered[start] - UNDER_WAY_ROWS <= n <= answered[start]:
            faults.append(f"the window that starts at {start} counts {n} rows, {answered[start]} were answered in it")
    return faults


def client_faults(attempts: list[Attempt], kills: list[Kill]) -> list[str]:
    """Each connection may fail once for each kill of a gateway, then or when it is used next; nothing else may fail at all."""
    cuts = sorted(kill.at for kill in kills if kill.kind == "gateway")
    faults = []
    for client in sorted({attempt.client for attempt in attempts}):
        paid = -1.0
        for attempt in (each for each in attempts if each.client == client and not each.ok):
            due = [at for at in cuts if paid < at < attempt.ended]
            if not due:
                faults.append(f"a request of client {client} failed without a kill of a gateway: {attempt.words}")
            paid = due[-1] if due else paid
    return faults


def leftover_faults(state: Path) -> list[str]:
    """What lies in the cache under a result's name is a result; what was cut off has another name."""
    shown = [path for path in (state / "cache").iterdir() if not path.name.startswith(".")]
    return [f"{path.name} looks like a result and is none" for path in shown if not (path / "result.json").is_file()]


def _as_stored(row: dict[str, Any]) -> dict[str, Any]:
    """Numbers as 32-bit floats, as the model sees them; what is left out as missing."""
    return {
        name: value if isinstance(value, str) or value is None else struct.unpack("f", struct.pack("f", value))[0]
        for name, value in row.items()
    }


def _micros(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)
