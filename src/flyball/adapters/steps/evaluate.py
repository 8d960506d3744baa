"""evaluate: the trained estimator on the holdout, alone and beside the champion."""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from flyball.adapters import estimators, model_input
from flyball.adapters.packages import EVALUATION, LocalPackages, read_manifest
from flyball.adapters.scorer_onnx import PackageScorer
from flyball.adapters.steps.own_fault import is_passing, own_fault
from flyball.adapters.steps.own_threshold import OWN, refuse_unsaid, told_apart
from flyball.adapters.steps.situation import Rows, Run, divided, read_rows
from flyball.adapters.steps.train import estimator_digest, of_estimator, read_estimator, told
from flyball.adapters.user_code import user_code
from flyball.control.world import micros
from flyball.errors import DataError, FlyballError, TrainingError
from flyball.pipelines import evaluation
from flyball.pipelines.evaluation import Answers, Holdout
from flyball.pipelines.graph import step_key
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.jobs import StepResult
from flyball.records.routing import ServedUnit
from flyball.records.scores import Scores
from flyball.records.signature import ColumnType, Signature, clash
from flyball.stats.metrics import DECIDED, HALF

SCORES = "scores.parquet"

_ALPHA = 0.05
"""Where the gate on the champion does not say another."""
_COMPARISON_VERSION = 5
"""Raised when the comparison gives something else for the same rows and models."""


class Fits(NamedTuple):
    """Of one recipe, results of steps `train`: by their answers to the holdout it is judged, each answering rows that it has not seen."""

    newest: StepResult
    older: StepResult | None = None
    """Answers what the newest one was fitted on, as a tournament's winner was on all but a few windows (steps/apart.py). None: there are no such rows."""

    def answers(self, run: Run, rows: Rows, signature: Signature) -> Scores:
        """(n_rows, n_scores) to the holdout. Raises TrainingError, in words, where they cannot."""
        if self.older is None:
            return answers_of_trained(run, self.newest, rows.features, signature)
        known = rows.event_us <= int(self.newest.values["trained_until_us"])
        if not known.any():
            return answers_of_trained(run, self.newest, rows.features, signature)
        older = answers_of_trained(run, self.older, rows.where(known).features, signature)
        newer = answers_of_trained(run, self.newest, rows.where(~known).features, signature)
        return np.concatenate([older, newer])  # rows are in order of time


def evaluation_key(run: Run, keys: dict[str, str], fits: Fits, champion: ServedUnit | None) -> str:
    content = [*_content(run, fits, _compared(run, champion)), *run.decided_at(metrics_of(run))]
    return step_key("evaluate", keys, content)


def model_key(run: Run, keys: dict[str, str], fits: Fits) -> str:
    """As the run's model is known by (`graph.run_key`): neither whom it was compared with, nor the threshold of its unit makes it another one."""
    return step_key("evaluate", keys, _content(run, fits, None))


def _content(run: Run, fits: Fits, compared: list[Any] | None) -> list[Any]:
    older = [] if fits.older is None else [fits.older.key]
    return [list(metrics_of(run)), run.request.spec.primary_metric, _alpha(run), compared, *older]


def _compared(run: Run, champion: ServedUnit | None) -> list[Any] | None:
    if champion is None:
        return None
    threshold = _threshold_of(champion)
    waits = ["waits to be the first"] if run.request.waits else []
    divided_at = [] if threshold == HALF or DECIDED.isdisjoint(metrics_of(run)) else [threshold]
    return [
        _COMPARISON_VERSION,
        codec.digest(read_manifest(Path(champion.package))),
        champion.unit.calibration,
        *divided_at,
        *waits,
    ]


def _threshold_of(served: ServedUnit) -> float:
    return HALF if served.unit.threshold is None else served.unit.threshold


