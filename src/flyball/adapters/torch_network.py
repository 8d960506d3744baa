"""A PyTorch module as an estimator. Pickled by value (estimators.dump), so that who loads it needs torch and not Flyball."""

from typing import Any


class TorchNetwork:
    """Of a module that takes one float32 tensor (n_rows, n_columns), the columns in signature order, NaN for missing.

    It gives values, or probabilities and not logits: (n_rows,), (n_rows, 1) or (n_rows, n_classes).
    """

    def __init__(self, module: Any) -> None:
        self.module = module.cpu().eval()

    def predict(self, features: Any) -> Any:
        """Of a frame of Float32 columns."""
        import numpy as np
        import torch

        with torch.inference_mode():
            answer = self.module(torch.from_numpy(np.array(features.to_numpy(), dtype=np.float32, order="C")))
        return answer.numpy()
