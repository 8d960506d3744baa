"""package: the served form, proven equal, with everything that a version is made of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from flyball.adapters import conversion, estimators
from flyball.adapters.conversion import MANY_ROWS, Compared, Served
from flyball.adapters.conversion.elsewhere import Packed, answers_elsewhere
from flyball.adapters.environment import code_files, refuse_change
from flyball.adapters.mlflow_models import save_model
from flyball.adapters.packages import EVALUATION, LINEAGE, MANIFEST, LocalPackages, make_manifest
from flyball.adapters.schema_file import Schema
from flyball.adapters.seen_ranges import ranged
from flyball.adapters.steps.evaluate import SCORES, metrics_of
from flyball.adapters.steps.latency import latency, p99_ms
from flyball.adapters.steps.recipes import PLAIN, Recipe
from flyball.adapters.steps.situation import Rows, Run, divided, read_rows
from flyball.adapters.steps.train import ESTIMATOR, estimator_digest, of_estimator, told
from flyball.adapters.steps.watched import Made, watched
from flyball.adapters.user_code import user_code
from flyball.adapters.validation_pandera import enforced
from flyball.control.keeping import keeping_of
from flyball.control.world import moment
from flyball.errors import TrainingError
from flyball.gates.decide import LATENCY, REFUSED_MISSING
from flyball.monitoring import blocks
from flyball.pipelines.evaluation import label_scale
from flyball.pipelines.graph import step_key
from flyball.records import background, codec
from flyball.records.evidence import Evidence
from flyball.records.jobs import StepResult
from flyball.records.keeping import Keeping
from flyball.records.signature import Signature
from flyball.records.unit import Format, Lineage, SnapshotRef

PACKAGE = "package"

_PROOFS = ("without_project", "rows_trained_on", "refusals_as_trained")
"""What a served form is asked. Earlier releases asked less."""
_LEAST_ALIKE = 20
"""Rows that have a value which is nobody's own. Beside the rest of 50 rows a value of fewer might tell who is meant."""
_NOBODYS = "(hidden)"
"""A category that no row has."""

Results = dict[str, StepResult]


class PackageOrder(NamedTuple):
    run_key: str
    schema: Schema
    """Whose rules for requests go into the signature."""
    fitted: StepResult
    """`train`, or `refit`: whose estimator is served."""
    recipe: Recipe = PLAIN
    """By which it was fitted."""


def package_key(run: Run, keys: dict[str, str], schema: Schema) -> str:
    spec = run.request.spec
    window = spec.model_dump(mode="json", include={"monitor": {"window"}, "capture": {"fields"}})
    more = [
        *(["refit"] if run.refits else []),
        *(["nobody's values in the background"] if _hidden(run) else []),
        *([] if spec.capture.keys == "keep" else [f"keys: {spec.capture.keys}"]),
    ]
    return step_key("package", keys, [spec.gates.parity, window, run.surroundings.environment_digest, schema.of_requests, *more])


