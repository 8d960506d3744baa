"""What a worker hands to the model, and what it hands back."""

import numpy as np
from xgboost import XGBClassifier

from flyball.gateway.code_worker import scores_of
from flyball.records.signature import Column, ColumnType, Signature


def test_xgboost_takes_its_rows_without_pyarrow() -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(200, 2)).astype(np.float32)
    model = XGBClassifier(n_estimators=3, n_jobs=1).fit(rows, rows[:, 0] > 0)
    columns = tuple(Column(name=name, type=ColumnType.NUMBER) for name in ("a", "b"))
    signature = Signature(task="binary", columns=columns, classes=("0", "1"))
    scores = scores_of(model, {"a": rows[:, :1], "b": rows[:, 1:]}, signature)
    np.testing.assert_array_equal(scores, model.predict_proba(rows).astype(np.float64))
