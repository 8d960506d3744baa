"""A report with made-up figures of a plausible shape: ten months, eight releases, one of them rolled back."""

import math
from datetime import date, timedelta

import numpy as np

from flyball.control.replay_report import (
    AloneFigures,
    DecisionLine,
    DriftMap,
    FindingLine,
    GovernedFigures,
    Performance,
    ReleaseLine,
    ReplayReport,
    Span,
)

FIRST, LAST = date(2013, 3, 1), date(2013, 12, 31)
FEATURES = (
    *("minute_of_day", "weekday", "distance", "carrier", "origin", "dest"),
    *("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
    "prediction",
)
RETRAINED = [date(2013, 3, 18) + timedelta(days=int(36 * i)) for i in range(8)]
LONG = "Mean Brier score of the challenger minus the champion's lies in [−0.0061, −0.0008] at all looks together, below the margin of 0.005: not worse."


def spans(days: int | None, generator: np.random.Generator) -> tuple[Span, ...]:
    found, start = [], FIRST
    while start <= LAST:
        length = days or ((start.replace(day=28) + timedelta(days=4)).replace(day=1) - start).days
        n = int(930 * length * generator.uniform(0.9, 1.05))
        season = 0.04 * math.sin(2 * math.pi * (start - FIRST).days / 140)
        age = (start - max([d for d in RETRAINED if d <= start], default=FIRST)).days
        noise = float(generator.normal(0, 0.12 / math.sqrt(length)))
        alone = 0.684 + season + noise - 0.02 * ((start - FIRST).days > 200)
        governed = 0.722 + season + noise + float(generator.normal(0, 0.01)) - 0.0004 * age
        half = 1.96 * 0.55 / math.sqrt(n)
        version = f"v{1 + sum(d <= start for d in RETRAINED)}"
        found.append(
            Span(
                start=start.isoformat() if days else start.strftime("%Y-%m"),
                n=n,
                alone=Performance(roc_auc=alone, lower=alone - half, upper=alone + half, log_loss=0.58 - season),
                governed=Performance(roc_auc=governed, lower=governed - half, upper=governed + half, log_loss=0.54 - season),
                answered_by={version: n},
            )
        )
        start += timedelta(days=length)
    return tuple(found)


def drift(generator: np.random.Generator) -> DriftMap:
    weeks = tuple((date(2013, 2, 25) + timedelta(days=7 * i)).isoformat() for i in range(45))
    strength = np.array([0.03, 0.02, 0.03, 0.04, 0.02, 0.06, 0.45, 0.4, 0.2, 0.2, 0.16, 0.22, 0.1, 0.25, 0.12, 0.15])
    wave = np.abs(np.sin(np.linspace(0.2, 9.0, 45)))
    cells = np.clip(strength[:, None] * (0.35 + 0.65 * wave[None, :]) * generator.uniform(0.7, 1.3, (16, 45)), 0, 1)
    rows = [[float(value) for value in row] for row in cells]
    rows[11][20] = None  # a week without reports
    return DriftMap(features=FEATURES, weeks=weeks, distances=tuple(tuple(row) for row in rows))


def decisions() -> tuple[DecisionLine, ...]:
    found: list[DecisionLine] = []
    for number, day in enumerate(RETRAINED):
        steps = [
            (0, "autopilot", "drift" if number % 3 == 0 else "refresh", "retrain", "Drift stood for 3 windows and the champion's data are 17 days old (> 14): retrain."),
            (0, "gates", "champion:brier", "register", "Brier score 0.1671 against the champion's 0.1702: difference in [−0.0052, −0.0010]."),
            (1, "release", "shadow", "enter", LONG),
            (2, "release", "canary", "enter", "10 % of keys for 12 h with 96 rows and no row unanswered: on to 50 %."),
            (3, "release", "canary", "enter", LONG),
            (8, "release", "watch", "roll_back" if number == 3 else "complete", "Five days with all traffic; nothing spoke against it."),
        ]  # fmt: skip
        for later, room, rule, action, words in steps:
            at = f"{(day + timedelta(days=later)).isoformat()}T{10 + later}:30:00Z"
            found.append(DecisionLine(id=f"d-{len(found) + 1:06d}", at=at, room=room, rule=rule, words=words, action=action))
    return tuple(sorted(found, key=lambda line: line.at))


def made_up() -> ReplayReport:
    generator = np.random.default_rng(11)
    releases = [
        ReleaseLine(
            id=f"r-{i + 2:04d}", version=i + 2, opened_at=f"{day}T14:00:00Z", promoted_at=f"{day + timedelta(days=3)}T14:00:00Z",
            ended_at=f"{day + timedelta(days=8)}T14:00:00Z", outcome="rolled_back" if i == 3 else "settled", words=LONG if i == 3 else "Nothing spoke against it.",
        ) for i, day in enumerate(RETRAINED)
    ]  # fmt: skip
    findings = [
        FindingLine(at=f"{day}T04:00:00Z", kind="feature_drift", subject="temp", effect=0.41, words="temp: 0.41 from the reference: warmer than anything in training.")
        for day in RETRAINED
    ]  # fmt: skip
    return ReplayReport(
        project="flights", model="late-arrival", task="binary", metric="roc_auc", since="2013-03-01T05:00:00Z", until="2014-01-01T05:00:00Z",
        timezone="America/New_York", seed=2013, alone=AloneFigures(mean_monthly_roc_auc=0.684, mean_monthly_log_loss=0.579),
        governed=GovernedFigures(mean_monthly_roc_auc=0.7187, mean_monthly_log_loss=0.541, retrainings=8, promotions=8, rollbacks=1),
        requests=5_844, predictions=284_821, failed_requests=0, labels_sent=290_517, labels_joined=284_821, decisions=48,
        decisions_replayed_equal=48, wall_seconds=412.3, months=spans(None, generator), weeks=spans(7, generator), days=spans(1, generator),
        releases=tuple(releases), decision_log=decisions(), findings=tuple(findings), drift=drift(generator),
    )  # fmt: skip
