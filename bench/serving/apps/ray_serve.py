"""Ray Serve behind its FastAPI ingress. Arguments: port. BATCH: largest batch (0: none)."""

import os
import sys
import time
from typing import Any

import ray
from fastapi import FastAPI
from pipeline_rows import Pipeline
from pydantic import BaseModel
from ray import serve

BATCH = int(os.environ.get("BATCH", "0"))
api = FastAPI()


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


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 0.5}, **({"max_ongoing_requests": 2 * BATCH} if BATCH else {}))
@serve.ingress(api)
class Model:
    def __init__(self) -> None:
        self.pipeline = Pipeline()

    @serve.batch(max_batch_size=max(BATCH, 1), batch_wait_timeout_s=0.002)
    async def together(self, requests: list[Any]) -> list[Any]:
        return self.pipeline.of_many(requests)

    @api.post("/predict")
    async def predict(self, question: Question) -> dict[str, Any]:
        rows = [row.model_dump() for row in question.rows]
        return {"predictions": await self.together(rows) if BATCH else self.pipeline(rows)}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=BATCH == 0, runtime_env={"env_vars": {"PYTHONPATH": os.environ["PYTHONPATH"]}})
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Model.bind(), route_prefix="/")
    while True:
        time.sleep(3600)
