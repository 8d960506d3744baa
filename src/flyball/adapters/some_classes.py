"""A classifier that met some of the label's classes alone. Pickled by value (estimators.dump), so that who loads it needs no Flyball."""

from typing import Any


class SomeClasses:
    """Answers for all classes: those of which it had no row to fit on have a probability of 0. A rare class may have its only rows in the holdout."""

    def __init__(self, model: Any, known: list[int], n_classes: int) -> None:
        """`known`: the classes of the model's columns, ascending."""
        self.model = model
        self.known = known
        self.classes_ = list(range(n_classes))

    def predict_proba(self, features: Any) -> Any:
        """(n_rows, n_classes), of a frame of Float32 and String columns."""
        import numpy as np

        if type(self.model).__module__.partition(".")[0] == "xgboost":
            features = features.to_numpy()  # a polars frame it reads through pyarrow, which Flyball does without
        given = np.asarray(self.model.predict_proba(features))
        table = np.zeros((len(given), len(self.classes_)), dtype=given.dtype)
        table[:, self.known] = given
        return table

    def predict(self, features: Any) -> Any:
        """(n_rows,) the most probable class."""
        return self.predict_proba(features).argmax(axis=1)