def package(run: Run, keys: dict[str, str], done: Results, order: PackageOrder) -> StepResult:
    """`done`: results of the earlier steps by name. The values hold the package's directory below the cache, as `package`."""

    def work(directory: Path) -> dict[str, Any]:
        signature = enforced(codec.revive(done["validate"].values["signature"], Signature), order.schema)
        before, holdout = divided(run, read_rows(run.cache.directory("validate", done["validate"].key)))
        to_train = order.recipe.of(before)
        # The world as it is to the model: what its recipe left out is not what its windows are to be like.
        rows = to_train.followed_by(holdout)
        signature = ranged(signature, order.schema, rows.features)
        scale = label_scale(signature.task, to_train.labels)
        fitted = run.cache.directory(order.fitted.step, order.fitted.key)
        evaluated = run.cache.directory("evaluate", done["evaluate"].key)
        root = directory / PACKAGE
        root.mkdir()
        found = codec.decode((evaluated / EVALUATION).read_bytes(), list[Evidence])
        answered = np.asarray(pl.read_parquet(evaluated / SCORES, glob=False).to_numpy(), dtype=np.float64)
        with user_code(run.request.project_dir):
            served, compared = _convert(run, (fitted / ESTIMATOR).read_bytes(), rows, holdout, signature, scale)
            served = _without_project(run, served, compared, _Asked(signature, scale, directory))
            refused = _refused(run, compared, before.followed_by(holdout).features)
            with told(f"the served model of {run.request.spec.train.entrypoint}", run.request.project_dir):
                served, taken = _in_time(run, served, holdout.features)
                served = served._replace(words=(*served.words, *(each.note for each in refused)))
                held = _answered(served, holdout.features, _hidden(run), rows.features)
                measured = (_parity(served, signature), *refused, *taken, *_speedups(served))
            judged_by = tuple(watched(run, Made(signature, rows, holdout, answered, scale, served.run)))
        save_model(root / "model", served.format, served.content, run.request.project_dir, code_files(run.request.project_dir))
        lineage = lineage_of(run, done, order)
        for name, content in (
            ("signature.json", signature), (LINEAGE, lineage), (EVALUATION, [*found, *measured]), *judged_by,
            (background.FILE, _background(held)),
        ):  # fmt: skip
            (root / name).write_bytes(codec.encode(content))
        refuse_change(run.request.project_dir, run.surroundings)
        manifest = make_manifest(root, served.format)
        (root / MANIFEST).write_bytes(codec.encode(manifest))
        return {
            "package": PACKAGE, "format": served.format, "manifest_digest": codec.digest(manifest), "run_key": order.run_key, "words": list(served.words),
            "estimator_digest": estimator_digest(run, order.fitted), "parity": served.parity, **dict.fromkeys(_PROOFS, True),
            "latency_ms": {item.name: item.value for item in measured if item.name.startswith("latency_")},
        }  # fmt: skip

    its = of_estimator(run, order.fitted)
    return run.cache.do(
        "package",
        package_key(run, keys, order.schema),
        work,
        lambda made: its(made) and _proved_as_now(made) and _is_whole(run, made) and _quick_enough(run, made),
    )


def _proved_as_now(made: StepResult) -> bool:
    return all(made.values.get(proof, False) for proof in _PROOFS)


def _is_whole(run: Run, made: StepResult) -> bool:
    """One that was damaged since would be refused by every run that finds it."""
    place = run.cache.directory("package", made.key) / PACKAGE
    return LocalPackages().is_whole(place, str(made.values["manifest_digest"]))


def _quick_enough(run: Run, made: StepResult) -> bool:
    """A machine that was busy when the model was measured must not be held against it for ever: what fails the gate is measured anew by each run."""
    taken = made.values["latency_ms"].get(LATENCY)
    return taken is None or float(taken) <= run.request.spec.gates.latency_p99_ms


def _hidden(run: Run) -> tuple[str, ...]:
    """Features of which flyball.yaml says that no value is to be kept."""
    return tuple(name for name, rule in run.request.spec.capture.fields.items() if rule in ("drop", "hash"))


def _answered(served: Served, features: pl.DataFrame, hidden: Sequence[str], everything: pl.DataFrame) -> pl.DataFrame:
    """What is held, of which `served` has answered the row that each gateway asks first: what fails there is served by none. A model that takes nothing that
    no row has gets the commonest values of what is hidden."""
    held = _held(features, hidden, everything)
    try:
        served.run(held.head(1))
    except Exception:
        if not hidden:
            raise
        held = _held(features, hidden, everything, 0)
        served.run(held.head(1))
    return held


