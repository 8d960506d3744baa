"""What REST and gRPC alike may ask for beside the tensors: outputs, ids and keys, a time limit, a version."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from flyball.errors import Fault, NotFound, RequestError
from flyball.gateway.fields import shown
from flyball.gateway.tables import LiveRoute
from flyball.gateway.tensors.reader import Identity
from flyball.gateway.validation import Rows
from flyball.records.signature import Signature

MAX_INPUTS = 10_000
"""No model has so many columns."""
MAX_OUTPUTS = 16
"""There are two, and each may be asked for again."""

_ELSEWHERE = "shared_memory_region"
_UNKNOWN_CLIENT_STATE = "sequence_id"
_MEANT = {"key": "keys", "prediction_id": "prediction_ids", "ids": "prediction_ids"}
"""Other parameters are for other servers, and passed over. These would be passed over too, and their sender would never know."""


class InferRequest(NamedTuple):
    """A valid request, whichever way it came."""

    rows: Rows
    id: str | None
    outputs: Mapping[str, bool]
    """Outputs that were asked for, in that order; True: as bytes."""


def served_version(live: LiveRoute) -> str:
    """The one that a client may name. Not the canary's: it answers by key and not by wish."""
    return str(live.champion.served.unit.version)


def pinned(live: LiveRoute, version: str) -> LiveRoute:
    """The route that answers with that version alone; '' leaves it to the route. Raises NotFound."""
    if not version:
        return live
    if version != served_version(live):
        raise NotFound(
            f"Version {version[:40]!r} of {live.model} is not served here",
            expected=f"{served_version(live)}, or no version at all",
            next_step="The champion answers, and during a release its challenger answers a share of the keys",
        )
    return live.champion_only


def refuse_many(n_inputs: int) -> None:
    """Raises RequestError for more inputs than there may be."""
    if n_inputs > MAX_INPUTS:
        raise RequestError([Fault("inputs", f"more than {MAX_INPUTS} inputs", f"at most {MAX_INPUTS}")])


def identity(parameters: Mapping[str, Any]) -> Identity:
    """Raises RequestError."""
    for name, meant in _MEANT.items():
        if name in parameters and meant not in parameters:
            raise RequestError([Fault(f"parameters.{name}", shown(parameters[name]), f"{meant}: a list of strings, one a row")])
    if parameters.get(_UNKNOWN_CLIENT_STATE):
        raise RequestError(
            [Fault("parameters.sequence_id", shown(parameters[_UNKNOWN_CLIENT_STATE]), "no sequence: rows are alone")]
        )
    if parameters.get("explain"):
        raise RequestError(
            [Fault("parameters.explain", shown(parameters["explain"]), "nothing: POST /models/NAME/predict explains")]
        )
    return Identity(parameters.get("prediction_ids"), parameters.get("keys"))


def known_outputs(signature: Signature) -> tuple[str, ...]:
    return ("scores",) if signature.task == "regression" else ("scores", "label")


def wanted(asked: Iterable[tuple[Any, Any]], signature: Signature, *, as_bytes: bool) -> dict[str, bool]:
    """Of (name, parameters): all outputs if none is named. `as_bytes` unless an output's own `binary_data` says otherwise. Raises RequestError."""
    known = known_outputs(signature)
    given: dict[str, bool] = {}
    for at, (name, parameters) in enumerate(asked):
        if at >= MAX_OUTPUTS:
            raise RequestError([Fault("outputs", f"more than {MAX_OUTPUTS}", f"at most {MAX_OUTPUTS}")])
        if not isinstance(name, str) or name not in known:
            raise RequestError([Fault(f"outputs[{at}]", shown(name), " or ".join(known))])
        if not isinstance(parameters, Mapping):
            raise RequestError([Fault(f"outputs[{at}].parameters", shown(parameters), "an object")])
        for refused in ("classification", _ELSEWHERE):
            if parameters.get(refused):
                raise RequestError(
                    [Fault(f"outputs[{at}].parameters.{refused}", shown(parameters[refused]), "nothing: not offered")]
                )
        binary = parameters.get("binary_data", as_bytes)
        if not isinstance(binary, bool):
            raise RequestError([Fault(f"outputs[{at}].parameters.binary_data", shown(binary), "true or false")])
        given[name] = binary
    return given or dict.fromkeys(known, as_bytes)


def refuse_elsewhere(path: str, parameters: Mapping[str, Any]) -> None:
    """A tensor whose values lie in shared memory; raises RequestError."""
    if _ELSEWHERE in parameters:
        found = shown(parameters[_ELSEWHERE])
        raise RequestError([Fault(f"{path}.parameters.{_ELSEWHERE}", found, "values in the request: shared memory is not read")])
