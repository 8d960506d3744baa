"""Claims about segments: whatever a killed writer leaves, every complete record is found and nothing else."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.capture.framing import HEADER_BYTES, MAGIC, frame, unframe

payloads_ = st.lists(st.binary(min_size=1, max_size=300), max_size=20)


def segment(payloads: list[bytes]) -> bytes:
    return MAGIC + b"".join(map(frame, payloads))


@given(payloads_)
def test_what_was_framed_is_found(payloads):
    data = segment(payloads)
    assert unframe(data) == (payloads, len(data), 0, False)


def test_cut_at_each_of_the_last_4096_positions_every_complete_record_is_found():
    payloads = [bytes([size % 251]) * (1 + size * 37 % 211) for size in range(80)]
    ends = [len(MAGIC)]
    for payload in payloads:
        ends.append(ends[-1] + HEADER_BYTES + len(payload))
    data = segment(payloads)
    assert len(data) > 4096
    for cut in range(len(data) - 4096, len(data)):
        complete = max(index for index, end in enumerate(ends) if end <= cut)
        found = unframe(data[:cut])
        assert found.payloads == payloads[:complete]
        assert (found.consumed, found.torn, found.damaged) == (ends[complete], cut - ends[complete], False)


@given(payloads_, st.integers(min_value=0, max_value=5000))
def test_a_torn_tail_is_left_for_later(payloads, cut):
    data = segment(payloads)
    first = unframe(data[: min(cut, len(data))])
    rest = unframe(data[first.consumed :])
    assert first.payloads + rest.payloads == payloads


@pytest.mark.parametrize("tail", [b"\0" * 50, b"\xff" * 50, frame(b"good")[:-1] + b"!", b'{"k": "p"}\n' * 5])
def test_a_tail_that_can_never_become_a_record_is_told_as_damage(tail):
    payloads = [b"one", b"two"]
    found = unframe(segment(payloads) + tail)
    assert found.payloads == payloads
    assert found.damaged
    assert found.torn == len(tail)


@given(payloads_.filter(bool), st.data())
def test_a_flipped_bit_never_gives_a_wrong_record(payloads, data):
    whole = bytearray(segment(payloads))
    at = data.draw(st.integers(min_value=len(MAGIC), max_value=len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(min_value=0, max_value=7))
    found = unframe(bytes(whole))
    assert found.payloads == payloads[: len(found.payloads)]
    assert len(found.payloads) < len(payloads)


def test_the_magic_alone_and_a_torn_magic_are_no_damage():
    for size in range(len(MAGIC) + 1):
        found = unframe(MAGIC[:size])
        assert (found.payloads, found.damaged) == ([], False)


def test_a_frame_is_readable_by_its_description_alone():
    data = frame(b"abc")
    assert int.from_bytes(data[:4], "little") == 3
    assert int.from_bytes(data[4:8], "little") == zlib.crc32(b"abc")


def test_an_empty_payload_is_refused():
    with pytest.raises(ValueError, match="1 to"):
        frame(b"")