def _held(features: pl.DataFrame, hidden: Sequence[str], everything: pl.DataFrame, least: int = _LEAST_ALIKE) -> pl.DataFrame:
    """Rows of the holdout, over all its time: at equal steps a panel (300 stores, a row each a day) would be one store. What is `hidden` has one value in all of
    them, that is ordinary in `everything`: an explanation says of it what it did beside that."""
    some = features[blocks.sampled(features.height, -(-features.height // background.MAX_ROWS))]
    return some.with_columns(
        pl.lit(_ordinary(everything[name], least), dtype=features[name].dtype).alias(name) for name in hidden
    )


def _ordinary(column: pl.Series, least: int) -> Any:
    """The value of most rows; of numbers the middle one. Of fewer rows than `least` it may be a person's own: in its place stands what nobody has, or a round number."""
    if column.dtype == pl.String:
        value = column.mode().sort()[0]
        return value if _is_common(column, value, least) else "" if (column == "").any() else _NOBODYS
    known = column.drop_nans()
    if known.is_empty():
        return float("nan")
    value = known.quantile(0.5, "lower")
    return value if value is None or _is_common(known, value, least) else float(f"{value:.0e}")


def _is_common(column: pl.Series, value: Any, least: int) -> bool:
    return int((column == value).sum()) >= least


def _background(held: pl.DataFrame) -> background.Background:
    return background.Background(
        columns={name: tuple(None if value != value else value for value in held[name]) for name in held.columns}  # noqa: PLR0124 - only NaN differs from itself
    )


def lineage_of(run: Run, done: Results, order: PackageOrder) -> Lineage:
    """`mlflow_run` is empty: the registry fills it in where it makes the run."""
    around, trained = run.surroundings, order.fitted.values
    return Lineage(
        run_key=order.run_key, mlflow_run="", git_commit=around.git.commit, git_dirty=around.git.dirty, code_digest=around.code_digest,
        environment_digest=around.environment_digest, snapshot=codec.revive(done["snapshot"].values["snapshot"], SnapshotRef),
        parameters=trained["parameters"], seed=run.request.spec.train.seed, strategy=order.recipe.name,
        fitted_until=moment(trained["trained_until_us"]), capture=keeping_of(run.request.spec) or Keeping(),
        threshold=run.threshold if run.decided_at(metrics_of(run)) else None,
    )  # fmt: skip


def _convert(run: Run, pickled: bytes, rows: Rows, holdout: Rows, signature: Signature, scale: float) -> tuple[Served, Compared]:
    estimator = estimators.read(pickled)
    run.say("package", "converting to the served form", 0.1)
    compared = conversion.rows_to_compare(estimator, rows.features, holdout.features, signature)
    served = conversion.convert(estimator, pickled, signature, compared, run.request.spec.gates.parity, scale)
    words = f"served as {served.format}; differs by {served.parity:.2g} at most on {served.rows:,} rows"
    run.say("package", words + "".join(f"; {each}" for each in served.words), 0.6)
    return served, compared


class _Asked(NamedTuple):
    signature: Signature
    scale: float
    """Of the label."""
    directory: Path
    """Of this step."""


def _without_project(run: Run, served: Served, compared: Compared, asked: _Asked) -> Served:
    """As measured where nothing but its package answers; a data format has nothing else anywhere, and stands in for faster code that needs more."""
    if served.format is not Format.CODE:
        return served
    run.say("package", "asking the served model without its project", 0.7)
    try:
        found = _parity_elsewhere(run, served, compared, asked)
    except TrainingError as error:
        if served.otherwise is None:
            raise
        return _instead(run, served.otherwise, str(error))
    parity = max(served.parity, found)
    if served.otherwise is not None and parity > run.request.spec.gates.parity:
        return _instead(run, served.otherwise, f"it differs by {parity:.2g} where its project is out of reach")
    return served._replace(parity=parity)


def _in_time(run: Run, served: Served, features: pl.DataFrame) -> tuple[Served, tuple[Evidence, ...]]:
    """With its latencies. Code that was chosen by its median and fails the gate of latency makes way for the data format, where that passes it."""
    taken, most = latency(served, features), run.request.spec.gates.latency_p99_ms
    if served.otherwise is None or p99_ms(taken) <= most:
        return served, taken
    instead = latency(served.otherwise, features)
    if p99_ms(instead) > most:
        return served, taken
    why = f"{LATENCY} is {p99_ms(taken):.3g}, more than {most:g}, and {p99_ms(instead):.3g} of {served.otherwise.format}"
    return _instead(run, served.otherwise, why), instead


def _instead(run: Run, data: Served, why: str) -> Served:
    words = f"not served as code, which is faster: {why}"
    run.say("package", f"{words}; served as {data.format}", 0.8)
    return data._replace(words=(*data.words, words))


def _parity_elsewhere(run: Run, served: Served, compared: Compared, asked: _Asked) -> float:
    project_dir = run.request.project_dir
    packed = Packed(served.content, code_files(project_dir), project_dir)

    def parity(*, texts_moved: bool) -> float:
        answers = answers_elsewhere(packed, asked.signature, compared.frame, asked.directory, texts_moved=texts_moved)
        return compared.apart(answers, asked.scale)

    found = parity(texts_moved=True)
    if found > run.request.spec.gates.parity:  # perhaps since it knows such texts as words
        found = min(found, parity(texts_moved=False))
    return found


def _refused(run: Run, compared: Compared, rows: pl.DataFrame) -> tuple[Evidence, ...]:
    """Missing values that the signature takes and the trained model refuses: as code one such request is a failure of all that are asked for with it, and what a
    data format answers instead is nobody's answer. Whoever says that they may be missing is who can take that back, also where no row of the data lacks one."""
    if not compared.refuses_missing:
        return ()
    lacking = {name: int(_is_missing(rows[name]).sum()) for name in compared.refuses_missing}
    told = " and ".join(
        f"{name} (missing: true in {_said_in(run, name)}; {count:,} of {rows.height:,} rows lack it)"
        for name, count in lacking.items()
    )
    words = f"the trained model refuses missing values of {told}: put an imputer before it, or say missing: false there"
    return (Evidence(name=REFUSED_MISSING, value=float(sum(lacking.values())), n=rows.height, unit="rows", note=words),)


def _said_in(run: Run, name: str) -> str:
    return "flyball.yaml" if run.request.spec.data.feature(name).missing else run.schema_file.name


def _is_missing(values: pl.Series) -> pl.Series:
    return values == "" if values.dtype == pl.String else values.is_nan()


def _parity(served: Served, signature: Signature) -> Evidence:
    unit = "share of the label's scale" if signature.task == "regression" else "probability"
    return Evidence(name="parity_max_difference", value=served.parity, n=served.rows, unit="rows",
                    method=f"largest difference of a score ({unit}) on the holdout, on rows trained on and on edge rows", note="; ".join(served.words))  # fmt: skip


def _speedups(served: Served) -> tuple[Evidence, ...]:
    """How many times as fast as the trained estimator; of code, which is that, how many times as fast as the data format in whose stead it is served, where one is."""
    if served.otherwise is not None:
        return _times(served.otherwise, "code_speedup", of_code=True)
    return _times(served, "speedup", of_code=False)


def _times(data: Served, named: str, *, of_code: bool) -> tuple[Evidence, ...]:
    if data.timing is None or data.trained is None:
        return ()
    figures = (
        ("one_row", 1, data.trained.one_row_us, data.timing.one_row_us),
        ("many_rows", MANY_ROWS, data.trained.many_rows_us, data.timing.many_rows_us),
    )
    return tuple(
        Evidence(
            name=f"{named}_{name}",
            value=round(form / trained if of_code else trained / form, 2),
            n=rows,
            method=f"medians of interleaved calls in one process: trained {trained:.1f} µs, {data.format} {form:.1f} µs",
            note=data.compared_speeds,
        )
        for name, rows, trained, form in figures
    )
