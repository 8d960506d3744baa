"""Challengers on real streams whose labels come an hour, a day or a week late: are bad ones stopped, and good ones promoted, and when?

Rows come in the stream's order at 60 an hour. The champion has learnt from the 5,000 rows before the release; the challengers from the same rows, but for what is
wrong with them. The release room's own `decide` looks every two hours of the stream, with the default policy but for what `POLICY` says. What is bad is measured on
the whole rest of the stream, not assumed: a stale or overfitted model that does no harm there counts as good.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from bench.monitoring import data as tables
from flyball.records.release import TERMINAL, Phase
from flyball.release import guards
from flyball.release.decide import ReleasePolicy, ReleaseSituation, decide, newly_passed
from flyball.release.metrics import FAILURE_RATE, LOSS
from flyball.release.policy import GuardRule, policy_of
from flyball.release.state import advance, open_release, verified
from flyball.spec import ProjectSpec

Floats = npt.NDArray[np.float64]

PER_HOUR, TRAIN, LOOK_HOURS = 60, 5_000, 2
START = datetime(2026, 1, 5, tzinfo=UTC)
DELAYS = {"1 h": timedelta(hours=1), "1 d": timedelta(days=1), "7 d": timedelta(days=7)}
MARGIN = 0.01
RELEASE = {
    "shadow": {"at_least": "6h", "at_most": "14d", "min_labels": 500},
    "steps": [
        {"traffic": share, "at_least": "6h", "at_most": "14d", "min_requests": 50} for share in ("5%", "10%", "25%", "50%")
    ],
    "watch": "2d",
    "margin": MARGIN,
}


class Stream(NamedTuple):
    name: str
    features: Floats
    labels: Floats


def stream(directory: Path, name: str) -> Stream:
    """Binary streams in their own order. Raises `data.Absent`."""
    table = tables.read(directory, name)
    if name == "elec2":
        columns = ["period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer"]
        labels = (table["class"].cast(str) == "UP").to_numpy().astype(float)
    else:
        table = table.sort("timestamp")
        columns = [
            "lead_time", "adults", "country", "market_segment", "distribution_channel", "previous_cancellations", "booking_changes",
            "deposit_type", "customer_type", "adr", "total_of_special_requests",
        ]  # fmt: skip
        labels = table["is_canceled"].cast(float).to_numpy()
    return Stream(name, tables.encoded(tables.columns_of(table, columns)), labels)


def _fit(features: Floats, labels: Floats, seed: int, **more: object) -> Callable[[Floats], Floats]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        model = HistGradientBoostingClassifier(max_iter=60, random_state=seed, early_stopping=False, **more).fit(features, labels)
    return lambda rows: np.asarray(model.predict_proba(rows)[:, 1])


def challengers(given: Stream, begin: int, seed: int) -> dict[str, Callable[[Floats], Floats]]:
    """Kind → scores of rows."""
    rows = slice(begin - TRAIN, begin)
    features, labels = given.features[rows], given.labels[rows]
    rng = np.random.default_rng([9, seed])
    shuffled = labels.copy()
    chosen = rng.choice(len(labels), len(labels) // 5, replace=False)
    shuffled[chosen] = labels[rng.permutation(chosen)]
    strongest = int(np.argmax([abs(np.corrcoef(column, labels)[0, 1]) if np.ptp(column) else 0.0 for column in features.T]))
    other = (strongest + 1) % features.shape[1]
    sound = _fit(features, labels, seed + 1)

    def swapped(asked: Floats) -> Floats:
        mixed = asked.copy()
        mixed[:, [strongest, other]] = asked[:, [other, strongest]]
        return sound(mixed)

    few = rng.choice(len(labels), 300, replace=False)
    old = slice(max(begin - TRAIN - 10_000, 0), max(begin - TRAIN - 10_000, 0) + 1_500)
    return {
        "sound, another seed": _fit(features, labels, seed + 2, max_features=0.7),
        "sound, more trees": _fit(features, labels, seed + 3, learning_rate=0.07),
        "labels shuffled, 20 %": _fit(features, shuffled, seed),
        "two features swapped": swapped,
        "stale": _fit(given.features[old], given.labels[old], seed),
        "overfitted": _fit(features[few], labels[few], seed, max_leaf_nodes=60, min_samples_leaf=1, learning_rate=0.5),
    }


def guard_of(policy: ReleasePolicy, metric: str) -> GuardRule:
    return next(rule for rule in policy.guards if rule.metric == metric)


class Ended(NamedTuple):
    phase: Phase
    largest: float
    """Share of the keys that it ever had."""
    hours: float
    """Since the release opened."""


def released(champion: Floats, challenger: Floats, delay: timedelta, policy: ReleasePolicy) -> Ended:
    """One release over paired losses (n,) in the order of the stream; labels `delay` late."""
    release, now = open_release("r-0001", "stream", "u2", "u1", START, "bench"), START
    late, largest, n = int(delay / timedelta(hours=1) * PER_HOUR), 0.0, len(champion)
    for rows in range(0, n + late, LOOK_HOURS * PER_HOUR):
        now = START + timedelta(hours=rows / PER_HOUR)
        labelled, asked = min(max(rows - late, 0), n), min(rows, n)
        begun = release.verified_at or now
        in_phase = int((now - begun) / timedelta(hours=1) * PER_HOUR)
        evidence = (
            guards.loss(champion[:labelled], challenger[:labelled], guard_of(policy, LOSS)),
            guards.failure_rate((0, asked), (0, asked), guard_of(policy, FAILURE_RATE)),
        )
        facts = ReleaseSituation(
            release=release, requests_in_phase=in_phase, labels=labelled, evidence=evidence, switch="verified"
        )
        passed = newly_passed(facts, policy, now)
        if passed:
            release = msgspec.structs.replace(release, passed=(*release.passed, *passed))
        for action in decide(facts, policy, now).actions:
            release = verified(advance(release, action, now), now)
            if release.phase is Phase.CANARY:
                largest = max(largest, policy.steps[release.step].traffic)
            if release.phase in {Phase.FULL, Phase.WATCHING}:
                largest = 1.0
        if release.phase in TERMINAL:
            break
    return Ended(release.phase, largest, (now - START) / timedelta(hours=1))


def policy(labels: str) -> ReleasePolicy:
    """With labels before all traffic, or while it is watched."""
    said = {**RELEASE, "labels": labels, **({"watch_at_most": "21d"} if labels == "while_watching" else {})}
    described = {
        "project": "bench", "model": "stream", "task": "binary", "train": {"entrypoint": "none:none"}, "release": said,
        "data": {"source": {"files": "*.csv"}, "time": "at", "key": "id", "label": "y", "features": ["a"]},
    }  # fmt: skip
    return policy_of(ProjectSpec.model_validate(described))


class Case(NamedTuple):
    stream: str
    kind: str
    delay: str
    labels: str
    harm: float
    """Of the whole rest of the stream, in Brier score."""
    ended: Ended

    @property
    def truth(self) -> str:
        """bad: beyond the margin; good: no worse than the champion; near: between."""
        return "bad" if self.harm > MARGIN else "near" if self.harm > 0.0 else "good"


def measure(directory: Path, starts: int) -> list[Case]:
    """Every stream × start × challenger × delay."""
    cases: list[Case] = []
    for name in ("elec2", "hotel_booking"):
        given = stream(directory, name)
        last = len(given.labels) - 12_000
        for seed, begin in enumerate(np.linspace(TRAIN + 2_000, last, starts).astype(int).tolist()):
            rest = slice(begin, min(begin + 20_000, len(given.labels)))
            features, labels = given.features[rest], given.labels[rest]
            base = (
                _fit(given.features[begin - TRAIN : begin], given.labels[begin - TRAIN : begin], seed)(features) - labels
            ) ** 2
            for kind, scores in challengers(given, begin, seed).items():
                losses = (scores(features) - labels) ** 2
                for delay, span in DELAYS.items():
                    for said in ("before_full", "while_watching"):
                        ended = released(base, losses, span, policy(said))
                        cases.append(Case(name, kind, delay, said, float((losses - base).mean()), ended))
    return cases


def run(starts: int, directory: Path = tables.DATA) -> int:
    """Prints the table; 1 when a bad one stayed or was ever given 25 % before labels could tell."""
    cases = measure(directory, starts)
    print(
        f"{starts} releases a row on elec2 and hotel_booking each, {PER_HOUR} rows an hour, margin {MARGIN} of the Brier score, alpha 0.05"
    )
    wrong = 0
    for said in ("before_full", "while_watching"):
        print(f"labels: {said}")
        for delay in DELAYS:
            for truth in ("bad", "near", "good"):
                for kind in sorted({each.kind for each in cases}):
                    mine = [c for c in cases if (c.kind, c.delay, c.labels, c.truth) == (kind, delay, said, truth)]
                    if mine:
                        wrong += _told(f"{truth:<4} {delay}  {kind}", mine, truth)
    return int(wrong > 0)


def _told(name: str, mine: list[Case], truth: str) -> int:
    gone = [case for case in mine if case.ended.phase in {Phase.ROLLED_BACK, Phase.ROLLING_BACK}]
    kept = [case for case in mine if case.ended.phase is Phase.SETTLED]
    early = sum(case.ended.largest < 0.25 for case in gone)
    hours = float(np.median([case.ended.hours for case in mine]))
    harm = float(np.mean([case.harm for case in mine]))
    print(
        f"  {name:<34} n {len(mine):>2}  mean harm {harm:+.3f}  rolled back {len(gone):>2} (before 25 %: {early:>2})  "
        f"settled {len(kept):>2}  open {len(mine) - len(gone) - len(kept):>2}  median {hours:>5.0f} h"
    )
    return len(kept) if truth == "bad" else 0