def evaluate(run: Run, keys: dict[str, str], validated: StepResult, fits: Fits) -> StepResult:
    """On rows that neither was fitted on. The values hold the `champion` beside whom it was judged."""
    champion = run.request.champion
    signature = codec.revive(validated.values["signature"], Signature)

    def work(directory: Path) -> dict[str, Any]:
        _, rows = divided(run, read_rows(run.cache.directory("validate", validated.key)))
        scores = fits.answers(run, rows, signature)
        own = _own_threshold(run, fits, rows, scores, signature) if signature.task == "binary" else None
        holdout = Holdout(signature.task, rows.labels, rows.event_us)
        seed = run.request.spec.train.seed
        run.say("evaluate", f"{len(metrics_of(run))} metrics on {rows.labels.size:,} rows of the holdout", 0.3)
        found = evaluation.measure_all(metrics_of(run), holdout, Answers(scores, run.threshold), _alpha(run), seed)
        if champion is not None:
            run.say("evaluate", "comparing with the champion on the same rows", 0.6)
            judged = _Judged(signature, rows, holdout, scores)
            found += _beside(run, champion, judged, _told_apart_from(fits, champion))
        (directory / EVALUATION).write_bytes(codec.encode(found))
        pl.DataFrame(scores, schema=[f"score_{i}" for i in range(scores.shape[1])]).write_parquet(directory / SCORES)
        metrics = {item.name: item.value for item in found if item.value is not None}
        return {
            "metrics": metrics,
            "rows": int(rows.labels.size),
            "estimator_digest": estimator_digest(run, fits.newest),
            OWN: own,
        }

    result = run.cache.do("evaluate", evaluation_key(run, keys, fits, champion), work, of_estimator(run, fits.newest))
    refuse_unsaid(run, result)
    # Not in what is kept: that is of the champion's bytes, which other units may have, too.
    beside = champion.unit.id if champion is not None else None
    return msgspec.structs.replace(result, values={**result.values, "champion": beside})


def _own_threshold(run: Run, fits: Fits, rows: Rows, scores: Scores, signature: Signature) -> float | None:
    with user_code(run.request.project_dir):
        estimator = read_estimator(run, fits.newest)
        # Of two fits each answered a part of the rows, and `predict` of one is to be held against its own scores.
        its = scores if fits.older is None else estimators.score(estimator, rows.features, signature)
        return told_apart(run, estimator, rows.features, its)


class _Judged(NamedTuple):
    signature: Signature
    rows: Rows
    """The holdout."""
    holdout: Holdout
    scores: Scores
    """Of the model that was trained."""


def _told_apart_from(fits: Fits, champion: ServedUnit) -> int:
    """The newest row on which the two are not compared. A champion that was fitted once more, or won a tournament, knows some of the holdout; and an older fit that
    knows less of the world than the champion, by rows or by a map, would have it win by that."""
    until_us = _fitted_until_us(champion)
    if fits.older is not None and int(fits.older.values["trained_until_us"]) < until_us:
        return max(until_us, int(fits.newest.values["trained_until_us"]))
    return until_us


def _beside(run: Run, champion: ServedUnit, judged: _Judged, until_us: int) -> tuple[Evidence, ...]:
    """On rows after `until_us`."""
    signature, rows, holdout, scores = judged
    apart = clash(champion.signature, signature)
    if apart is not None:  # no route can hold the two, so there is no release that would compare them in the place of this one
        why = DataError(
            f"no release can bring it beside the champion: {apart.found}", expected=apart.expected, next_step=apart.next_step
        )
        return evaluation.not_comparable(metrics_of(run), why.message)
    new, told_of_rows = evaluation.unseen_rows(holdout, until_us)
    if told_of_rows is not None and told_of_rows.note:
        return (told_of_rows, *evaluation.not_comparable(metrics_of(run), told_of_rows.note))
    try:
        opened = _opened(run, champion)
    except FlyballError as error:  # who serves was loaded by every gateway: what is wrong with it here is this machine's
        return _unasked(run, error, excused=run.request.waits)
    try:
        answered = _answered(run, champion, opened, rows.where(new).features, signature)
    except FlyballError as error:
        # Kept, and no challenger is held against this champion any more: so of what is so whenever it is asked, and of no machine in trouble.
        excused = isinstance(error, DataError | TrainingError) and own_fault(error)
        return _unasked(run, error, excused=excused or run.request.waits)
    seed = run.request.spec.train.seed
    ours, theirs = Answers(scores[new], run.threshold), Answers(answered, _threshold_of(champion))
    found = evaluation.compare_all(metrics_of(run), holdout.where(new), ours, theirs, _alpha(run), seed)
    return found if told_of_rows is None else (told_of_rows, *found)


