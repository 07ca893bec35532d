"""Flows: ordered stages that a buffer's bytes go through, as data.

    decompress ─▶ verify ─▶ scan ─▶ compress ─▶ checksum ─▶ encrypt ─▶ bytes
                              │                   │
                              ▼ matches           ▼ digest

A flow says what is done, never on what nor with which keys: those are arguments of a run, by the
names that its stages give (`gon.flow_shape` lists them). It has one form, of a version,
that reads the same as JSON and travels as msgpack.

Rules: whoever decodes a flow checks it; nothing but a checked flow is run. Every size has its limit
in gon.flow_limits. Knows no codec's library.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from gon.errors import InvalidArgument, LimitExceeded, Unsupported
from gon.flow_limits import (
    FLOW_CHUNK_BYTES,
    FLOW_CHUNK_BYTES_MAX,
    FLOW_CHUNK_BYTES_MIN,
    FLOW_CODED_BYTES_MAX,
    FLOW_DATA_BYTES_MAX,
    FLOW_NAME_BYTES_MAX,
    FLOW_PATTERN_BYTES_MAX,
    FLOW_PATTERNS_MAX,
    FLOW_PLACES_MAX,
    FLOW_STAGES_MAX,
)

# 1 (2026-11): the stages below.
FLOW_VERSION: Final = 1
FLOW_FORMAT: Final = "dpu-flow"

Codec: TypeAlias = Literal["zstd", "lz4", "gzip", "zlib", "deflate"]
Cipher: TypeAlias = Literal["aes-256-gcm"]
Digest: TypeAlias = Literal["crc32c", "xxh3-64", "xxh3-128", "sha-256", "sha-512"]

# Levels there are, from the quickest to the smallest; 0 leaves it to the codec. `isal` has none
# that makes gzip's, zlib's and deflate's smaller; its own level 0 may expand data by a quarter.
LEVELS_MAX: Final[dict[Codec, int]] = {"zstd": 19, "lz4": 12, "gzip": 3, "zlib": 3, "deflate": 3}
DIGEST_BYTES: Final[dict[Digest, int]] = {
    "crc32c": 4,
    "xxh3-64": 8,
    "xxh3-128": 16,
    "sha-256": 32,
    "sha-512": 64,
}
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16


class _Part(msgspec.Struct, frozen=True, tag_field="do", kw_only=True, forbid_unknown_fields=True):
    """What stages have in common: their form."""


class Compress(_Part, frozen=True, tag="compress"):
    """Bytes to one frame of a codec: of zstd, of lz4, a gzip member (RFC 1952), a zlib stream
    (RFC 1950) or a bare deflate stream (RFC 1951). zstd's and lz4's carry a checksum, as gzip's do.
    """

    codec: Codec
    level: int = 0


class Decompress(_Part, frozen=True, tag="decompress"):
    """Bytes of one frame or, but for zlib and deflate, of several to what was compressed.

    More than `limit_bytes` is LimitExceeded, whatever the frames promise; anything after the last
    frame, or less than one, is CorruptData.
    """

    codec: Codec
    limit_bytes: int


class Encrypt(_Part, frozen=True, tag="encrypt"):
    """Bytes to ciphertext and the 16 bytes of its tag (NIST SP 800-38D, no additional data).

    `key` and `nonce` name arguments. The same key with the same nonce must never encrypt twice:
    whoever sees both results reads both texts and forges others.
    """

    cipher: Cipher = "aes-256-gcm"
    key: str = "key"
    nonce: str = "nonce"


class Decrypt(_Part, frozen=True, tag="decrypt"):
    """What `Encrypt` gave to what it was. A wrong key, nonce or byte is IntegrityError, and then
    nothing of the text is in any output.
    """

    cipher: Cipher = "aes-256-gcm"
    key: str = "key"
    nonce: str = "nonce"


class Checksum(_Part, frozen=True, tag="checksum"):
    """Bytes to their digest, in the order of its usual notation (big-endian).

    With `passes` the bytes go on, unchanged, to the next stage or the output.
    """

    digest: Digest
    passes: bool = False


class Verify(_Part, frozen=True, tag="verify"):
    """Bytes, if their digest is that of the argument that `expected` names; IntegrityError
    otherwise, and then no output has any of them.
    """

    digest: Digest
    expected: str = "expected"
    passes: bool = True


class Scan(_Part, frozen=True, tag="scan"):
    """Bytes to the matches of regular expressions, as hyperscan finds them: every place where a
    match ends, once for each expression.

    All are counted; the first `places_max` are kept as (expression, end), with `starts` as
    (expression, start, end), in bytes from the stream's beginning. With `passes` the bytes go on.
    """

    patterns: tuple[str, ...]
    places_max: int = 0
    starts: bool = False
    ignore_case: bool = False
    dot_all: bool = False
    multi_line: bool = False
    passes: bool = False


Stage: TypeAlias = Compress | Decompress | Encrypt | Decrypt | Checksum | Verify | Scan


class Flow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stages in their order, and the size of what they hand on at a time."""

    version: int = FLOW_VERSION
    stages: tuple[Stage, ...]
    chunk_bytes: int = FLOW_CHUNK_BYTES


def encode(flow: Flow) -> bytes:
    """Return a flow as it travels. Raises as `check`."""
    check(flow)
    coded = msgspec.msgpack.encode(flow)
    _at_most(len(coded), FLOW_CODED_BYTES_MAX, "bytes of a coded flow")
    return coded


def to_json(flow: Flow) -> str:
    """Return a flow as a person reads it; `decode` takes it too."""
    return msgspec.json.format(msgspec.json.encode(flow), indent=2).decode()


