"""Encryption, checksums and their inverses: against published vectors and other implementations,
and what is left of data that is not what it should be.
"""

from __future__ import annotations

import hashlib
import logging
import random
import tracemalloc
from typing import cast

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gon.errors import CorruptData, IntegrityError, LimitExceeded
from gon.flow import (
    DIGEST_BYTES,
    Checksum,
    Compress,
    Decompress,
    Decrypt,
    Digest,
    Encrypt,
    Verify,
    encode,
)
from gon.flow_shape import FUNCTION
from gon.limits import MIB
from gon_server.engines.base import Tensor
from gon_server.engines.dpu.aes_gcm import decrypting_whole
from tests.unit.flow_runs import KEY, NONCE, flow_of, load, run_flow

ENCRYPT, DECRYPT = flow_of(Encrypt()), flow_of(Decrypt(), chunk_bytes=4096)
RIGHT = {"key": KEY, "nonce": NONCE}
OTHER = {"key": bytes(32), "nonce": NONCE}
NOISE = random.Random(4).randbytes(200_000)
SIZES = (0, 1, 15, 16, 17, 31, 32, 33, 4095, 4096, 4097, 65_535, 65_552, 200_000)

# McGrew and Viega, "The Galois/Counter Mode of Operation", which NIST's SP 800-38D goes back to:
# test cases 13, 14 and 15 (256 bits, no additional data).
GCM_VECTORS = [
    ("00" * 32, "00" * 12, "", "530f8afbc74536b9a963b4f1c4cb738b"),
    (
        "00" * 32,
        "00" * 12,
        "00" * 16,
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
    ),
    (
        "feffe9928665731c6d6a8f9467308308" * 2,
        "cafebabefacedbaddecaf888",
        (
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
        ),
        (
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
            "b094dac5d93471bdec1a502270e3cc6c"
        ),
    ),
]

# What the makers of each say of a text: RFC 3720 B.4 (32 zeros), xxHash's own sanity check of
# nothing, FIPS 180's of "abc".
DIGEST_VECTORS: list[tuple[Digest, bytes, str]] = [
    ("crc32c", b"123456789", "e3069283"),
    ("crc32c", bytes(32), "8a9136aa"),
    ("crc32c", b"\xff" * 32, "62a8ab43"),
    ("xxh3-64", b"", "2d06800538d394c2"),
    ("xxh3-128", b"", "99aa06d3014798d86001c324468d497f"),
    ("sha-256", b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        "sha-512",
        b"abc",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
    ),
]


@pytest.mark.parametrize(("key", "nonce", "text", "sealed"), GCM_VECTORS)
def test_published_vectors(key: str, nonce: str, text: str, sealed: str) -> None:
    values = {"key": bytes.fromhex(key), "nonce": bytes.fromhex(nonce)}
    assert run_flow(ENCRYPT, bytes.fromhex(text), values).result.hex() == sealed
    assert run_flow(DECRYPT, bytes.fromhex(sealed), values).result.hex() == text


@pytest.mark.parametrize("size", SIZES)
def test_others_read_what_is_encrypted(size: int) -> None:
    text = NOISE[:size]
    sealed = run_flow(ENCRYPT, text, RIGHT).result
    assert sealed == AESGCM(KEY).encrypt(NONCE, text, None)
    assert run_flow(DECRYPT, sealed, RIGHT).result == text


def test_decrypting_takes_pieces_of_any_size() -> None:
    """What comes before it decides: noise from a codec that gives pieces as they come."""
    sealed = AESGCM(KEY).encrypt(NONCE, NOISE, None)
    packing = flow_of(Compress(codec="gzip"), chunk_bytes=4096)
    opening = flow_of(Decompress(codec="gzip", limit_bytes=MIB), Decrypt(), chunk_bytes=4096)
    for size in (16, 17, 31, 32, 33, 5000, len(sealed)):
        text = NOISE[: size - 16]
        packed = run_flow(packing, AESGCM(KEY).encrypt(NONCE, text, None)).result
        assert run_flow(opening, packed, RIGHT).result == text


