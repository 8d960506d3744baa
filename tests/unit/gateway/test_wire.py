"""Claims about messages of millions of parts: they are refused before anything is made of them, and nothing that anybody sends is."""

import pytest

from flyball.errors import RequestError
from flyball.gateway.openinference import wire
from flyball.gateway.openinference.messages import OPEN_INFERENCE, messages

Request = messages(OPEN_INFERENCE)["ModelInferRequest"]


def field(number: int, content: bytes) -> bytes:
    """Its length in three bytes, which need not be as short as can be."""
    size = len(content)
    return bytes([number << 3 | 2, size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14]) + content


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\x22\x00" * 101, "parameters: found more than 100"),
        (b"\x2a\x00" * 10_001, "inputs: found more than 10000"),
        (b"\x32\x00" * 17, "outputs: found more than 16"),
        (b"\x3a\x00" * 10_001, "raw_input_contents: found more than 10000"),
        (b"\xa8\x7d\x01" * 101, "field 2005: found more than 100"),
        (b"\x2b\x2c" * 10_001, "inputs: found more than 10000"),
        (field(5, b"\x18\x01" * 9), "inputs[0].shape: found more than 8"),
        (field(5, field(3, b"\x01" * 81)), "inputs[0].shape: found 81 bytes"),
        (field(5, b"\x22\x00" * 101), "inputs[0].parameters: found more than 100"),
        (field(6, b"\x12\x00" * 101), "outputs[0].parameters: found more than 100"),
        (b"\x2a\x00" + field(5, field(5, b"\x42\x00" * 100_001)), "inputs[1].contents[0].bytes_contents: found more than 100000"),
    ],
)
def test_what_is_too_many_is_named(body: bytes, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        wire.refuse_countless(body)
    assert words in caught.value.message


def test_loose_numbers_are_taken_up_to_a_million(monkeypatch: pytest.MonkeyPatch) -> None:
    wire.refuse_countless(field(5, field(5, b"\x08\x01" * 1000)))
    monkeypatch.setitem(wire._CONTENTS.most, 1, 999)
    with pytest.raises(RequestError):
        wire.refuse_countless(field(5, field(5, b"\x08\x01" * 1000)))


def test_ordinary_requests_pass_and_so_does_what_cannot_be_read() -> None:
    message = Request(model_name="shop", id="x" * 1000, raw_input_contents=[bytes(40_000)] * 3)
    message.parameters["keys"].string_param = "[]"
    for at in range(200):
        tensor = message.inputs.add(name=f"column {at}", datatype="FP32", shape=[1000, 1])
        tensor.contents.fp32_contents.extend([1.5] * 1000)
        tensor.contents.bytes_contents.extend([b"Oslo" * 50] * 100)
    message.outputs.add(name="scores").parameters["binary_data"].bool_param = True
    body = message.SerializeToString()
    wire.refuse_countless(body)
    for cut in range(1, 3000):
        wire.refuse_countless(body[:-cut])
    wire.refuse_countless(b"\xff" * 100)
