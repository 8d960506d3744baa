"""The tables, and which promises are met."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from bench.loop.figures import MOST, Row, best_single, detection
from bench.loop.runs import AUTOPILOT, EVERY, NEVER, NEWEST_BEST, RANDOM, Run
from bench.loop.streams import for_development

CONTROL = "employment"
"""Nothing changes in it: at most one retraining."""
TOLD = (
    EVERY, "every 1, recent 10", "every 5, all", "ADWIN, all", "DDM, all", "KSWIN, all", "NannyML-style, all", RANDOM,
)  # fmt: skip


def tables(rows: Sequence[Row], found: Sequence[Sequence[Run]]) -> bool:
    """Prints them; whether every promise was met."""
    _losses(rows)
    _work(rows)
    _regrets(rows)
    _detections(found)
    return _promises(rows)


def _losses(rows: Sequence[Row]) -> None:
    print(
        "Loss in % of never retraining (Brier; halved Brier of many classes; absolute error), means over seeds. * best schedule in hindsight"
    )
    print(f"  {'stream':<14}{'late':>4}  {'never':>7}  {'autopilot':>9}  {'(95 % against never)':<20}  {'oracle':>6}  best schedule          "
          + "  ".join(f"{way:>12}" for way in map(_short, TOLD)))  # fmt: skip
    for each in rows:
        best = min((way for way in each.relative if way.startswith("every")), key=lambda way: each.relative[way])
        ends = f"({100 + 100 * each.against_never.lower:5.1f} to {100 + 100 * each.against_never.upper:5.1f})"
        others = "  ".join(f"{100 * each.relative[way]:12.1f}" if way in each.relative else f"{'–':>12}" for way in TOLD)
        mark = "" if for_development(each.stream) else "'"
        print(f"  {each.stream + mark:<14}{each.delay:>4}  {each.never:7.4f}  {100 * each.relative[AUTOPILOT]:9.1f}  {ends:<20}  "
              f"{100 * each.oracle:6.1f}  {100 * each.relative[best]:5.1f} {best:<16} {others}")  # fmt: skip
    print("  ' not looked at while the method was developed")


def _work(rows: Sequence[Row]) -> None:
    print(
        "Trainings: occasions (fits) and minutes of one core; changes of model and blocks answered recalibrated, of the autopilot"
    )
    for each in rows:
        others = "  ".join(
            f"{_short(way)} {each.occasions[way]:.0f}, {each.minutes[way]:.2f} min" for way in TOLD if way in each.relative
        )
        print(f"  {each.stream:<13}{each.delay:>4}  autopilot {each.occasions[AUTOPILOT]:4.1f} ({each.fits[AUTOPILOT]:4.1f}) at most {each.most_occasions:>2}, "
              f"{each.minutes[AUTOPILOT]:.2f} min, {each.changes:4.1f} changes, {each.recalibrations:4.1f} recalibrated  {others}")  # fmt: skip


def _regrets(rows: Sequence[Row]) -> None:
    print("Mean regret: loss above the oracle's with as many retrainings as the autopilot, in % of the oracle's")
    ways = [way for way in rows[0].relative if all(way in each.relative for each in rows)]
    means = {way: float(np.mean([each.regret(way) for each in rows])) for way in ways}
    for way in sorted(means, key=lambda way: means[way]):
        print(f"  {way:<26}{100 * means[way]:7.1f}")


def _detections(found: Sequence[Sequence[Run]]) -> None:
    known = [each for each in found if any(run.changes for run in each)]
    if not known:
        return
    print(
        "Known changes: seen within 8 blocks (of how many), mean delay in blocks from the change, false alarms before the first one (blocks)"
    )
    for delay, group in groupby(sorted(known, key=lambda each: each[0].delay), key=lambda each: each[0].delay):
        runs = [run for each in group for run in each]
        for way in (AUTOPILOT, "ADWIN, all", "DDM, all", "KSWIN, all", "NannyML-style, all"):
            if all(way in run.governed for run in runs):
                one = detection(runs, way)
                print(
                    f"  late {delay}  {way:<20} {one.seen:>3} of {one.changes:<3}  {one.delay:5.1f}  {one.false_alarms:>3} ({one.blocks})"
                )


def _promises(rows: Sequence[Row]) -> bool:
    worse = [f"{each.stream} {each.delay}" for each in rows if each.against_never.lower > 0.0]
    met = [
        _told("never worse than never retraining, beyond the interval", not worse, "worse: " + ", ".join(worse) if worse else "")
    ]
    streams = sorted({each.stream for each in rows})
    strict = [each for each in rows if each.relative[AUTOPILOT] <= each.relative[EVERY]]
    near = [each for each in rows if each.against_every.lower <= 0.0]
    few = [each for each in rows if each.most_occasions <= MOST]
    both = [each for each in strict if each in few]
    lost = ", ".join(
        f"{each.stream} {each.delay} ({100 * each.against_every.mean:+.1f}, {100 * each.against_every.lower:+.1f} to {100 * each.against_every.upper:+.1f})"
        for each in rows
        if each not in strict
    )
    hindsight = sum(each.oracle_of_most <= each.relative[EVERY] for each in rows)
    many = ", ".join(f"{each.stream} {each.delay}: {each.most_occasions}" for each in rows if each not in few)
    met.append(_told(
        f"at or below retraining at every block with at most {MOST} retrainings on two thirds",
        3 * len(both) >= 2 * len(rows),
        f"{len(both)} of {len(rows)} ({len(streams)} streams × delays); at or below {len(strict)}, not surely above {len(near)}, at most {MOST} occasions {len(few)}; "
        f"the oracle with {MOST} is on {hindsight}"
        f"\n    above: {lost}\n    more occasions: {many}",
    ))  # fmt: skip
    control = [each for each in rows if each.stream == CONTROL]
    if control:
        most = max(each.most_occasions for each in control)
        met.append(_told(f"at most one retraining of {CONTROL}", most <= 1, f"found {most}"))
    best, regret = best_single(rows)
    own = float(np.mean([each.regret(AUTOPILOT) for each in rows]))
    chance = float(np.mean([each.regret(RANDOM) for each in rows]))
    never = float(np.mean([each.regret(NEVER) for each in rows]))
    seen = float(np.mean([each.regret(NEWEST_BEST) for each in rows]))
    met.append(_told(
        "mean regret at most half of the best single baseline's", own <= regret / 2.0,
        f"{100 * own:.1f} % against {100 * regret:.1f} % ({best}); as many random alarms {100 * chance:.1f} %; never {100 * never:.1f} %; who fits all models at "
        f"every block and follows the best of the newest one {100 * seen:.1f} %",
    ))  # fmt: skip
    return all(met)


def _told(promise: str, met: bool, found: str) -> bool:  # noqa: FBT001 - what is told
    print(f"{'met   ' if met else 'MISSED'} {promise}{': ' + found if found else ''}")
    return met


def _short(way: str) -> str:
    return way.replace("recent ", "r").replace("NannyML-style", "NannyML").replace(", all", "")
