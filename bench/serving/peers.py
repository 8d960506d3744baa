"""Other projects' servers of the same pipeline, as they come and as well tuned as their own documentation tells. One environment each."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from bench.serving.pipeline import COUNTS, WORDS, Row
from bench.serving.servers import APPS, Scored, Server, Stage

REQUIREMENTS = {
    "base": ("granian==2.8.7", "uvloop", "msgspec", "numpy", "onnxruntime"),
    "fastapi": ("fastapi==0.165.0", "uvicorn==0.54.0", "uvloop", "httptools", "orjson", "numpy", "onnxruntime"),
    "mlserver": ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "fastapi<0.116", "uvloop<0.22", "scikit-learn==1.9.1", "pandas"),
    "bentoml": ("bentoml==1.4.40", "scikit-learn==1.9.1", "pandas"),
    "litserve": ("litserve==0.2.19", "scikit-learn==1.9.1", "pandas"),
    "ray": ("ray[serve]==2.60.0", "scikit-learn==1.9.1", "pandas"),
    "mlflow": ("mlflow==3.17.2", "scikit-learn==1.9.1", "pandas"),
}
"""Environment below `venvs` of the bench root → what to install there."""

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
REPOSITORIES = ("mlserver",)
"""Peers that keep a repository of models beside serving them: whose memory the gateway's is held against."""


def _mlserver(name: str, workers: int | None = None, *, batching: bool = False) -> Server:
    def prepare(stage: Stage) -> None:
        settings: dict[str, Any] = dict(
            zip(("http_port", "grpc_port", "metrics_port"), stage.ports, strict=False), host="127.0.0.1"
        )
        if workers is not None:
            settings |= {"parallel_workers": workers, "debug": False, "gzip_enabled": False}
        model: dict[str, Any] = {
            "name": "shop",
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": str(stage.workspace.directory / "champion.joblib"), "version": "1"},
        }
        if batching:
            model |= {"max_batch_size": 64, "max_batch_time": 0.005}
        (stage.directory / "settings.json").write_text(json.dumps(settings))
        (stage.directory / "model-settings.json").write_text(json.dumps(model))

    return Server(
        name=name, kind="peer", environment="mlserver", prepare=prepare,
        commands=lambda stage: [[stage.tool("mlserver", "mlserver"), "start", str(stage.directory)]],
        path="/v2/models/shop/infer", body=_frame_of_tensors, variables={} if workers is None else ONE_THREAD,
        read=lambda answer: [Scored(score) for score in answer["outputs"][0]["data"][1::2]],
    )  # fmt: skip


def _frame_of_tensors(rows: Sequence[Row]) -> dict[str, Any]:
    def tensor(name: str) -> dict[str, Any]:
        kind = "BYTES" if name in WORDS else "INT64" if name in COUNTS else "FP64"
        text = {"parameters": {"content_type": "str"}} if name in WORDS else {}
        return {"name": name, "datatype": kind, "shape": [len(rows)], "data": [row[name] for row in rows], **text}

    return {
        "parameters": {"content_type": "pd"},
        "inputs": [tensor(name) for name in rows[0]],
        "outputs": [{"name": "predict_proba"}],
    }


def _bentoml(name: str, **variables: str) -> Server:
    return Server(
        name=name, kind="peer", environment="bentoml", variables={"BENTOML_DO_NOT_TRACK": "true", **variables},
        commands=lambda stage: [
            [stage.tool("bentoml", "bentoml"), "serve", "bento:Model", "--working-dir", str(APPS), "--host", "127.0.0.1",
             "--port", str(stage.ports[0])]
        ],
        read=lambda answer: [Scored(score) for score in answer],
    )  # fmt: skip


def _litserve(name: str, **variables: str) -> Server:
    command = str(APPS / "lit.py")
    return Server(
        name=name, kind="peer", environment="litserve", variables=variables,
        commands=lambda stage: [[stage.python("litserve"), command, str(stage.ports[0])]],
    )  # fmt: skip


def _ray(name: str, **variables: str) -> Server:
    command = str(APPS / "ray_serve.py")
    return Server(
        name=name, kind="peer", environment="ray", variables={"RAY_USAGE_STATS_ENABLED": "0", **variables}, start_seconds=180,
        commands=lambda stage: [[stage.python("ray"), command, str(stage.ports[0])]],
    )  # fmt: skip


def _mlflow(name: str, workers: int | None = None) -> Server:
    def prepare(stage: Stage) -> None:
        command = [stage.python("mlflow"), str(APPS / "save_for_mlflow.py"), str(stage.directory / "model")]
        variables = {"WORKSPACE": str(stage.workspace.directory), "PATH": "/usr/bin:/bin"}
        subprocess.run(command, check=True, env=variables, capture_output=True)

    def commands(stage: Stage) -> list[list[str]]:
        more = [] if workers is None else ["--workers", str(workers)]
        serve = [
            stage.tool("mlflow", "mlflow"),
            "models",
            "serve",
            "-m",
            str(stage.directory / "model"),
            "--env-manager",
            "local",
        ]
        return [[*serve, "-h", "127.0.0.1", "-p", str(stage.ports[0]), *more]]

    quiet = {} if workers is None else {**ONE_THREAD, "UVICORN_ACCESS_LOG": "0", "UVICORN_LOG_LEVEL": "warning"}
    return Server(
        name=name, kind="peer", environment="mlflow", prepare=prepare, commands=commands, variables=quiet, path="/invocations",
        body=lambda rows: {"dataframe_split": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}},
        read=lambda answer: [Scored(both[1]) for both in answer["predictions"]],
    )  # fmt: skip


PEERS = (
    _mlserver("mlserver"),
    _mlserver("mlserver-tuned", 0, batching=True),
    _mlserver("mlserver-w2-tuned", 2, batching=True),
    _bentoml("bentoml"),
    _bentoml("bentoml-tuned", BATCH="1", WORKERS="2", **ONE_THREAD),
    _litserve("litserve"),
    _litserve("litserve-tuned", BATCH="64", FAST="1", **ONE_THREAD),
    _ray("ray"),
    _ray("ray-tuned", BATCH="64", **ONE_THREAD),
    _mlflow("mlflow"),
    _mlflow("mlflow-tuned", 2),
)
"""A name without `-tuned` is the default set-up."""
