"""Compressing and expanding flows, against other implementations, and data that is not what it
should be.
"""

from __future__ import annotations

# lz4's functions are not typed.
# pyright: reportUnknownMemberType=false
import gzip
import io
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import cast

import lz4.frame  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
import pytest
import zstandard

from gon.errors import CorruptData, LimitExceeded
from gon.flow import LEVELS_MAX, Codec, Compress, Decompress, encode
from gon.flow_limits import FLOW_WINDOW_BYTES_MAX
from gon.flow_shape import FUNCTION, capacity
from gon.limits import MIB
from gon_server.engines.dpu.zstd_frames import FrameEnds
from tests.unit.flow_runs import flow_of, load, run_flow

CODECS: tuple[Codec, ...] = ("zstd", "lz4", "gzip", "zlib", "deflate")
FRAMES: tuple[Codec, ...] = ("zstd", "lz4", "gzip")


def _raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


lz4_pack = cast("Callable[[bytes], bytes]", lz4.frame.compress)
lz4_unpack = cast("Callable[[bytes], bytes]", lz4.frame.decompress)

# Whoever else makes and reads each form.
PACK: dict[Codec, Callable[[bytes], bytes]] = {
    "zstd": lambda data: zstandard.compress(data),
    "lz4": lz4_pack,
    "gzip": lambda data: gzip.compress(data),
    "zlib": lambda data: zlib.compress(data),
    "deflate": _raw,
}
UNPACK: dict[Codec, Callable[[bytes], bytes]] = {
    "zstd": lambda data: zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read(),
    "lz4": lz4_unpack,
    "gzip": gzip.decompress,
    "zlib": zlib.decompress,
    "deflate": lambda data: zlib.decompress(data, wbits=-15),
}

NOISE = random.Random(1).randbytes(300_000)
WORDS = b"".join(b"line %d of some text, as texts are\n" % (n % 977) for n in range(20_000))
DATA = (b"", b"a", b"ab" * 40_000, NOISE, WORDS, NOISE[:70_000] + b"\0" * 200_000)


@pytest.mark.parametrize("codec", CODECS)
def test_others_read_what_is_compressed(codec: Codec) -> None:
    for level in {0, 1, LEVELS_MAX[codec]}:
        flow = flow_of(Compress(codec=codec, level=level))
        for data in DATA:
            ran = run_flow(flow, data)
            assert UNPACK[codec](ran.result) == data
            assert ran.lengths == [len(ran.result)]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("chunk_bytes", [4096, 1 << 20])
def test_what_others_compressed_is_read(codec: Codec, chunk_bytes: int) -> None:
    flow = flow_of(Decompress(codec=codec, limit_bytes=4 * MIB), chunk_bytes=chunk_bytes)
    for data in DATA:
        assert run_flow(flow, PACK[codec](data)).result == data


@pytest.mark.parametrize("codec", CODECS)
def test_noise_fits_what_capacity_says(codec: Codec) -> None:
    rng = random.Random(2)
    for chunk_bytes in (4096, 65_536):
        for size in (1, 17, 4095, 4096, 4097, 70_000, 1_000_001):
            for level in (1, LEVELS_MAX[codec]):
                flow = flow_of(Compress(codec=codec, level=level), chunk_bytes=chunk_bytes)
                run_flow(flow, rng.randbytes(size))


@pytest.mark.parametrize("codec", FRAMES)
def test_frames_may_follow_each_other(codec: Codec) -> None:
    flow = flow_of(Decompress(codec=codec, limit_bytes=4 * MIB), chunk_bytes=4096)
    packed = b"".join(PACK[codec](data) for data in (b"", b"one", NOISE[:9000], b"", WORDS))
    assert run_flow(flow, packed).result == b"one" + NOISE[:9000] + WORDS


def test_frames_to_skip_are_skipped() -> None:
    skipped = struct.pack("<II", 0x184D2A53, 5000) + bytes(5000)
    for codec in ("zstd", "lz4"):
        flow = flow_of(Decompress(codec=codec, limit_bytes=MIB), chunk_bytes=4096)
        packed = skipped + PACK[codec](b"text") + skipped
        assert run_flow(flow, packed).result == b"text"


@pytest.mark.parametrize("codec", CODECS)
def test_a_cut_anywhere_is_found(codec: Codec) -> None:
    flow = flow_of(Decompress(codec=codec, limit_bytes=MIB), chunk_bytes=4096)
    packed = PACK[codec](WORDS[:20_000])
    for end in {*range(40), *range(40, len(packed), 61), len(packed) - 1}:
        with pytest.raises(CorruptData):
            run_flow(flow, packed[:end])


