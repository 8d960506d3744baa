"""XGBoost, CatBoost and PyTorch: each is converted where it is installed, and answers like the trained model."""

from typing import Any

import numpy as np
import pytest
from converted import converted, frame, labels, signature
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from flyball.adapters.estimators import adopted, score
from flyball.errors import TrainingError
from flyball.records.unit import Format

TASKS = ("binary", "multiclass", "regression")
NUMBERS, ALL = ["a", "b", "count"], ["a", "b", "count", "kind"]


def boosted(library: str, task: str) -> Any:
    kind = "Regressor" if task == "regression" else "Classifier"
    if library == "xgboost":
        xgboost = pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
        return getattr(xgboost, f"XGB{kind}")(n_estimators=20, n_jobs=1, random_state=0)
    catboost = pytest.importorskip("catboost", reason="the extra `catboost` is not installed")
    return getattr(catboost, f"CatBoost{kind}")(
        n_estimators=20, thread_count=1, random_seed=0, verbose=0, allow_writing_files=False
    )


@pytest.mark.parametrize("library", ["xgboost", "catboost"])
@pytest.mark.parametrize("task", TASKS)
def test_the_booster_alone_is_served_as_onnx_with_missing_values(library: str, task: str) -> None:
    rows = frame().select(NUMBERS)
    served = converted(boosted(library, task).fit(rows.to_numpy(), labels(frame(), task)), task, NUMBERS)
    assert served.format is Format.ONNX, served.words
    assert served.parity < 1e-5


@pytest.mark.parametrize("library", ["xgboost", "catboost"])
@pytest.mark.parametrize("task", TASKS)
def test_the_booster_behind_one_hot_columns_is_served_as_onnx(library: str, task: str) -> None:
    encode = ColumnTransformer(
        [("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["kind"])], remainder="passthrough"
    )
    model = Pipeline([("encode", encode), ("model", boosted(library, task))]).fit(frame().select(ALL), labels(frame(), task))
    served = converted(model, task, ALL)
    assert served.format is Format.ONNX, served.words
    assert served.parity < 1e-5


def booster(task: str, names: list[str] | None = None, **parameters: Any) -> Any:
    xgboost = pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
    rows = xgboost.DMatrix(frame().select(NUMBERS).to_numpy(), label=labels(frame(), task), feature_names=names)
    return xgboost.train({"nthread": 1, **parameters}, rows, 20)


@pytest.mark.parametrize("names", [None, NUMBERS], ids=["without names", "named"])
@pytest.mark.parametrize(
    ("task", "parameters"),
    [
        ("binary", {"objective": "binary:logistic"}),
        ("multiclass", {"objective": "multi:softprob", "num_class": 3}),
        ("regression", {"objective": "reg:squarederror"}),
    ],
)
def test_what_xgboosts_own_training_gives_is_served_as_onnx(
    task: str, parameters: dict[str, Any], names: list[str] | None
) -> None:
    model = booster(task, names, **parameters)
    served = converted(model, task, NUMBERS)
    assert served.format is Format.ONNX, served.words
    rows = frame(200, seed=4).select(NUMBERS)
    wanted = model.inplace_predict(rows.to_numpy(), validate_features=False)
    np.testing.assert_allclose(served.run(rows), wanted.reshape(len(wanted), -1), atol=1e-5)


@pytest.mark.parametrize(
    ("task", "names", "parameters", "words"),
    [
        ("binary", None, {"objective": "binary:logitraw"}, "the objective binary:logitraw"),
        ("multiclass", None, {"objective": "multi:softmax", "num_class": 3}, "the objective multi:softmax"),
        ("regression", ["b", "a", "count"], {}, "in their order"),
    ],
)
def test_a_booster_whose_answers_would_be_of_something_else_is_refused_in_words(
    task: str, names: list[str] | None, parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(TrainingError, match=words):
        adopted(booster(task, names, **parameters), signature(task, NUMBERS))


def test_a_booster_beside_a_category_is_refused_in_words() -> None:
    with pytest.raises(TrainingError, match="'kind' is a category"):
        adopted(booster("regression"), signature("regression", ALL))


def network(width: int, last: str) -> Any:
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed")
    pytest.importorskip("onnxscript", reason="the extra `torch` is not installed")
    torch.manual_seed(0)

    class Network(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.out = torch.nn.Linear(3, 16), torch.nn.Linear(16, width)
            self.drop = torch.nn.Dropout(0.5)

        def forward(self, rows: Any) -> Any:
            value = self.out(self.drop(torch.relu(self.hidden(torch.nan_to_num(rows)))))
            return {
                "none": lambda: value.squeeze(1),
                "sigmoid": lambda: torch.sigmoid(value),
                "softmax": lambda: torch.softmax(value, 1),
            }[last]()

    return Network()


@pytest.mark.parametrize(
    ("task", "width", "last"),
    [("regression", 1, "none"), ("binary", 1, "sigmoid"), ("binary", 2, "softmax"), ("multiclass", 3, "softmax")],
)
def test_a_network_is_served_as_onnx_and_without_its_dropout(task: str, width: int, last: str) -> None:
    served = converted(network(width, last), task, NUMBERS)
    assert served.format is Format.ONNX, served.words
    assert served.parity < 1e-5
    assert "ONNX by torch.export" in served.compared_speeds


def test_a_network_of_logits_is_refused_in_words() -> None:
    asked = signature("binary", NUMBERS)
    estimator = adopted(network(1, "none"), asked)
    with pytest.raises(TrainingError, match=r"the model gave scores from -.* Expected: probabilities in \[0, 1\]"):
        score(estimator, frame().select(NUMBERS) * np.float32(100), asked)


def test_a_network_with_a_category_is_refused_in_words() -> None:
    with pytest.raises(TrainingError, match="takes numbers, and 'kind' is a category"):
        adopted(network(1, "sigmoid"), signature("binary", ALL))


def test_what_is_no_network_is_left_as_it_is() -> None:
    thing = object()
    assert adopted(thing, signature("binary", ALL)) is thing
