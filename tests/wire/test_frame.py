"""Frames: golden bytes, round trips, and arbitrary bytes, which raise RemoteProtocolError only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gon.errors import LocalProtocolError, RemoteProtocolError
from gon.limits import HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX, PAYLOADS_MAX
from gon.wire.frame import HEADER_BYTES, SEQUENCED, Kind, decode_head, encode_head

NUMBERS = st.integers(1, 2**64 - 1)


def test_golden_bytes() -> None:
    head = encode_head(Kind.BATCH, 3, 2, (70_000,), b"body")
    assert head == bytes.fromhex(
        "01 04 0100 00000000 0300000000000000 0200000000000000 7011010000000000"
    ) + (b"body")


@given(
    st.sampled_from(sorted(SEQUENCED)),
    NUMBERS,
    st.integers(0, 2**64 - 1),
    st.lists(st.integers(1, PAYLOAD_BYTES_MAX), max_size=PAYLOADS_MAX),
    st.binary(max_size=100),
)
def test_what_is_encoded_is_decoded(
    kind: Kind, seq: int, ack: int, sizes: list[int], body: bytes
) -> None:
    head = decode_head(memoryview(encode_head(kind, seq, ack, sizes, body)))
    assert (head.kind, head.seq, head.ack, head.sizes) == (kind, seq, ack, tuple(sizes))
    assert bytes(head.body) == body


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_one_error_only(raw: bytes) -> None:
    try:
        head = decode_head(memoryview(raw))
    except RemoteProtocolError:
        return
    assert encode_head(head.kind, head.seq, head.ack, head.sizes, bytes(head.body)) == raw


@given(st.data())
def test_a_head_with_one_changed_byte_never_escapes(data: st.DataObject) -> None:
    raw = bytearray(encode_head(Kind.REPLIES, 9, 8, (5, 6), b"xyz"))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_head(memoryview(raw))
    except RemoteProtocolError:
        return


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "cut short"),
        (b"\x01" * (HEADER_BYTES - 1), "cut short"),
        (b"\x02" + b"\x04" + bytes(HEADER_BYTES - 2), "layout 2"),
        (b"\x01\x63" + bytes(HEADER_BYTES - 2), "kind 99"),
        (encode_head(Kind.ACK, 0, 1, (), b"")[:4] + b"\x01" + bytes(19), "reserved"),
        (b"\x01\x04" + bytes(HEADER_BYTES - 2), "sequence number 0"),
        (b"\x01\x06\x00\x00\x00\x00\x00\x00\x01" + bytes(15), "sequence number 1"),
        (b"\x01\x04\xff\xff\x00\x00\x00\x00\x01" + bytes(15), "payloads"),
        (b"\x01\x04\x01\x00\x00\x00\x00\x00\x01" + bytes(15), "cannot name"),
        (b"\x01\x04\x01\x00\x00\x00\x00\x00\x01" + bytes(23), "out of range"),
    ],
)
def test_each_malformed_head_says_what_is_wrong(raw: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        decode_head(memoryview(raw))


def test_what_the_peer_would_refuse_is_not_sent() -> None:
    with pytest.raises(LocalProtocolError, match="at most"):
        encode_head(Kind.BATCH, 1, 0, (), bytes(HEAD_BYTES_MAX))
    with pytest.raises(LocalProtocolError, match="too much"):
        encode_head(Kind.BATCH, 1, 0, (PAYLOAD_BYTES_MAX + 1,), b"")
