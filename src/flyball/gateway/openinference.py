"""The Open Inference Protocol, version 2, over REST: https://github.com/kserve/open-inference-protocol. Columns are inputs."""

from typing import Any

import msgspec

from flyball import __version__
from flyball.errors import Fault, RequestError
from flyball.gateway.answering import label_of
from flyball.gateway.batches import Answer
from flyball.gateway.fields import ValueCheck, shown
from flyball.gateway.tables import LiveRoute
from flyball.gateway.validation import MAX_FAULTS, Body, Rows, as_array, checked_ids, counted, parsed_json
from flyball.records.signature import ColumnType, Signature

_decoder = msgspec.json.Decoder()

_WHOLE = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
_NUMERIC = _WHOLE | {"FP16", "FP32", "FP64"}
ACCEPTED = {
    ColumnType.NUMBER: _NUMERIC,
    ColumnType.INTEGER: _NUMERIC,
    ColumnType.BOOLEAN: frozenset({"BOOL"}),
    ColumnType.CATEGORY: frozenset({"BYTES"}),
}
_DECLARED = {ColumnType.NUMBER: "FP32", ColumnType.INTEGER: "INT64", ColumnType.BOOLEAN: "BOOL", ColumnType.CATEGORY: "BYTES"}

_REQUEST_FIELDS = frozenset({"id", "inputs", "outputs", "parameters"})


class InferRequest(msgspec.Struct, frozen=True):
    rows: Rows
    id: str | None
    outputs: frozenset[str]
    """Names of the outputs that were asked for."""


def server_metadata() -> dict[str, Any]:
    return {"name": "flyball", "version": __version__, "extensions": []}


def model_metadata(live: LiveRoute) -> dict[str, Any]:
    signature = live.signature
    inputs = [{"name": column.name, "datatype": _DECLARED[column.type], "shape": [-1, 1]} for column in signature.columns]
    outputs = [{"name": "scores", "datatype": "FP64", "shape": [-1, signature.n_scores]}]
    if signature.task != "regression":
        outputs.append({"name": "label", "datatype": "BYTES", "shape": [-1, 1]})
    return {
        "name": live.model,
        "versions": [str(live.champion.served.unit.version)],
        "platform": f"flyball_{live.champion.served.format}",
        "inputs": inputs,
        "outputs": outputs,
        "parameters": {"task": signature.task, "classes": list(signature.classes), "unit": live.champion.id},
    }


def read_infer(live: LiveRoute, body: Body, max_rows: int) -> InferRequest:
    """Raises RequestError. `parameters.keys` and `parameters.prediction_ids` are lists of strings, one a row."""
    form = parsed_json(body, _decoder)
    if not isinstance(form, dict) or not isinstance(form.get("inputs"), list):
        raise RequestError([Fault("inputs", shown(form), "an object with a list of inputs")])
    faults = [
        Fault(str(name)[:100], "an unknown field", ", ".join(sorted(_REQUEST_FIELDS)))
        for name in form
        if name not in _REQUEST_FIELDS
    ]
    if not isinstance(form.get("id"), str | None):
        faults.append(Fault("id", shown(form["id"]), "a string"))
    parameters = form.get("parameters") or {}
    if not isinstance(parameters, dict):
        faults.append(Fault("parameters", shown(parameters), "an object"))
    if faults:
        raise RequestError(faults[:MAX_FAULTS])
    outputs = _outputs(form.get("outputs"), live.signature)
    n, given = _inputs(form["inputs"], live.signature)
    counted(n, max_rows)
    ids = checked_ids(parameters.get("prediction_ids"), "parameters.prediction_ids", n, unique=True)
    keys = checked_ids(parameters.get("keys"), "parameters.keys", n, unique=False)
    return InferRequest(Rows(n, _columns(given, live.signature, n), ids, keys), form.get("id"), outputs)


def infer_response(live: LiveRoute, request: InferRequest, answer: Answer) -> dict[str, Any]:
    n = request.rows.n
    outputs: list[dict[str, Any]] = []
    if "scores" in request.outputs:
        flat = [score for scores in answer.scores for score in scores]
        outputs.append({"name": "scores", "datatype": "FP64", "shape": [n, live.signature.n_scores], "data": flat})
    if "label" in request.outputs:
        labels = [label_of(live, unit, scores) for unit, scores in zip(answer.units, answer.scores, strict=True)]
        outputs.append({"name": "label", "datatype": "BYTES", "shape": [n, 1], "data": labels})
    units = [unit.id for unit in answer.units]
    parameters: dict[str, Any] = {"prediction_ids": answer.ids}
    if len(set(units)) == 1:
        parameters["unit"] = units[0]
    else:
        parameters["units"] = units
    response = {
        "model_name": live.model,
        "model_version": str(answer.units[0].served.unit.version),
        "parameters": parameters,
        "outputs": outputs,
    }
    if request.id is not None:
        response["id"] = request.id
    return response


