"""Arguments: directory. The pipeline as `mlflow models serve` takes it."""

import sys

import mlflow.sklearn
from pipeline_rows import Pipeline

if __name__ == "__main__":
    mlflow.sklearn.save_model(
        Pipeline().estimator, sys.argv[1], pyfunc_predict_fn="predict_proba", pip_requirements=["scikit-learn"],
        serialization_format="cloudpickle",
    )  # fmt: skip
