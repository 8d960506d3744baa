"""A trained estimator: asked for scores in the signature's order, kept and read again."""

import io
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from flyball.adapters.some_classes import SomeClasses
from flyball.adapters.torch_network import TorchNetwork
from flyball.adapters.xgboost_booster import of_booster
from flyball.errors import ModelFailed, TrainingError
from flyball.records.scores import NUMBERS, Scores, as_scores, checked
from flyball.records.signature import ColumnType, Signature


def adopted(fitted: Any, signature: Signature, met: Sequence[float] = ()) -> Any:
    """What the user's function gave, as an estimator: a PyTorch module gets its `predict`, XGBoost's Booster is asked as its estimator, a classifier
    that met some classes alone the columns of the others.
    `met`: the classes of the labels that were handed over, ascending; empty: all. Raises TrainingError."""
    xgboost = sys.modules.get("xgboost")
    if xgboost is not None and isinstance(fitted, xgboost.Booster):
        return _of_all_classes(of_booster(fitted, signature), signature, met)
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(fitted, torch.nn.Module):
        return _of_all_classes(fitted, signature, met)
    texts = [column.name for column in signature.columns if column.type is ColumnType.CATEGORY]
    if texts:
        raise TrainingError(
            f"a torch.nn.Module takes numbers, and {texts[0]!r} is a category", expected="numeric columns only",
            next_step="leave it out of data.features, or return an object whose predict encodes it (it is then served as code)",
        )  # fmt: skip
    return TorchNetwork(fitted)


def _of_all_classes(fitted: Any, signature: Signature, met: Sequence[float]) -> Any:
    """Where it knows other classes than it met (a function that numbers them anew: 0 and 1 for 1 and 2), nobody can say which column is whose."""
    if signature.task != "multiclass" or not callable(getattr(fitted, "predict_proba", None)):
        return fitted
    known = _known_classes(fitted)
    some = 0 < len(known) < len(signature.classes) and known == list(met)
    return SomeClasses(fitted, known, len(signature.classes)) if some else fitted


def score(estimator: Any, features: pl.DataFrame, signature: Signature) -> Scores:
    """(n_rows, n_scores). Raises TrainingError in words when the estimator does not answer as its task asks."""
    if not callable(getattr(estimator, "predict", None)):
        raise TrainingError(
            f"the entry point gave a {type(estimator).__name__}", expected="a fitted estimator with predict (and predict_proba)"
        )
    classifies = signature.task != "regression"
    by_class = classifies and callable(getattr(estimator, "predict_proba", None))
    if classifies and not by_class and hasattr(estimator, "classes_"):
        raise TrainingError(f"{type(estimator).__name__} gives no probabilities", expected="a classifier with predict_proba",
                            next_step="wrap it in sklearn.calibration.CalibratedClassifierCV")  # fmt: skip
    with warnings.catch_warnings():
        # An estimator fitted on .to_numpy() warns at every call that a frame has names; the columns are in signature order either way.
        warnings.filterwarnings("ignore", message=".*feature names.*")
        asked = _as_taken(estimator, features)
        raw = np.asarray(estimator.predict_proba(asked) if by_class else estimator.predict(asked))
    if by_class:
        _check_classes(estimator, signature)
    return shaped(raw, features.height, signature)


def _as_taken(estimator: Any, features: pl.DataFrame) -> Any:
    """XGBoost reads a polars frame through pyarrow, which Flyball does without."""
    return features.to_numpy() if type(estimator).__module__.partition(".")[0] == "xgboost" else features


def shaped(raw: Any, n_rows: int, signature: Signature) -> Scores:
    """What a model gave, as (n_rows, n_scores) scores that a gateway answers with. Binary: of two columns the second. Raises TrainingError."""
    answers = np.asarray(raw)
    if answers.dtype.kind not in NUMBERS:
        raise TrainingError(f"the model gave answers of type {answers.dtype}", expected="numbers (int or float)",
                            next_step="let predict end with .astype(float), and give probabilities in the place of yes and no or of names")  # fmt: skip
    try:
        table = as_scores(answers, signature)
        if table.shape != (n_rows, signature.n_scores):
            all_classes = (
                f"it must know all classes of the label ({signature.question}), whether there are rows of them to fit on or not"
            )
            raise TrainingError(
                f"the model gave scores of shape {table.shape} for {n_rows} rows", expected=f"({n_rows}, {signature.n_scores})",
                next_step=all_classes if signature.n_scores > 1 else "",
            )  # fmt: skip
        if not np.all(np.isfinite(table)):
            raise TrainingError(f"the model gave {int((~np.isfinite(table)).any(axis=1).sum())} of {n_rows} rows without a finite score",
                                next_step="does it know missing values (NaN)? Put an imputer before it")  # fmt: skip
        return checked(table, n_rows, signature) if n_rows else table.astype(np.float64)
    except ModelFailed as odd:
        raise TrainingError(f"the model gave {odd.found.removeprefix('invalid output: ')}", expected=odd.expected,
                            next_step="end a network with a sigmoid or softmax; give a Booster an objective of classification") from None  # fmt: skip


def dump(estimator: Any, own: Sequence[ModuleType]) -> bytes:
    """cloudpickle; classes and functions of the project's modules by value, so that no other process needs the project. Raises TrainingError."""
    import cloudpickle

    by_value = [*own, *(sys.modules[each.__module__] for each in (TorchNetwork, SomeClasses))]
    for module in by_value:
        cloudpickle.register_pickle_by_value(module)
    try:
        buffer = io.BytesIO()
        cloudpickle.dump(estimator, buffer)
        return buffer.getvalue()
    except Exception as error:
        raise TrainingError(
            f"the trained {type(estimator).__name__} cannot be kept: {type(error).__name__}",
            next_step="keep open files, connections and locks out of the estimator", detail=f"{type(error).__name__}: {error}",
        ) from error  # fmt: skip
    finally:
        for module in by_value:
            cloudpickle.unregister_pickle_by_value(module)


def read(content: bytes) -> Any:
    """An estimator that this project's own child wrote: to be called in a child process only."""
    import cloudpickle

    return cloudpickle.loads(content)


def unmet(estimator: Any, signature: Signature) -> tuple[str, ...]:
    """Classes of which it had no row to fit on."""
    known = estimator.known if isinstance(estimator, SomeClasses) else range(len(signature.classes))
    return tuple(name for at, name in enumerate(signature.classes) if at not in known)


def _known_classes(estimator: Any) -> list[int]:
    """Indices, as given in `label`; empty: it does not say, or knows something else."""
    try:
        return [int(value) for value in getattr(estimator, "classes_", ())]
    except (TypeError, ValueError):
        return []


def _check_classes(estimator: Any, signature: Signature) -> None:
    classes = getattr(estimator, "classes_", None)
    if classes is not None and _known_classes(estimator) != list(range(len(signature.classes))):
        raise TrainingError(f"the estimator knows the classes {list(classes)[:6]}", expected=f"the indices 0 to {len(signature.classes) - 1}, as given in `label`",
                            next_step="fit it on the label as it is handed over")  # fmt: skip
