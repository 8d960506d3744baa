"""PyTorch → ONNX by torch.export."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flyball.adapters.conversion.input_names import put_columns_before, refuse_unnameable
from flyball.adapters.conversion.onnx_graph import MATRIX
from flyball.adapters.torch_network import TorchNetwork
from flyball.records.signature import Signature


def of_network(network: TorchNetwork, signature: Signature) -> bytes:
    import torch

    refuse_unnameable(signature)
    # Two rows: torch.export takes a size of one for a constant.
    example = torch.zeros((2, len(signature.columns)), dtype=torch.float32)
    with _quiet():
        program: Any = torch.onnx.export(
            network.module, (example,), dynamo=True, verbose=False, input_names=[MATRIX], output_names=["scores"],
            dynamic_shapes=({0: torch.export.Dim("rows")},),
        )  # fmt: skip
    model = program.model_proto
    put_columns_before(model, signature, MATRIX)
    return bytes(model.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter speaks of itself and of torchvision; what matters is compared afterwards."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
