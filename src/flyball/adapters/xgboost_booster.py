"""What `xgboost.train` gives, as the estimator of XGBoost that gives the same answers: a Booster takes a matrix of its own kind and no frame."""

import json
from typing import Any

from flyball.errors import TrainingError
from flyball.records.signature import ColumnType, Signature

_PROBABILITIES = {"binary": ("binary:logistic", "reg:logistic"), "multiclass": ("multi:softprob",)}
"""Objectives by whose Boosters `predict` gives them."""


def of_booster(booster: Any, signature: Signature) -> Any:
    """With early stopping it answers by its best iteration, as XGBoost's estimators do. Raises TrainingError where its answers would be of something else."""
    import xgboost

    texts = [column.name for column in signature.columns if column.type is ColumnType.CATEGORY]
    if texts:
        raise TrainingError(
            f"an xgboost.Booster takes numbers, and {texts[0]!r} is a category", expected="numeric columns only",
            next_step="leave it out of data.features, or return a Pipeline that encodes it before an XGBClassifier or XGBRegressor",
        )  # fmt: skip
    _check_columns(booster, [column.name for column in signature.columns])
    known = _PROBABILITIES.get(signature.task)
    objective = str(json.loads(booster.save_config())["learner"]["objective"]["name"])
    if known is not None and objective not in known:
        raise TrainingError(
            f"the xgboost.Booster has the objective {objective}, which gives no probabilities", expected=f"the objective {known[0]}",
            next_step=f"train it with {{'objective': '{known[0]}'}}" + (", 'num_class' beside it" if signature.task == "multiclass" else ""),
        )  # fmt: skip
    plain = booster.copy()
    # Rows come as numbers in the signature's order, and the converter knows no names.
    plain.feature_names = None
    estimator = xgboost.XGBRegressor() if known is None else xgboost.XGBClassifier()
    estimator.load_model(plain.save_raw())
    return estimator


def _check_columns(booster: Any, names: list[str]) -> None:
    fitted = booster.feature_names
    if booster.num_features() != len(names) or (fitted is not None and list(fitted) != names and set(fitted) & set(names)):
        raise TrainingError(
            f"the xgboost.Booster was trained on {booster.num_features()} columns ({', '.join(fitted or [])[:200] or 'without names'})",
            expected=f"all columns of `features`, in their order ({', '.join(names)[:200]})",
            next_step="train it on xgboost.DMatrix(features.to_numpy(), label=label.to_numpy())",
        )  # fmt: skip