@pytest.mark.parametrize("codec", CODECS)
def test_something_after_the_end_is_found(codec: Codec) -> None:
    flow = flow_of(Decompress(codec=codec, limit_bytes=MIB), chunk_bytes=4096)
    for more in (b"x", b"\0" * 4, b"trailing bytes", NOISE[:10_000]):
        with pytest.raises(CorruptData):
            run_flow(flow, PACK[codec](WORDS[:20_000]) + more)


@pytest.mark.parametrize("codec", FRAMES)
def test_a_changed_byte_is_found(codec: Codec) -> None:
    """These have a checksum of their content, as the engine writes them."""
    packed = run_flow(flow_of(Compress(codec=codec)), WORDS[:20_000]).result
    flow = flow_of(Decompress(codec=codec, limit_bytes=MIB))
    rng = random.Random(3)
    for _ in range(60):
        # gzip's header tells a time and a system, which nothing depends on.
        place = rng.randrange(12, len(packed))
        changed = bytearray(packed)
        changed[place] ^= 1 << rng.randrange(8)
        with pytest.raises((CorruptData, LimitExceeded)):
            run_flow(flow, bytes(changed))


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_ends_at_its_limit(codec: Codec) -> None:
    bomb = PACK[codec](bytes(64 * MIB))
    flow = flow_of(Decompress(codec=codec, limit_bytes=MIB))
    load(encode(flow))
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded, match="more than"):
            run_flow(flow, bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Far less than the bomb: a window, chunks, and what the test itself looks at.
    assert peak < 24 * MIB


@pytest.mark.parametrize("codec", CODECS)
def test_a_limit_is_what_may_come_out(codec: Codec) -> None:
    packed = PACK[codec](WORDS)
    exact = flow_of(Decompress(codec=codec, limit_bytes=len(WORDS)))
    assert run_flow(exact, packed).result == WORDS
    with pytest.raises(LimitExceeded):
        run_flow(flow_of(Decompress(codec=codec, limit_bytes=len(WORDS) - 1)), packed)


@pytest.mark.parametrize("codec", CODECS)
def test_a_result_without_room_is_refused(codec: Codec) -> None:
    packed = PACK[codec](WORDS)
    flow = flow_of(Decompress(codec=codec, limit_bytes=4 * MIB))
    assert run_flow(flow, packed, room=len(WORDS)).result == WORDS
    for room in (0, 1, 4096, len(WORDS) - 1):
        with pytest.raises(LimitExceeded, match="the output has"):
            run_flow(flow, packed, room=room)
    compressed = run_flow(flow_of(Compress(codec=codec)), WORDS).result
    with pytest.raises(LimitExceeded):
        run_flow(flow_of(Compress(codec=codec)), WORDS, room=len(compressed) - 1)


def test_a_window_beyond_the_limit_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(WORDS) + packer.flush()
    assert FLOW_WINDOW_BYTES_MAX < 1 << 27
    with pytest.raises(CorruptData, match="zstd"):
        run_flow(flow_of(Decompress(codec="zstd", limit_bytes=4 * MIB)), packed)


def test_frames_that_need_a_dictionary_are_refused() -> None:
    dictionary = zstandard.ZstdCompressionDict(WORDS[:4000])
    packed = zstandard.ZstdCompressor(dict_data=dictionary).compress(WORDS)
    with pytest.raises(CorruptData):
        run_flow(flow_of(Decompress(codec="zstd", limit_bytes=4 * MIB)), packed)


def test_the_end_of_frames_does_not_depend_on_the_pieces() -> None:
    single = zstandard.ZstdCompressor(write_checksum=True).compress(WORDS)
    packer = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    stream = packer.compress(NOISE[:200_000]) + packer.flush()
    skipped = struct.pack("<II", 0x184D2A50, 3) + b"abc"
    frames = [single, skipped, stream, zstandard.compress(b"")]
    whole = b"".join(frames)
    ends = {sum(map(len, frames[:n])) for n in range(1, len(frames) + 1)}
    for step in (1, 2, 3, 7, 1000, len(whole)):
        walk = FrameEnds()
        assert not walk.between_frames
        for at in range(0, len(whole), step):
            walk.follow(whole[at : at + step])
            assert walk.between_frames == (min(at + step, len(whole)) in ends)
    walk.follow(b"what is no frame")
    assert not walk.between_frames


def test_nothing_of_the_whole_is_copied() -> None:
    """64 MiB go through three stages; what is allocated beside them is a few chunks."""
    size = 64 * MIB
    data = np.resize(np.frombuffer(NOISE, np.uint8), size)
    packing = flow_of(Compress(codec="lz4"), Compress(codec="zstd", level=1))
    result = np.zeros(capacity(packing, size), np.uint8)
    lengths = np.zeros(1, np.uint64)
    bound = load(encode(packing)).bind(FUNCTION, [data, result, lengths], {})
    tracemalloc.start()
    try:
        bound.run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * MIB
    assert size < int(lengths[0]) * 300