@pytest.mark.parametrize("size", [0, 1, 16, 5000, 200_000])
def test_nothing_is_left_of_a_text_whose_tag_is_wrong(size: int) -> None:
    """`run_flow` sees that no output has a byte of it."""
    sealed = AESGCM(KEY).encrypt(NONCE, NOISE[:size], None)
    wrong_key, wrong_nonce = bytes([*KEY[:-1], 99]), bytes([*NONCE[:-1], 99])
    for key, nonce, data in (
        (wrong_key, NONCE, sealed),
        (KEY, wrong_nonce, sealed),
        (KEY, NONCE, bytes([sealed[0] ^ 1]) + sealed[1:]),
        (KEY, NONCE, sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (KEY, NONCE, sealed + b"x"),
    ):
        with pytest.raises(IntegrityError, match="tag"):
            run_flow(DECRYPT, data, {"key": key, "nonce": nonce})
    for end in (0, 1, 15):
        with pytest.raises(CorruptData):
            run_flow(DECRYPT, sealed[:end], RIGHT)


def test_to_leave_nothing_of_a_text_takes_no_memory() -> None:
    """There may be none, and the text is in its place already."""
    sealed = memoryview(AESGCM(KEY).encrypt(NONCE, bytes(MIB), None))
    target, lengths = np.ones(MIB, np.uint8), np.ones(1, np.uint64)
    run = decrypting_whole(sealed, target.data, lengths, 0, 1)
    tracemalloc.start()
    try:
        with pytest.raises(IntegrityError):
            run((bytes(32), NONCE))
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < MIB // 4
    assert not target.any()
    assert lengths[0] == 0


def test_a_wrong_key_is_told_before_what_it_leads_to() -> None:
    """Garbage does not expand; that it is garbage is what is told, wherever the reading stops."""
    sealing = flow_of(Compress(codec="zstd"), Encrypt())
    opening = flow_of(Decrypt(), Decompress(codec="zstd", limit_bytes=MIB), chunk_bytes=4096)
    sealed = run_flow(sealing, NOISE, RIGHT).result
    assert run_flow(opening, sealed, RIGHT).result == NOISE
    with pytest.raises(IntegrityError):
        run_flow(opening, sealed, OTHER)
    # Also where the result has no room.
    with pytest.raises(IntegrityError):
        run_flow(DECRYPT, sealed, OTHER, room=10)
    with pytest.raises(LimitExceeded):
        run_flow(DECRYPT, sealed, RIGHT, room=10)


@pytest.mark.parametrize(("digest", "data", "expected"), DIGEST_VECTORS)
def test_published_digests(digest: Digest, data: bytes, expected: str) -> None:
    ran = run_flow(flow_of(Checksum(digest=digest)), data)
    assert ran.sides["digest_0"].tobytes().hex() == expected
    assert ran.lengths == [0, len(expected) // 2]
    verify = flow_of(Verify(digest=digest))
    assert run_flow(verify, data, {"expected": bytes.fromhex(expected)}).result == data


@pytest.mark.parametrize("size", SIZES)
def test_digests_do_not_depend_on_chunks(size: int) -> None:
    data = NOISE[:size]
    flow = flow_of(
        *(Checksum(digest=digest, passes=True) for digest in DIGEST_BYTES),
        chunk_bytes=4096,
    )
    ran = run_flow(flow, data)
    assert ran.result == data
    sums = [side.tobytes() for side in ran.sides.values()]
    assert sums[0] == _crc32c(data).to_bytes(4, "big")
    assert sums[3] == hashlib.sha256(data).digest()
    assert sums[4] == hashlib.sha512(data).digest()
    whole = run_flow(flow_of(*flow.stages, chunk_bytes=4 * MIB), data)
    assert [side.tobytes() for side in whole.sides.values()] == sums


def _crc32c(data: bytes) -> int:
    """Castagnoli's polynomial, a byte at a time, by the table that the definition gives."""
    table = [0] * 256
    for n in range(256):
        value = n
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table[n] = value
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize("digest", list(DIGEST_BYTES))
def test_other_data_does_not_verify(digest: str) -> None:
    flow = flow_of(Verify(digest=cast("Digest", digest)), chunk_bytes=4096)
    summing = flow_of(Checksum(digest=cast("Digest", digest)))
    right = run_flow(summing, NOISE).sides["digest_0"].tobytes()
    assert run_flow(flow, NOISE, {"expected": right}).result == NOISE
    wrong = right[:-1] + bytes([right[-1] ^ 1])
    for data, expected in ((NOISE, wrong), (NOISE[:-1], right), (b"", right)):
        with pytest.raises(IntegrityError, match=digest):
            run_flow(flow, data, {"expected": expected})
    silent = flow_of(Verify(digest=cast("Digest", digest), passes=False))
    assert run_flow(silent, NOISE, {"expected": right}).lengths == [0]


def test_a_wrong_sum_is_told_before_what_it_leads_to() -> None:
    packed = run_flow(flow_of(Compress(codec="gzip")), NOISE).result
    flow = flow_of(Verify(digest="crc32c"), Decompress(codec="gzip", limit_bytes=MIB))
    with pytest.raises(IntegrityError):
        run_flow(flow, packed[:100], {"expected": bytes(4)})


def test_keys_are_said_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key, nonce = b"the key of the test, 32 bytes...", b"its nonce..."
    sealed = run_flow(ENCRYPT, NOISE, {"key": key, "nonce": nonce}).result
    with pytest.raises(IntegrityError) as failed:
        run_flow(DECRYPT, sealed[1:], {"key": key, "nonce": nonce})
    program = load(encode(ENCRYPT))
    tensors = [_array(param.name) for param in program.functions[0].params if param.shape]
    bound = program.bind(FUNCTION, tensors, {})
    with pytest.raises(LimitExceeded) as refused:
        bound.run([key, nonce])
    for text in (caplog.text, str(failed.value), str(refused.value), repr(bound), repr(program)):
        for secret in (key, nonce):
            assert secret.decode() not in text
            assert secret.hex() not in text


def _array(name: str) -> Tensor:
    return np.zeros(1, np.uint64) if name == "lengths" else np.zeros(64, np.uint8)
