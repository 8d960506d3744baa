"""What a release is judged by: is the challenger's loss no worse by more than the margin, and does it answer as reliably.

Both are confidence sequences (`stats/sequences.py`): they hold at every look of the release together, under any dependence between rows.
"""

import hashlib
import math

import numpy as np
import numpy.typing as npt

from flyball.records.evidence import Evidence, Outcome, Verdict
from flyball.release.policy import ReleasePolicy
from flyball.stats.sequences import mean_sequence
from flyball.stats.two_proportions import rate_difference

QUALITY = "quality_difference"
FAILURES = "failure_rate_difference"


def quality(champion_losses: npt.ArrayLike, challenger_losses: npt.ArrayLike, policy: ReleasePolicy) -> Evidence:
    """The mean of challenger − champion over the same labelled rows, with an interval valid at all looks.

    Both (n,): bounded losses in [0, 1], in the order in which the labels arrived, since the release opened. No pair or a loss that is
    not finite: value None and a note. Raises ValueError when the lengths differ or a loss is outside [0, 1].
    """
    champion = np.asarray(champion_losses, dtype=np.float64).reshape(-1)
    challenger = np.asarray(challenger_losses, dtype=np.float64).reshape(-1)
    if champion.size != challenger.size:
        raise ValueError(
            f"the same rows from both, found {champion.size} losses of the champion and {challenger.size} of the challenger"
        )
    n = champion.size
    inputs = hashlib.sha256(champion.tobytes() + challenger.tobytes()).hexdigest()
    if n == 0:
        return _unknown(QUALITY, 0, "pairs", inputs, "no labelled row has both scores yet")
    difference = challenger - champion
    broken = int(n - np.isfinite(difference).sum())
    if broken:
        return _unknown(QUALITY, n, "pairs", inputs, f"{broken} of {n} losses are not finite")
    interval = mean_sequence(difference, policy.quality_alpha, -1.0, 1.0)
    return Evidence(
        name=QUALITY, value=interval.mean, lower=interval.lower, upper=interval.upper, alpha=policy.quality_alpha, anytime=True,
        n=n, unit="pairs", inputs=inputs, method="confidence sequence of the mean paired loss difference (after Howard et al. 2021)",
    )  # fmt: skip


def failures(champion_failed: int, champion_n: int, challenger_failed: int, challenger_n: int, policy: ReleasePolicy) -> Evidence:
    """The challenger's rate of rows that it could not answer minus the champion's, with an interval valid at all looks.

    `_n`: rows that each was asked since the release opened, `_failed`: of which it could not answer. Raises ValueError when a count is impossible.
    """
    asked = f"{champion_failed}/{champion_n} {challenger_failed}/{challenger_n}"
    inputs = hashlib.sha256(asked.encode()).hexdigest()
    interval = rate_difference(champion_failed, champion_n, challenger_failed, challenger_n, policy.failures_alpha)
    if interval.n == 0:
        return _unknown(FAILURES, 0, "rows", inputs, "no row was asked of both yet")
    return Evidence(
        name=FAILURES, value=interval.mean, lower=interval.lower, upper=interval.upper, alpha=policy.failures_alpha, anytime=True,
        n=interval.n, unit="rows", inputs=inputs, method="confidence sequence of the difference of two rates (infimum over the null, after Turner et al. 2024)",
        note=f"champion {champion_failed} of {champion_n}, challenger {challenger_failed} of {challenger_n}",
    )  # fmt: skip


def judge(evidence: tuple[Evidence, ...], name: str, margin: float) -> Verdict:
    """Non-inferiority: the whole interval within the margin passes, the whole interval beyond it fails, no data yet is inconclusive,
    what was not or could not be measured is an error."""
    found = next((item for item in evidence if item.name == name), None)
    if found is None:
        missing = Evidence(name=name, value=None, note="it was not measured")
        return Verdict(rule=name, outcome=Outcome.ERROR, evidence=missing, words=f"{name} was not measured")
    if found.value is None or found.lower is None or found.upper is None:
        outcome = Outcome.INCONCLUSIVE if found.n == 0 else Outcome.ERROR
        return Verdict(rule=name, outcome=outcome, evidence=found, words=f"{name}: {found.note or 'it could not be measured'}")
    shown = f"{name} {found.value:+.4f} [{found.lower:+.4f}, {found.upper:+.4f}] over {found.n} {found.unit}"
    if found.upper <= margin:
        return Verdict(rule=name, outcome=Outcome.PASS, evidence=found, words=f"{shown} is at most {margin:g}")
    if found.lower > margin:
        return Verdict(rule=name, outcome=Outcome.FAIL, evidence=found, words=f"{shown} is beyond {margin:g}")
    return Verdict(rule=name, outcome=Outcome.INCONCLUSIVE, evidence=found, words=f"{shown} reaches to both sides of {margin:g}")


def labels_needed(evidence: Evidence, margin: float) -> int | None:
    """About how many more pairs would settle it, were the difference to stay as it is: the width goes as 1/√n. None: cannot be told."""
    value, lower, upper = evidence.value, evidence.lower, evidence.upper
    if value is None or lower is None or upper is None or evidence.n == 0 or value == margin:
        return None
    half = upper - value if value < margin else value - lower
    wanted = evidence.n * (half / (margin - value)) ** 2
    return max(round(wanted) - evidence.n, 1) if math.isfinite(wanted) else None


def _unknown(name: str, n: int, unit: str, inputs: str, note: str) -> Evidence:
    return Evidence(name=name, value=None, n=n, unit=unit, inputs=inputs, note=note)
