"""Flows as data: their forms, what is refused before anything runs, what a flow takes and gives."""

from __future__ import annotations

import json
from typing import cast

import msgspec
import pytest

from gon.errors import GonError, InvalidArgument, LimitExceeded, Unsupported
from gon.flow import (
    Checksum,
    Codec,
    Compress,
    Decompress,
    Decrypt,
    Encrypt,
    Flow,
    Scan,
    Stage,
    Verify,
    decode,
    encode,
    to_json,
)
from gon.flow_limits import (
    FLOW_CHUNK_BYTES_MAX,
    FLOW_CODED_BYTES_MAX,
    FLOW_DATA_BYTES_MAX,
    FLOW_NAME_BYTES_MAX,
    FLOW_PATTERN_BYTES_MAX,
    FLOW_PATTERNS_MAX,
    FLOW_PLACES_MAX,
    FLOW_STAGES_MAX,
)
from gon.flow_shape import Argument, Side, arguments, capacity, has_result, lengths_count, sides
from tests.unit.flow_runs import flow_of

EVERYTHING = flow_of(
    Decrypt(nonce="nonce_in"),
    Verify(digest="crc32c"),
    Decompress(codec="gzip", limit_bytes=1 << 20),
    Scan(patterns=("a+b", "ü"), places_max=8, starts=True, ignore_case=True, passes=True),
    Compress(codec="zstd", level=7),
    Checksum(digest="sha-256", passes=True),
    Encrypt(nonce="nonce_out"),
)


def test_a_flow_has_two_forms_that_say_the_same() -> None:
    assert decode(encode(EVERYTHING)) == EVERYTHING
    assert decode(to_json(EVERYTHING).encode()) == EVERYTHING
    assert decode(b" \n" + to_json(EVERYTHING).encode()) == EVERYTHING


def test_the_form_is_fixed() -> None:
    """What older programs have kept in files must stay readable."""
    text = {
        "version": 1,
        "stages": [
            {"do": "decompress", "codec": "lz4", "limit_bytes": 4096},
            {"do": "verify", "digest": "xxh3-64", "expected": "sum", "passes": True},
            {"do": "scan", "patterns": ["x"], "places_max": 3},
        ],
        "chunk_bytes": 4096,
    }
    flow = flow_of(
        Decompress(codec="lz4", limit_bytes=4096),
        Verify(digest="xxh3-64", expected="sum"),
        Scan(patterns=("x",), places_max=3),
        chunk_bytes=4096,
    )
    assert decode(json.dumps(text).encode()) == flow
    assert json.loads(to_json(flow))["stages"][:2] == text["stages"][:2]  # type: ignore[index]


def scan(*patterns: str, places_max: int = 0) -> Scan:
    return Scan(patterns=patterns, places_max=places_max)


@pytest.mark.parametrize(
    ("stages", "error", "says"),
    [
        ((), InvalidArgument, "without stages"),
        ((Checksum(digest="crc32c"),) * (FLOW_STAGES_MAX + 1), LimitExceeded, "17 stages"),
        ((Compress(codec="gzip", level=4),), LimitExceeded, "stage 0, compress: level of 4"),
        ((Compress(codec="zstd", level=-1),), InvalidArgument, "level of -1; from 0 to 19"),
        ((Decompress(codec="zstd", limit_bytes=0),), InvalidArgument, "limit_bytes of 0"),
        (
            (Decompress(codec="zstd", limit_bytes=FLOW_DATA_BYTES_MAX + 1),),
            LimitExceeded,
            "limit_bytes",
        ),
        ((Checksum(digest="crc32c"), Encrypt()), InvalidArgument, "stage 1, encrypt, takes bytes"),
        ((scan("a"), scan("b")), InvalidArgument, "stage 0, scan, ends them"),
        (
            (Verify(digest="crc32c", passes=False), Compress(codec="lz4")),
            InvalidArgument,
            "passes=True lets them go on",
        ),
        ((Encrypt(key="no name"),), InvalidArgument, "'no name'"),
        ((Encrypt(key="k" * (FLOW_NAME_BYTES_MAX + 1)),), LimitExceeded, "bytes of the name"),
        ((Encrypt(key="nonce"),), InvalidArgument, "'nonce' is a key and a nonce"),
        (
            (Verify(digest="crc32c"), Verify(digest="sha-256")),
            InvalidArgument,
            "'expected' is a digest crc32c and a digest sha-256",
        ),
        ((Encrypt(), Encrypt(key="other")), InvalidArgument, "encrypts and has another use"),
        ((Decrypt(), Encrypt()), InvalidArgument, "the nonce 'nonce' encrypts"),
        ((scan(),), InvalidArgument, "no patterns"),
        ((scan(""),), InvalidArgument, "bytes of a pattern of 0"),
        ((scan("\0"),), InvalidArgument, "zero byte"),
        ((scan("\ud800"),), InvalidArgument, "UTF-8"),
        ((scan("a" * (FLOW_PATTERN_BYTES_MAX + 1)),), LimitExceeded, "bytes of a pattern"),
        ((scan(*["a"] * (FLOW_PATTERNS_MAX + 1)),), LimitExceeded, "257 patterns"),
        ((scan("a", places_max=FLOW_PLACES_MAX + 1),), LimitExceeded, "places_max"),
        ((scan("a", places_max=-1),), InvalidArgument, "places_max"),
    ],
)
def test_what_cannot_be_run_is_refused(
    stages: tuple[Stage, ...], error: type[GonError], says: str
) -> None:
    flow = flow_of(*stages)
    with pytest.raises(error, match=says):
        encode(flow)
    # Whoever is given such a flow finds the same.
    with pytest.raises((InvalidArgument, LimitExceeded)):
        decode(msgspec.msgpack.encode(flow) if says != "UTF-8" else b"{}")


