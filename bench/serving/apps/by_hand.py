"""What an engineer writes in an afternoon: FastAPI, pydantic, onnxruntime. TUNED=1: an async endpoint, one thread, orjson, no response model."""

import os
from pathlib import Path

import numpy as np
import onnxruntime
from fastapi import FastAPI, Response
from pydantic import BaseModel

TUNED = os.environ.get("TUNED") == "1"


class Row(BaseModel):
    n0: float
    n1: float
    n2: float
    n3: float
    n4: float
    n5: float
    c0: str
    c1: str
    c2: int
    c3: int


class Question(BaseModel):
    rows: list[Row]


class Answer(BaseModel):
    predictions: list[float]


options = onnxruntime.SessionOptions()
if TUNED:
    options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(Path(os.environ["WORKSPACE"]) / "champion.onnx", options)
inputs = [(each.name, object if each.type == "tensor(string)" else np.float32) for each in session.get_inputs()]
outputs = [session.get_outputs()[-1].name]
app = FastAPI()


def score(rows: list[Row]) -> list[float]:
    feed = {name: np.array([[getattr(row, name)] for row in rows], dtype=kind) for name, kind in inputs}
    return session.run(outputs, feed)[0][:, 1].tolist()


if TUNED:
    import orjson

    @app.post("/predict")
    async def predict(question: Question) -> Response:
        return Response(orjson.dumps({"predictions": score(question.rows)}), media_type="application/json")

else:

    @app.post("/predict")
    def predict(question: Question) -> Answer:
        return Answer(predictions=score(question.rows))
