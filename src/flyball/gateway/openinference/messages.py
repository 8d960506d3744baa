"""The messages of gRPC, from a table of the protocol's fields: https://github.com/kserve/open-inference-protocol (open_inference_grpc.proto).

Nothing here is generated, so nothing needs a compiler or goes out of date with one. A pool of its own: the same names may be registered by a client
in the same process.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

OPEN_INFERENCE = "inference"
HEALTH = "grpc.health.v1"

_TENSOR = "name:string=1 datatype:string=2 shape:int64*=3"
_CONTENTS = "parameters:map=4 contents:InferTensorContents=5"

FIELDS: dict[str, dict[str, str]] = {
    OPEN_INFERENCE: {
        "ServerLiveRequest": "",
        "ServerLiveResponse": "live:bool=1",
        "ServerReadyRequest": "",
        "ServerReadyResponse": "ready:bool=1",
        "ModelReadyRequest": "name:string=1 version:string=2",
        "ModelReadyResponse": "ready:bool=1",
        "ServerMetadataRequest": "",
        "ServerMetadataResponse": "name:string=1 version:string=2 extensions:string*=3",
        "ModelMetadataRequest": "name:string=1 version:string=2",
        "ModelMetadataResponse": "name:string=1 versions:string*=2 platform:string=3 inputs:.TensorMetadata*=4 outputs:.TensorMetadata*=5",
        "ModelMetadataResponse.TensorMetadata": _TENSOR,
        "ModelInferRequest": "model_name:string=1 model_version:string=2 id:string=3 parameters:map=4 inputs:.InferInputTensor*=5"
        " outputs:.InferRequestedOutputTensor*=6 raw_input_contents:bytes*=7",
        "ModelInferRequest.InferInputTensor": f"{_TENSOR} {_CONTENTS}",
        "ModelInferRequest.InferRequestedOutputTensor": "name:string=1 parameters:map=2",
        "ModelInferResponse": "model_name:string=1 model_version:string=2 id:string=3 parameters:map=4 outputs:.InferOutputTensor*=5"
        " raw_output_contents:bytes*=6",
        "ModelInferResponse.InferOutputTensor": f"{_TENSOR} {_CONTENTS}",
        "InferParameter": "bool_param:bool|1 int64_param:int64|2 string_param:string|3 double_param:double|4 uint64_param:uint64|5",
        "InferTensorContents": "bool_contents:bool*=1 int_contents:int32*=2 int64_contents:int64*=3 uint_contents:uint32*=4"
        " uint64_contents:uint64*=5 fp32_contents:float*=6 fp64_contents:double*=7 bytes_contents:bytes*=8",
    },
    HEALTH: {
        "HealthCheckRequest": "service:string=1",
        "HealthCheckResponse": "status:int32=1",  # an enum, which is the same on the wire: 1 serving, 2 not serving
    },
}
"""Package → message → `name:type=number`; `*` repeated, `|` one of a choice, `map` from string to InferParameter, `.X` nested in the message."""

_Field = descriptor_pb2.FieldDescriptorProto
_PARAMETER = f".{OPEN_INFERENCE}.InferParameter"


def messages(package: str) -> dict[str, Any]:
    """Class of each message by its name in the package."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_file(package).SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in FIELDS[package]}


def _file(package: str) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name=f"flyball/{package}.proto", package=package, syntax="proto3")
    known: dict[str, Any] = {}
    for name, fields in FIELDS[package].items():
        outer, _, inner = name.rpartition(".")
        message = known[outer].nested_type.add(name=inner) if outer else file.message_type.add(name=inner)
        known[name] = message
        for declared in fields.split():
            _add(message, f".{package}.{name}", declared)
    return file


def _add(message: Any, path: str, declared: str) -> None:
    name, _, rest = declared.partition(":")
    kind, mark, number = rest.partition("|" if "|" in rest else "=")
    field = message.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if kind.endswith("*") or kind == "map":
        field.label, kind = _Field.LABEL_REPEATED, kind.removesuffix("*")
    if mark == "|":
        field.oneof_index = 0
        if not message.oneof_decl:
            message.oneof_decl.add(name="parameter_choice")
    if kind == "map":
        _add_entry(message, name)
        field.type, field.type_name = _Field.TYPE_MESSAGE, f"{path}.{_entry_name(name)}"
    elif kind[0].islower():
        field.type = _Field.Type.Value(f"TYPE_{kind.upper()}")
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f"{path}{kind}" if kind.startswith(".") else f".{OPEN_INFERENCE}.{kind}"


def _add_entry(message: Any, name: str) -> None:
    entry = message.nested_type.add(name=_entry_name(name))
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
    entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_MESSAGE, type_name=_PARAMETER)


def _entry_name(name: str) -> str:
    return f"{name.capitalize()}Entry"
