"""What the server and its models are, in the protocol's words."""

from typing import Any

from flyball import __version__
from flyball.gateway.openinference.asking import served_version
from flyball.gateway.tables import LiveRoute, LiveTable
from flyball.gateway.tensors.datatypes import DECLARED

NAME = "flyball"
EXTENSIONS = ("binary_tensor_data",)
"""Those of the protocol's extensions that are whole here."""


def server_metadata() -> dict[str, Any]:
    return {"name": NAME, "version": __version__, "extensions": list(EXTENSIONS)}


def model_metadata(live: LiveRoute) -> dict[str, Any]:
    """Clients take every input that is named for one that must come, so that those are the champion's."""
    signature = live.signature
    inputs = [{"name": column.name, "datatype": DECLARED[column.type], "shape": [-1, 1]} for column in live.columns]
    others = [column.name for column in signature.columns[len(live.columns) :]]
    outputs = [{"name": "scores", "datatype": "FP64", "shape": [-1, signature.n_scores]}]
    if signature.task != "regression":
        outputs.append({"name": "label", "datatype": "BYTES", "shape": [-1, 1]})
    return {
        "name": live.model,
        "versions": [served_version(live)],
        "platform": f"flyball_{live.champion.served.format}",
        "inputs": inputs,
        "outputs": outputs,
        "parameters": {
            "task": signature.task,
            "classes": list(signature.classes),
            "unit": live.champion.id,
            **({"other_inputs": others} if others else {}),
        },
    }


def repository_index(table: LiveTable | None) -> list[dict[str, str]]:
    """What is served; nothing can be loaded or unloaded this way."""
    routes = table.routes.values() if table is not None else ()
    return [{"name": live.model, "version": served_version(live), "state": "READY", "reason": ""} for live in routes]