def _outputs(asked: Any, signature: Signature) -> frozenset[str]:
    known = frozenset({"scores"}) if signature.task == "regression" else frozenset({"scores", "label"})
    if not asked:
        return known
    names = [each.get("name") if isinstance(each, dict) else each for each in asked] if isinstance(asked, list) else [asked]
    wanted = frozenset(name for name in names if isinstance(name, str) and name in known)
    wrong = [name for name in names if not isinstance(name, str) or name not in known]
    if wrong:
        raise RequestError([Fault("outputs", shown(wrong[0]), " or ".join(sorted(known)))])
    return wanted


def _inputs(inputs: list[Any], signature: Signature) -> tuple[int, dict[str, list[Any]]]:
    """(n_rows, column name → values); raises RequestError when an input is not one of the columns or has another length."""
    columns = {column.name: column for column in signature.columns}
    given: dict[str, list[Any]] = {}
    faults: list[Fault] = []
    lengths: dict[str, int] = {}
    for at, each in enumerate(inputs[:10_000]):
        name = each.get("name") if isinstance(each, dict) else None
        if not isinstance(name, str):
            faults.append(Fault(f"inputs[{at}]", shown(each), "an object with name, shape, datatype, data"))
        elif name not in columns:
            if signature.extra == "refuse":
                faults.append(Fault(f"inputs[{at}].name", shown(name), "a column of the model"))
        elif name in given:
            faults.append(Fault(f"inputs[{at}].name", f"{shown(name)} twice", "each column once"))
        else:
            fault = _input_fault(f"inputs[{at}]", each, ACCEPTED[columns[name].type])
            if fault is not None:
                faults.append(fault)
            else:
                given[name] = _flat(each["data"])
                lengths[name] = len(given[name])
    if not faults and len(set(lengths.values())) > 1:
        few, many = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        faults.append(
            Fault("inputs", f"{lengths[few]} values of {few} and {lengths[many]} of {many}", "one value a row in every column")
        )
    if faults:
        raise RequestError(faults[:MAX_FAULTS])
    return next(iter(lengths.values()), 0), given


def _input_fault(path: str, each: dict[str, Any], accepted: frozenset[str]) -> Fault | None:
    datatype = each.get("datatype")
    if not isinstance(datatype, str) or datatype not in accepted:
        return Fault(f"{path}.datatype", shown(datatype), " or ".join(sorted(accepted)))
    data, shape = each.get("data"), each.get("shape")
    if not isinstance(data, list):
        hint = "Binary tensor data is not accepted here." if each.get("parameters") else ""
        return Fault(f"{path}.data", shown(data), "a list of values", hint)
    n = len(data)
    if shape not in ([n], [n, 1]) or any(isinstance(size, bool) for size in shape):
        return Fault(f"{path}.shape", str(shape)[:80], f"[{n}] or [{n}, 1], as data has {n} values")
    return None


def _flat(data: list[Any]) -> list[Any]:
    """[n, 1] data may be nested: [[1], [2]]."""
    return [each[0] if isinstance(each, list) and len(each) == 1 else each for each in data]


def _columns(given: dict[str, list[Any]], signature: Signature, n: int) -> dict[str, Any]:
    faults: list[Fault] = []
    columns: dict[str, Any] = {}
    for column in signature.columns:
        check = ValueCheck(column)
        used: list[Any] = []
        if column.name not in given:
            _, wrong = check.absent(given)
            if wrong is not None:
                faults.append(wrong.at(f"rows[0].{column.name}"))
            used = [None] * n
        for at, value in enumerate(given.get(column.name, ())):
            taken, wrong = check.present(value)
            used.append(taken)
            if wrong is not None:
                faults.append(wrong.at(f"rows[{at}].{column.name}"))
                if len(faults) >= MAX_FAULTS:
                    raise RequestError(faults)
        if not faults:
            columns[column.name] = as_array(column, used, n)
    if faults:
        raise RequestError(faults[:MAX_FAULTS])
    return columns
