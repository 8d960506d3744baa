"""What a worker hands to the model, and what it hands back."""

from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from xgboost import XGBClassifier

from flyball.gateway.code_worker import scores_of, unpickled
from flyball.records.signature import Column, ColumnType, Signature


def test_xgboost_takes_its_rows_without_pyarrow() -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(200, 2)).astype(np.float32)
    model = XGBClassifier(n_estimators=3, n_jobs=1).fit(rows, rows[:, 0] > 0)
    columns = tuple(Column(name=name, type=ColumnType.NUMBER) for name in ("a", "b"))
    signature = Signature(task="binary", columns=columns, classes=("0", "1"))
    scores = scores_of(model, {"a": rows[:, :1], "b": rows[:, 1:]}, signature)
    np.testing.assert_array_equal(scores, model.predict_proba(rows).astype(np.float64))


def test_no_code_behind_a_link_is_imported(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "polars").mkdir(parents=True)
    model = tmp_path / "model" / "model.pkl"
    (tmp_path / "model" / "code").mkdir(parents=True)
    assert unpickled(model, cloudpickle.dumps(3)) == 3
    (tmp_path / "model" / "code" / "polars").symlink_to(tmp_path / "elsewhere" / "polars", target_is_directory=True)
    with pytest.raises(ValueError, match="polars in the package is a link"):
        unpickled(model, cloudpickle.dumps(3))
