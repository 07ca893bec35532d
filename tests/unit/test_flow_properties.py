"""Flows as random as they come: what goes in comes out, and corrupt data is told, never crashes."""

from __future__ import annotations

import contextlib
import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gon.errors import CorruptData, IntegrityError, InvalidArgument, LimitExceeded, Unsupported
from gon.flow import (
    LEVELS_MAX,
    Checksum,
    Codec,
    Compress,
    Decompress,
    Decrypt,
    Encrypt,
    Flow,
    Stage,
    Verify,
    decode,
    encode,
)
from gon.flow_shape import capacity
from gon.limits import MIB
from tests.unit.flow_runs import KEY, flow_of, run_flow

SETTINGS = settings(deadline=None, max_examples=60)
CODECS: tuple[Codec, ...] = ("zstd", "lz4", "gzip", "zlib", "deflate")
FAILURES = (CorruptData, IntegrityError, LimitExceeded)

codecs = st.sampled_from(CODECS)
chunks = st.sampled_from([4096, 5000, 65_536])


@st.composite
def datas(draw: st.DrawFn) -> bytes:
    """Draw bytes that are long enough for several chunks, of little and of much entropy."""
    seed, size, symbols = (
        draw(st.integers(0, 1 << 32)),
        draw(st.integers(0, 40_000)),
        draw(st.sampled_from([1, 2, 16, 256])),
    )
    return np.random.default_rng(seed).integers(0, symbols, size, np.uint8).tobytes()


@st.composite
def there_and_back(draw: st.DrawFn) -> tuple[Flow, Flow]:
    """Draw a flow of transformations and its inverse; each encryption has its nonce."""
    there: list[Stage] = []
    back: list[Stage] = []
    for place in range(draw(st.integers(1, 5))):
        if draw(st.booleans()):
            codec = draw(codecs)
            level = draw(st.integers(0, min(LEVELS_MAX[codec], 9)))
            there.append(Compress(codec=codec, level=level))
            back.append(Decompress(codec=codec, limit_bytes=MIB))
        else:
            there.append(Encrypt(nonce=f"nonce{place}"))
            back.append(Decrypt(nonce=f"nonce{place}"))
        if draw(st.booleans()):
            there.append(Checksum(digest="xxh3-64", passes=True))
    forward = flow_of(*there, chunk_bytes=draw(chunks))
    return forward, flow_of(*reversed(back), chunk_bytes=draw(chunks))


def values(flow: Flow) -> dict[str, bytes]:
    """Return a key and a nonce for each name that a flow gives one."""
    sealing = [stage for stage in flow.stages if isinstance(stage, Encrypt | Decrypt)]
    nonces = {stage.nonce: stage.nonce.encode().rjust(12, b"-") for stage in sealing}
    return {"key": KEY, **nonces} if sealing else {}


@SETTINGS
@given(flows=there_and_back(), data=datas())
def test_what_goes_in_comes_out(flows: tuple[Flow, Flow], data: bytes) -> None:
    forward, backward = flows
    there = run_flow(forward, data, values(forward))
    assert len(there.result) <= capacity(forward, len(data))
    back = run_flow(backward, there.result, values(backward))
    assert back.result == data


@SETTINGS
@given(flows=there_and_back(), data=datas(), where=st.floats(0, 1), bit=st.integers(0, 7))
def test_a_changed_bit_is_told_or_changes_nothing(
    flows: tuple[Flow, Flow], data: bytes, where: float, bit: int
) -> None:
    """Bare deflate has no checksum, so it may become other data; nothing else may happen."""
    forward, backward = flows
    packed = bytearray(run_flow(forward, data, values(forward)).result)
    packed[min(int(where * len(packed)), len(packed) - 1)] ^= 1 << bit
    try:
        back = run_flow(backward, bytes(packed), values(backward)).result
    except FAILURES:
        return
    codec_names = {stage.codec for stage in forward.stages if isinstance(stage, Compress)}
    assert back == data or "deflate" in codec_names


@SETTINGS
@given(
    stages=st.lists(codecs.map(lambda codec: Decompress(codec=codec, limit_bytes=MIB)), min_size=1,
                    max_size=2),
    data=st.binary(max_size=2000),
    head=st.sampled_from([b"", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"\x28\xb5\x2f\xfd",
                          b"\x04\x22\x4d\x18", b"\x78\x9c", b"\x50\x2a\x4d\x18\x10\0\0\0"]),
)  # fmt: skip
def test_bytes_of_no_form_are_told(stages: list[Stage], data: bytes, head: bytes) -> None:
    with contextlib.suppress(*FAILURES):
        run_flow(flow_of(*stages), head + data)


@SETTINGS
@given(data=datas(), room=st.integers(0, 50_000))
def test_a_result_has_room_or_the_run_fails(data: bytes, room: int) -> None:
    flow = flow_of(Verify(digest="sha-256"), chunk_bytes=4096)
    try:
        result = run_flow(flow, data, {"expected": hashlib.sha256(data).digest()}, room=room).result
    except LimitExceeded:
        assert room < len(data)
    else:
        assert result == data
        assert room >= len(data)


@SETTINGS
@given(coded=st.binary(max_size=200), at=st.integers(0, 300), byte=st.integers(0, 255))
def test_a_coded_flow_is_read_or_refused(coded: bytes, at: int, byte: int) -> None:
    right = encode(flow_of(Decrypt(), Decompress(codec="zstd", limit_bytes=9), Encrypt(nonce="n")))
    spoiled = bytearray(right)
    spoiled[at % len(right)] = byte
    for each in (coded, bytes(spoiled), b"{" + coded):
        try:
            flow = decode(each)
        except (InvalidArgument, LimitExceeded, Unsupported):
            continue
        assert decode(encode(flow)) == flow