def decode(coded: bytes) -> Flow:
    """Return the checked flow of its msgpack or JSON form. Raises as `check`."""
    _at_most(len(coded), FLOW_CODED_BYTES_MAX, "bytes of a coded flow")
    try:
        # A map of msgpack never begins as one of JSON, even after white space.
        if coded[:1] in (b"{", b" ", b"\t", b"\r", b"\n"):
            flow = msgspec.json.decode(coded, type=Flow)
        else:
            flow = msgspec.msgpack.decode(coded, type=Flow)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"this is no flow: {error}") from error
    check(flow)
    return flow


def check(flow: Flow) -> None:
    """Raise InvalidArgument, LimitExceeded or Unsupported for what is no flow that can be run."""
    if flow.version != FLOW_VERSION:
        raise Unsupported(f"a flow of version {flow.version}; only {FLOW_VERSION} is known here")
    if not flow.stages:
        raise InvalidArgument("a flow without stages")
    _at_most(len(flow.stages), FLOW_STAGES_MAX, "stages")
    _within(flow.chunk_bytes, FLOW_CHUNK_BYTES_MIN, FLOW_CHUNK_BYTES_MAX, "chunk_bytes")
    for place, stage in enumerate(flow.stages):
        try:
            _check_stage(stage)
        except (InvalidArgument, LimitExceeded) as error:
            raise type(error)(f"stage {place}, {name_of(stage)}: {error.message}") from None
    _check_order(flow.stages)
    _check_names(flow.stages)
    _at_most(sum(len(scan.patterns) for scan in scans(flow)), FLOW_PATTERNS_MAX, "patterns")


def scans(flow: Flow) -> Iterator[Scan]:
    """Give the stages that scan, in their order."""
    return (stage for stage in flow.stages if isinstance(stage, Scan))


def name_of(stage: Stage) -> str:
    """Return the word that a stage has in a flow's text."""
    return str(stage.__struct_config__.tag)


def passes_bytes(stage: Stage) -> bool:
    """Return whether bytes come out of a stage."""
    return stage.passes if isinstance(stage, Checksum | Verify | Scan) else True


def _check_stage(stage: Stage) -> None:
    match stage:
        case Compress(codec=codec, level=level):
            _within(level, 0, LEVELS_MAX[codec], "level")
        case Decompress(limit_bytes=limit):
            _within(limit, 1, FLOW_DATA_BYTES_MAX, "limit_bytes")
        case Scan():
            _check_scan(stage)
        case Encrypt() | Decrypt() | Checksum() | Verify():
            pass


def _check_scan(scan: Scan) -> None:
    if not scan.patterns:
        raise InvalidArgument("no patterns")
    _within(scan.places_max, 0, FLOW_PLACES_MAX, "places_max")
    for pattern in scan.patterns:
        try:
            size_bytes = len(pattern.encode())
        except UnicodeEncodeError as error:
            raise InvalidArgument(f"a pattern that has no UTF-8: {error}") from error
        _within(size_bytes, 1, FLOW_PATTERN_BYTES_MAX, "bytes of a pattern")
        if "\0" in pattern:
            raise InvalidArgument(r"a pattern with a zero byte; \x00 matches one")


def _check_order(stages: tuple[Stage, ...]) -> None:
    """Raise unless every stage but the last gives the bytes that the next one takes."""
    for place, stage in enumerate(stages[:-1]):
        if not passes_bytes(stage):
            raise InvalidArgument(
                f"stage {place + 1}, {name_of(stages[place + 1])}, takes bytes; stage {place}, "
                f"{name_of(stage)}, ends them: passes=True lets them go on"
            )


def _check_names(stages: tuple[Stage, ...]) -> None:
    """Raise where a name is none, means two things, or would let a nonce encrypt twice."""
    meant: dict[str, tuple[str, int]] = {}
    nonces: list[str] = []
    encrypting: set[str] = set()
    for stage in stages:
        for name, kind, size_bytes in names_of(stage):
            if not name.isidentifier():
                raise InvalidArgument(f"an argument named {name!r}; a name as Python's is needed")
            _at_most(len(name.encode()), FLOW_NAME_BYTES_MAX, f"bytes of the name {name[:16]!r}…")
            if meant.setdefault(name, (kind, size_bytes)) != (kind, size_bytes):
                raise InvalidArgument(f"the argument {name!r} is a {meant[name][0]} and a {kind}")
        if isinstance(stage, Encrypt | Decrypt):
            nonces.append(stage.nonce)
            if isinstance(stage, Encrypt):
                encrypting.add(stage.nonce)
    for nonce in encrypting:
        if nonces.count(nonce) > 1:
            raise InvalidArgument(
                f"the nonce {nonce!r} encrypts and has another use; a key is broken by that"
            )


def names_of(stage: Stage) -> tuple[tuple[str, str, int], ...]:
    """Return the arguments that a stage names: name, kind, bytes."""
    match stage:
        case Encrypt(key=key, nonce=nonce) | Decrypt(key=key, nonce=nonce):
            return ((key, "key", KEY_BYTES), (nonce, "nonce", NONCE_BYTES))
        case Verify(digest=digest, expected=expected):
            return ((expected, f"digest {digest}", DIGEST_BYTES[digest]),)
        case _:
            return ()


def _at_most(value: int, most: int, what: str) -> None:
    if value > most:
        raise LimitExceeded(f"{value} {what}; at most {most}")


def _within(value: int, least: int, most: int, what: str) -> None:
    if value < least:
        raise InvalidArgument(f"{what} of {value}; from {least} to {most}")
    if value > most:
        raise LimitExceeded(f"{what} of {value}; from {least} to {most}")
