"""What is wrong with the form of a request that is JSON but not one of the protocol."""

from collections.abc import Iterator
from typing import Any

from flyball.errors import Fault
from flyball.gateway.fields import shown

_FIELDS = ("id", "inputs", "model_name", "outputs", "parameters")


def form_faults(form: Any) -> Iterator[Fault]:
    """At least one: it is asked only about what did not decode."""
    found = False
    for fault in _faults(form):
        found = True
        yield fault
    if not found:  # msgspec and these rules would disagree; the client is told all the same
        yield Fault("body", "a form that was not understood", "a request of the Open Inference Protocol")


def _faults(form: Any) -> Iterator[Fault]:
    if not isinstance(form, dict):
        yield Fault("body", shown(form), "an object with a list of inputs")
        return
    if not isinstance(form.get("inputs"), list):
        yield Fault("inputs", shown(form["inputs"]) if "inputs" in form else "nothing", "a list of inputs")
        return
    for name in form:
        if name not in _FIELDS:
            yield Fault(str(name)[:100], "an unknown field", ", ".join(_FIELDS))
    for name, kind, words in (
        ("id", str, "a string"),
        ("model_name", str, "a string"),
        ("parameters", dict, "an object"),
        ("outputs", list, "a list of outputs"),
    ):
        if form.get(name) is not None and not isinstance(form[name], kind):
            yield Fault(name, shown(form[name]), words)
    for at, each in enumerate(form["inputs"]):
        yield from _input_faults(f"inputs[{at}]", each)


def _input_faults(path: str, each: Any) -> Iterator[Fault]:
    if not isinstance(each, dict) or not isinstance(each.get("name"), str):
        yield Fault(path, shown(each), "an object with name, shape, datatype, data")
        return
    if not isinstance(each.get("datatype"), str):
        yield Fault(f"{path}.datatype", shown(each.get("datatype")), "the name of a datatype, such as FP32")
    shape = each.get("shape")
    if not isinstance(shape, list) or any(type(size) is not int or abs(size) >= 2**63 for size in shape):
        yield Fault(f"{path}.shape", str(shape)[:80], "a list of whole numbers: [rows] or [rows, 1]")
    if each.get("parameters") is not None and not isinstance(each["parameters"], dict):
        yield Fault(f"{path}.parameters", shown(each["parameters"]), "an object")
