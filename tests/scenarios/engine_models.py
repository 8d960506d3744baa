"""Tiny versions for scenarios of the engine: real packages, made and read with the product's own functions."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from flyball.adapters.packages import MANIFEST, LocalPackages, make_manifest
from flyball.autopilot import contest, tournament
from flyball.control.ports import StepRequest
from flyball.errors import TrainingError
from flyball.monitoring import blocks, calibration, estimates, harm, norms, sensitivity, slices
from flyball.monitoring.reference import HoldoutScores, build
from flyball.monitoring.streams import Stream
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.jobs import Progress, StepResult
from flyball.records.keeping import Keeping
from flyball.records.maps import ScoreMap
from flyball.records.routing import ServedUnit
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.tournaments import Entrant, Standings, TournamentOrder
from flyball.records.unit import Lineage, SnapshotRef
from flyball.stats import monotone
from flyball.stats.losses import bounded_loss

START = datetime(2026, 1, 5, tzinfo=UTC)
SIGNATURE = Signature(task="binary", columns=(Column(name="x", type=ColumnType.NUMBER),), classes=("no", "yes"))
HOLDOUT_DAYS = 20


class Model(NamedTuple):
    """How a version behaves: 0 says what is true, 1 says its opposite."""

    wrong: float = 0.0
    passes: bool = True
    """Its gates."""
    trains: bool = True
    estimates: bool = False
    """Its package holds what estimates, concept and slices are judged by: a tenth of a second a window."""
    run: str = ""
    """Data, code and parameters that it is made of; empty: of its own."""
    unasked: bool = False
    """Its champion could not be asked about its holdout."""
    capture: Keeping | None = None
    """What flyball.yaml said of capture when it was made."""
    worse: bool = False
    """Than who it is judged beside; its other gates it passes."""
    asked: bool = False
    """Its package says what its answers lose without `x`; with `estimates`, what columns look like too."""


def truth(x: np.ndarray) -> np.ndarray:
    """The probability of `yes`."""
    return 0.15 + 0.7 * (x > 0)


def scores_of(wrong: float, x: np.ndarray) -> np.ndarray:
    p = truth(x)
    return (1 - wrong) * p + wrong * (1 - p)


def _watched(
    x: np.ndarray, event_us: np.ndarray, table: np.ndarray, labels: np.ndarray, streams: list[Stream]
) -> dict[str, object]:
    window, losses = timedelta(days=1), bounded_loss("binary", table, labels, 1.0)
    return {
        norms.FILE: norms.build(streams, {"x": x}, blocks.cut(len(x), event_us, window).windows),
        estimates.FILE: estimates.build(SIGNATURE, {"x": x}, event_us, (table, labels), window, None),
        calibration.FILE: calibration.build(SIGNATURE, HoldoutScores(table, losses, event_us), labels, window, None),
        slices.FILE: slices.build(SIGNATURE, {"x": x}, losses, slices.window_numbers(len(x), event_us, window)),
    }


def _harm(wrong: float, x: np.ndarray, labels: np.ndarray, streams: list[Stream]) -> dict[str, object]:
    def answer(columns: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        table = scores_of(wrong, columns["x"])[:, None]
        return table, bounded_loss("binary", table, labels, 1.0)

    asked = sensitivity.sensitivities(answer, {"x": x}, streams, (), 0)
    return {harm.FILE: harm.build(streams, {"x": x}, answer({"x": x})[1], asked)}


def make_package(root: Path, name: str, model: Model, signature: Signature = SIGNATURE) -> Path:
    """Leaves the directory as the step `package` does."""
    place = root / f"{name}-{codec.digest(list(model))[:8]}"
    if place.exists():
        return place
    (place / "model").mkdir(parents=True)
    (place / "model" / "model.lgb").write_text(f"{name} {model}")
    generator = np.random.default_rng(7)
    n = 100 * HOLDOUT_DAYS
    x = generator.uniform(-2, 2, n)
    at = np.sort(generator.uniform(0, HOLDOUT_DAYS, n))
    event_us = ((START - timedelta(days=HOLDOUT_DAYS)).timestamp() * 1e6 + at * 86_400e6).astype(np.int64)
    labels = (generator.uniform(size=n) < truth(x)).astype(np.int64)
    table = scores_of(model.wrong, x)[:, None]
    losses = bounded_loss("binary", table, labels, 1.0)
    reference = build(SIGNATURE, {"x": x}, event_us, HoldoutScores(table, losses, event_us), timedelta(days=1), None)
    snapshot = SnapshotRef(
        table="shop", version=0, content_digest="c" * 64, schema_digest="d" * 64, rows=n, since=None, until=START
    )
    lineage = Lineage(
        run_key=codec.digest([model.run or name, model.wrong]), mlflow_run="", git_commit=None, git_dirty=False, code_digest="a" * 64,
        environment_digest="b" * 64, snapshot=snapshot, parameters={"wrong": model.wrong}, seed=0,
        capture=model.capture,
    )  # fmt: skip
    bad = 0.0 if model.passes and not model.worse else 1.0
    evaluation = [
        Evidence(name="log_loss", value=0.4, n=n),
        Evidence(name="log_loss_difference", value=bad, lower=bad - 0.001, upper=bad + 0.001, alpha=0.05, n=n),
        Evidence(name="parity_max_difference", value=0.0 if model.passes else 0.5, n=n),
        Evidence(name="latency_p99_ms", value=0.5, n=300),
    ]
    if model.unasked:
        evaluation[1] = Evidence(name="champion_unasked", value=None, note="the champion cannot be asked about the holdout")
    features = [each for each in reference.streams if each.name == "x"]
    files = {
        **(_watched(x, event_us, table, labels, features) if model.estimates else {}),
        **(_harm(model.wrong, x, labels, features) if model.asked else {}),
        "signature.json": signature,
        "reference.json": reference,
        "lineage.json": lineage,
        "evaluation.json": evaluation,
    }
    for file, content in files.items():
        (place / file).write_bytes(codec.encode(content))
    (place / MANIFEST).write_bytes(codec.encode(make_manifest(place, "lightgbm")))
    return place


class Workshop:
    """What each job makes, by its id: a job that is run again makes the same."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.plans: dict[str, Model] = {}
        self.signatures: dict[str, Signature] = {}
        """Job → what its version is asked, where that is not `x` alone."""
        self.turned: dict[str, float] = {}
        """Job → share of the world that has turned, as the rows that judge its tournament show it; not named: none has."""
        self.tried: dict[str, list[str]] = {}
        """Job → who competed in it."""
        self.newer = timedelta(0)
        """How much newer the newest row is than in the tournaments so far."""
        self.requests: dict[str, StepRequest] = {}
        """Job → what its steps were given last."""

    def run(self, request: StepRequest, tell: object) -> list[StepResult]:
        model = self.plans.get(request.job.id, Model())
        self.requests[request.job.id] = request
        assert callable(tell)
        tell(Progress(step="train", status="started"))
        given, results = request.job.overrides.get("tournament"), []
        if given is not None:
            found = self.held(request, codec.revive(given, TournamentOrder), model)
            results.append(
                StepResult(step="tournament", key=request.job.id, values={"standings": codec.plain(found)}, seconds=0.0)
            )
            won = contest.winner(found)
            if won is None or not won.fitted:
                return results
        if not model.trains:
            raise TrainingError("the label has a single class")
        package = make_package(self.root, request.job.id, model, self.signatures.get(request.job.id, SIGNATURE))
        return [*results, StepResult(step="package", key=request.job.id, values={"package": str(package)}, seconds=0.0)]

    def held(self, request: StepRequest, order: TournamentOrder, model: Model) -> Standings:
        """Judged by 2,000 rows of ten days, with the product's own statistics."""
        draw, turned, champion = np.random.default_rng(11), self.turned.get(request.job.id, 0.0), request.champion
        assert champion is not None
        x = draw.uniform(-2, 2, 2000)
        y = (draw.uniform(size=2000) < (1 - turned) * truth(x) + turned * (1 - truth(x))).astype(np.int64)

        def of(unit: ServedUnit) -> np.ndarray:
            scores = scores_of(LocalPackages().lineage(Path(unit.package)).parameters["wrong"], x)
            return scores if unit.unit.calibration is None else unit.unit.calibration.of(scores)

        answers = {f"earlier:{unit.unit.id}": of(unit) for unit in request.earlier if "earlier" in order.strategies}
        maps: dict[str, ScoreMap] = {}
        bare = msgspec.structs.replace(champion, unit=msgspec.structs.replace(champion.unit, calibration=None))
        if "recalibrate" in order.strategies and (found := monotone.rising_map(of(bare), y)) is not None:
            maps["recalibrate"] = ScoreMap(
                method=found[0], scores=found[1][0], answers=found[1][1], rows=2000, until=request.job.as_of - timedelta(hours=6)
            )
            answers["recalibrate"] = maps["recalibrate"].of(of(bare))
        answers |= {name: scores_of(model.wrong, x) for name in ("all", "since") if name in order.strategies and model.trains}
        self.tried[request.job.id] = [*answers]
        own = bounded_loss("binary", of(champion)[:, None], y)
        losses = {name: bounded_loss("binary", scores[:, None], y) for name, scores in answers.items()}
        judged = tournament.judge(own, losses, np.repeat(np.arange(10), 200), 0.05)
        measured = [
            Entrant(
                name=each.entrant, fitted=each.entrant in ("all", "since"), calibration=maps.get(each.entrant), relative=each.relative,
                windows=each.windows,
                gain=Evidence(name="loss_gain", value=each.estimate, lower=each.lower, upper=each.upper, alpha=0.05 / len(losses), n=each.rows),
            )
            for each in judged.standings
        ]  # fmt: skip
        if not model.trains:
            crashed = [name for name in ("all", "since") if name in order.strategies]
            measured += [Entrant(name=name, fitted=True, words="the label has a single class", crashed=True) for name in crashed]
        if "rethreshold" in order.strategies:
            gain = Evidence(name="cost_gain", value=0.1, lower=0.05, upper=0.15, alpha=0.05, n=2000)
            measured.append(Entrant(name="rethreshold", fitted=False, gain=gain, windows=10, threshold=0.42))
        begin, later = START + self.newer, order.judged_from
        measured = [
            each if later.get(each.name, begin) <= begin else Entrant(name=each.name, fitted=False, words="no row judges it")
            for each in measured
        ]
        return Standings(
            champion=champion.unit.id, champion_loss=judged.champion_loss, rows=2000, since=begin, until=START + timedelta(days=10) + self.newer, alpha=0.05,
            entrants=tuple(measured),
        )  # fmt: skip