def _unasked(run: Run, error: FlyballError, *, excused: bool) -> tuple[Evidence, ...]:
    """In words, why nothing can be compared. Raises the error where it is not `excused`, or would not be met again."""
    if not excused or is_passing(error):
        raise error
    who = "who waits to be the first" if run.request.waits else "the champion"
    return evaluation.unasked(metrics_of(run), f"{who} cannot be asked about the holdout: {error.message.rstrip('.')}")


def _fitted_until_us(champion: ServedUnit) -> int:
    """The newest row that it was fitted on, its calibration included; -1: it does not say, and was made when nothing was fitted on its holdout."""
    calibration = champion.unit.calibration
    known = [LocalPackages().lineage(Path(champion.package)).fitted_until, calibration.until if calibration else None]
    return max((micros(each) for each in known if each is not None), default=-1)


def answers_of(run: Run, served: ServedUnit, features: pl.DataFrame, ours: Signature) -> Scores:
    """(n_rows, n_scores): what a unit answers, through its calibration. Raises FlyballError, in words, where it cannot or answers another question."""
    return _answered(run, served, _opened(run, served), features, ours)


def _opened(run: Run, served: ServedUnit) -> PackageScorer:
    scorer = PackageScorer(in_child=True)
    with told(f"the model of {served.unit.id}", run.request.project_dir):
        scorer.opened(Path(served.package))
    return scorer


def _answered(run: Run, served: ServedUnit, scorer: PackageScorer, features: pl.DataFrame, ours: Signature) -> Scores:
    """Raises DataError where it cannot be asked, TrainingError where its model raises."""
    package = Path(served.package)
    theirs, _ = scorer.opened(package)
    if theirs.task != ours.task or theirs.classes != ours.classes:
        raise DataError(f"it answers {theirs.task} {list(theirs.classes)}", expected=f"{ours.task} {list(ours.classes)}")
    absent = [column.name for column in theirs.columns if column.name not in {mine.name for mine in ours.columns}]
    if absent:
        raise DataError(f"it needs the features {', '.join(absent)}, which are no longer declared")
    asked = _as_theirs(features, theirs)
    with user_code(run.request.project_dir), told(f"the model of {served.unit.id}", run.request.project_dir):
        scores = scorer.score_frame(package, asked)
    calibration = served.unit.calibration
    return scores if calibration is None else calibration.of(scores)


def answers_of_trained(run: Run, trained: StepResult, features: pl.DataFrame, signature: Signature) -> Scores:
    """(n_rows, n_scores): what the estimator of a step `train` answers. Raises TrainingError, in words, where it cannot."""
    with user_code(run.request.project_dir):
        estimator = read_estimator(run, trained)
        with told(f"the {type(estimator).__name__} of {run.request.spec.train.entrypoint}", run.request.project_dir):
            return estimators.score(estimator, features, signature)


def _as_theirs(features: pl.DataFrame, theirs: Signature) -> pl.DataFrame:
    """Columns and types of the champion: a feature may have become a category since, as long as its values are numbers. Raises DataError."""
    for column in theirs.columns:
        if column.type is ColumnType.CATEGORY and features[column.name].dtype != pl.String:
            raise DataError(f"it knows the feature {column.name} as a category, and it is a number now")
    try:
        return model_input.frame_of(features.select(column.name for column in theirs.columns), theirs.columns)
    except pl.exceptions.InvalidOperationError as error:
        raise DataError("it knows a feature as a number, whose values are texts now", detail=str(error)) from None


def metrics_of(run: Run) -> tuple[str, ...]:
    """Those of flyball.yaml, and those that its gates ask for."""
    spec = run.request.spec
    asked = [gate.metric for gate in spec.gates.absolute] + ([spec.gates.champion.metric] if spec.gates.champion else [])
    return tuple(dict.fromkeys([*spec.metrics, *asked]))


def _alpha(run: Run) -> float:
    gate = run.request.spec.gates.champion
    return gate.alpha if gate else _ALPHA
