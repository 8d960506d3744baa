"""What a worker hands to the model, and what it hands back."""

import hashlib
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
    assert unpickled(model, cloudpickle.dumps(3), {}) == 3
    (tmp_path / "model" / "code" / "polars").symlink_to(tmp_path / "elsewhere" / "polars", target_is_directory=True)
    with pytest.raises(ValueError, match="polars in the package is a link"):
        unpickled(model, cloudpickle.dumps(3), {})


def test_a_worker_that_starts_again_imports_no_code_that_was_changed_since(tmp_path: Path) -> None:
    code = tmp_path / "model" / "code" / "shop"
    code.mkdir(parents=True)
    (code / "prices.py").write_text("RATE = 1")
    listed = {"shop/prices.py": hashlib.sha256(b"RATE = 1").hexdigest()}
    model = tmp_path / "model" / "model.pkl"
    assert unpickled(model, cloudpickle.dumps(3), listed) == 3
    (code / "prices.py").write_text("RATE = 2")
    with pytest.raises(ValueError, match=r"prices\.py has the digest"):
        unpickled(model, cloudpickle.dumps(3), listed)
    (code / "prices.py").write_text("RATE = 1")
    (code / "more.py").write_text("")
    with pytest.raises(ValueError, match=r"shop/more\.py in the package is not in its manifest"):
        unpickled(model, cloudpickle.dumps(3), listed)
