"""LitServe. Arguments: port. BATCH: largest batch (1: none); FAST=1: its fast queue and one API process."""

import os
import sys
from typing import Any

import litserve
from pipeline_rows import Pipeline

BATCH = int(os.environ.get("BATCH", "1"))
FAST = os.environ.get("FAST") == "1"


class Model(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - its shape
        self.pipeline = Pipeline()

    def decode_request(self, request: dict[str, Any]) -> Any:
        return request["rows"]

    def batch(self, inputs: Any) -> Any:
        return inputs

    def unbatch(self, output: Any) -> Any:
        return output

    def predict(self, rows: Any) -> Any:
        return self.pipeline(rows) if BATCH == 1 else self.pipeline.of_many(rows)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"predictions": output}


if __name__ == "__main__":
    batching = {"max_batch_size": BATCH, "batch_timeout": 0.002} if BATCH > 1 else {}
    server = litserve.LitServer(Model(**batching), accelerator="cpu", workers_per_device=1, fast_queue=FAST)
    more = {"num_api_servers": 1} if FAST else {}
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, **more)
