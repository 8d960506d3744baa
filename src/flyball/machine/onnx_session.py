"""The one way in which an ONNX model is opened, wherever it is asked: from its own bytes and from nothing else."""

from collections.abc import Iterator
from typing import Any

from flyball.errors import ArtifactDamaged

NOWHERE = "/dev/null/nowhere"
"""No directory, and none can be made there. onnxruntime looks for weights outside a model's bytes in the working directory, if it is not told where: that is a
project's, the owner's token lies in it, and no manifest covers what lies there."""


def open_session(model: bytes) -> Any:
    """An `onnxruntime.InferenceSession`. Raises ArtifactDamaged, also for a model that keeps weights in other files."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Rows are few and requests many: threads inside one call would only fight the other workers for the cores.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it refuses is raised, and told in our words
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", NOWHERE)
    # Not its own format, which it would take as well: what is looked for in a graph is looked for in ONNX's bytes.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as refused:  # onnxruntime's errors share no class of their own
        raise ArtifactDamaged(f"onnxruntime does not load the model: {str(refused)[:300]}") from refused
    _refuse_other_files(model)
    return session


def _refuse_other_files(model: bytes) -> None:
    """onnxruntime passes over weights that nothing uses, wherever they lie; another release of it may read them first."""
    if b"location" not in model:
        return  # most models: onnx need not be imported
    import onnx
    from google.protobuf.message import DecodeError

    try:
        parsed = onnx.load_model_from_string(model)
    except DecodeError as unread:
        raise ArtifactDamaged(f"the ONNX model cannot be read: {unread}") from unread
    for tensor in _tensors(parsed):
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ArtifactDamaged(
                f"the ONNX model keeps {tensor.name!r} in another file", expected="all weights in its own bytes"
            )


def _tensors(message: Any) -> Iterator[Any]:
    """All that lie anywhere in it: in graphs, their nodes, those of branches and functions, dense or sparse."""
    if message.DESCRIPTOR.full_name == "onnx.TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if hasattr(value, "__len__") else (value,):
                yield from _tensors(each)