def test_chunks_and_versions_have_limits() -> None:
    stage = Checksum(digest="crc32c")
    for chunk_bytes in (0, -1, FLOW_CHUNK_BYTES_MAX + 1):
        with pytest.raises((InvalidArgument, LimitExceeded), match="chunk_bytes"):
            encode(flow_of(stage, chunk_bytes=chunk_bytes))
    with pytest.raises(Unsupported, match="version 2"):
        encode(Flow(version=2, stages=(stage,)))


@pytest.mark.parametrize(
    "coded",
    [
        b"",
        b"{",
        b"\xc1",
        b"[]",
        b'{"stages": 3}',
        b'{"stages": [{"do": "explode"}]}',
        b'{"stages": [{"do": "compress", "codec": "rar"}]}',
        b'{"stages": [{"do": "compress"}]}',
        b'{"stages": [{"do": "compress", "codec": "zstd", "levle": 3}]}',
        b'{"stages": [{"do": "compress", "codec": "zstd", "level": 1e99}]}',
        b'{"stages": [{"do": "scan", "patterns": ["\xff"]}]}',
        b"[" * 100_000,
        b'{"stages":' * 10_000,
        b"\x91" * 100_000,
        b"\x81\xa6stages\xdd\xff\xff\xff\xff",
    ],
)
def test_what_is_no_flow_is_refused(coded: bytes) -> None:
    with pytest.raises(InvalidArgument, match="this is no flow"):
        decode(coded)


def test_a_flow_that_is_too_long_is_not_looked_at() -> None:
    with pytest.raises(LimitExceeded):
        decode(b" " * (FLOW_CODED_BYTES_MAX + 1))


def test_what_a_flow_takes_and_gives() -> None:
    assert arguments(EVERYTHING) == (
        Argument("key", "key", 32),
        Argument("nonce_in", "nonce", 12),
        Argument("expected", "digest crc32c", 4),
        Argument("nonce_out", "nonce", 12),
    )
    assert sides(EVERYTHING) == (Side(3, 8, 3), Side(5, 32, 0))
    assert [side.name for side in sides(EVERYTHING)] == ["places_3", "digest_5"]
    assert lengths_count(EVERYTHING) == 3
    assert has_result(EVERYTHING)
    assert not has_result(flow_of(Checksum(digest="crc32c")))


def test_capacity_follows_the_stages() -> None:
    assert capacity(flow_of(Encrypt()), 100) == 116
    assert capacity(flow_of(Decrypt()), 100) == 84
    assert capacity(flow_of(Decrypt()), 5) == 0
    assert capacity(flow_of(Decompress(codec="zstd", limit_bytes=77)), 100) == 77
    assert capacity(flow_of(Verify(digest="crc32c")), 100) == 100
    assert capacity(flow_of(Checksum(digest="crc32c")), 100) == 0
    with pytest.raises(LimitExceeded):
        capacity(flow_of(Encrypt()), FLOW_DATA_BYTES_MAX)
    with pytest.raises(InvalidArgument):
        capacity(flow_of(Encrypt()), -1)


@pytest.mark.parametrize("codec", ["zstd", "lz4", "gzip", "zlib", "deflate"])
def test_capacity_has_room_for_what_does_not_shrink(codec: str) -> None:
    """Where any compressor adds least, and what is meant by `capacity`: more than the data."""
    flow = flow_of(Compress(codec=cast("Codec", codec)))
    assert 10_000 < capacity(flow, 10_000) < 11_200
