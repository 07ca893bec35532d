"""Cases: sorting, hashing, text: whole numbers, so all of it is exact."""

from __future__ import annotations

import itertools
import zlib

import numpy as np
from numpy.typing import NDArray

from tests.kernels.case import Cases, Source
from tests.kernels.trial import Trial, blocks, host, same

BITONIC = Source("bitonic_sort.cu")
RADIX = Source("radix_sort.cu")
HASHING = Source("hashing.cu")
STRINGS = Source("strings.cu")

CASES = Cases()
EMPTY = 0xFFFFFFFF


# Sorting ------------------------------------------------------------------------------------------
@CASES.add(BITONIC, "bitonic_sort_step", subject="bitonic network, a launch a step")
def bitonic_sort(trial: Trial) -> None:
    n = 1 << trial.between(0, 9)
    data = trial.floats(n)
    values = trial.array(data)
    k = 2
    while k <= n:
        j = k // 2
        while j > 0:
            trial.launch("bitonic_sort_step", blocks(n, 64), min(64, n), values, j, k)
            j //= 2
        k *= 2
    same(values, np.sort(data))
    if n == 1:
        trial.launch("bitonic_sort_step", 1, 1, values, 0, 2)
        same(values, data)


@CASES.add(BITONIC, "bitonic_sort_shared", subject="bitonic network in shared memory, pairs")
def bitonic_sort_shared(trial: Trial) -> None:
    length, batch = 2 << trial.between(0, 7), trial.between(1, 5)
    keys = trial.rng.permuted(np.arange(batch * length, dtype=np.uint32).reshape(batch, -1), axis=1)
    values = trial.words((batch, length))
    out_keys, out_values = (trial.zeros((batch, length), np.uint32) for _ in range(2))
    for direction in (1, 0):
        args = (out_keys, out_values, trial.array(keys), trial.array(values), length, direction)
        trial.launch("bitonic_sort_shared", batch, length // 2, *args)
        order = np.argsort(keys, axis=1)[:, :: 1 if direction else -1]
        same(out_keys, np.take_along_axis(keys, order, 1))
        same(out_values, np.take_along_axis(values, order, 1))


@CASES.add(BITONIC, "odd_even_transposition", subject="odd-even sort of shorts")
def odd_even(trial: Trial) -> None:
    n = trial.size(32, 3)
    data = trial.ints(n, -30000, 30000).astype(np.int16)
    out = trial.array(data)
    for phase in range(n):
        trial.launch("odd_even_transposition", blocks(max(1, n // 2), 16), 16, out, n, phase)
    same(out, np.sort(data))


@CASES.add(BITONIC, "rank_sort", subject="sort by counting, 64-bit keys")
def rank_sort(trial: Trial) -> None:
    n = trial.size(64, 3)
    keys = trial.ints(n, -20, 20).astype(np.int64) << 33
    out = trial.zeros(n, np.int64)
    trial.launch("rank_sort", blocks(n, 64), 64, trial.array(keys), out, n)
    same(out, np.sort(keys))


@CASES.add(
    RADIX,
    "float_to_sortable",
    "radix_count",
    "radix_scan",
    "radix_scatter",
    "sortable_to_float",
    subject="radix sort of floats, four bits a pass",
)
def radix_sort(trial: Trial) -> None:
    n = trial.size(128, 4)
    data = trial.floats(n, -1e6, 1e6)
    keys, other = (trial.zeros(n, np.uint32) for _ in range(2))
    grid = blocks(n, 128)
    counts, out = trial.zeros(16 * grid, np.uint32), trial.zeros(n)
    trial.launch("float_to_sortable", grid, 128, trial.array(data), keys, n)
    for shift in range(0, 32, 4):
        trial.launch("radix_count", grid, 128, keys, counts, shift, n)
        trial.launch("radix_scan", 1, 128, counts, 16 * grid)
        trial.launch("radix_scatter", grid, 128, keys, other, counts, shift, n)
        keys, other = other, keys
    trial.launch("sortable_to_float", grid, 128, keys, out, n)
    same(out, np.sort(data))


# Hashing ------------------------------------------------------------------------------------------
def _crc_table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0xEDB88320), table >> 1)
    return table


def _murmur(h: NDArray[np.uint32]) -> NDArray[np.uint32]:
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h = np.asarray((h ^ (h >> np.uint32(shift))) * np.uint32(factor), np.uint32)
    return h


@CASES.add(HASHING, "crc32_records", subject="CRC-32 of records, table in constant memory")
def crc32(trial: Trial) -> None:
    n = trial.size(32)
    lengths = trial.ints(n, 0, 40)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    data = trial.bytes(max(1, int(offsets[-1])))
    out = trial.zeros(n, np.uint32)
    trial.put("crc_table", _crc_table())
    args = (trial.array(data), trial.array(offsets), out, n)
    trial.launch("crc32_records", blocks(n, 32), 32, *args)
    ends = itertools.pairwise(offsets.tolist())
    same(out, [zlib.crc32(data[a:b].tobytes()) for a, b in ends])


@CASES.add(HASHING, "fnv1a_strings", subject="FNV-1a of strings, 64-bit products")
def fnv1a(trial: Trial) -> None:
    n = trial.size(32, 3)
    text = trial.ints(256, -128, 127).astype(np.int8)
    starts, lengths = trial.ints(n, 0, 200), trial.ints(n, 0, 56)
    out = trial.zeros(n, np.uint64)
    args = (trial.array(text), trial.array(starts), trial.array(lengths), out, n)
    trial.launch("fnv1a_strings", blocks(n, 32), 32, *args)
    want: list[int] = []
    for start, length in zip(starts, lengths, strict=True):
        h = 14695981039346656037
        for byte in text[start : start + length].tobytes():
            h = ((h ^ byte) * 1099511628211) % 2**64
        want.append(h)
    same(out, np.array(want, np.uint64))


@CASES.add(HASHING, "murmur_mix", subject="the finaliser of MurmurHash3")
def murmur_mix(trial: Trial) -> None:
    n = trial.size(64)
    data, out = trial.words(n), trial.zeros(n, np.uint32)
    trial.launch("murmur_mix", blocks(n, 64), 64, trial.array(data), out, n)
    same(out, _murmur(data))


def _byte_perm(x: int, y: int, selector: int) -> int:
    bytes_of = x.to_bytes(4, "little") + y.to_bytes(4, "little")
    picked = [bytes_of[(selector >> (4 * i)) & 7] for i in range(4)]
    return int.from_bytes(bytes(picked), "little")


@CASES.add(HASHING, "bit_intrinsics", subject="population count, leading zeros, bytes, shifts")
def bit_intrinsics(trial: Trial) -> None:
    n = trial.size(64)
    # Also the ends: zero, ones, one bit.
    data = trial.words(n)
    data[: min(3, n)] = [0, 0xFFFFFFFF, 0x00010000][: min(3, n)]
    out = trial.zeros((10, n), np.int32)
    trial.launch("bit_intrinsics", blocks(n, 64), 64, trial.array(data), out, n)
    rows: list[list[int]] = []
    for v, w in zip(data.tolist(), data[::-1].tolist(), strict=True):
        signed_v, signed_w = (x - (x >> 31 << 32) for x in (v, w))
        half_v, half_w = signed_v >> 1, signed_w >> 1
        rows.append(
            [
                v.bit_count(),
                32 - v.bit_length(),
                (v & -v).bit_length(),
                int(f"{v:032b}"[::-1], 2),
                _byte_perm(v, w, 0x5140),
                v * w >> 32,
                signed_v * signed_w >> 32,
                (w << 7 | v >> 25) & 0xFFFFFFFF,
                abs(half_v - half_w) + 5,
                (v & 0xFFFF) * (w & 0x7F),
            ]
        )
    same(host(out).view(np.uint32), np.array(rows, np.int64).T.astype(np.uint32))


@CASES.add(HASHING, "hash_insert", "hash_lookup", subject="open addressing by compare-and-swap")
def hash_table(trial: Trial) -> None:
    n, capacity = trial.size(64, 3), 512
    keys = trial.rng.choice(100_000, n, replace=False).astype(np.uint32)
    values = trial.words(n)
    slots = trial.full(capacity, EMPTY, np.uint32)
    stored, found = trial.zeros(capacity, np.uint32), trial.zeros(2 * n, np.uint32)
    args = (slots, stored, capacity)
    pairs = (trial.array(keys), trial.array(values))
    trial.launch("hash_insert", blocks(n, 64), 64, *args, *pairs, n)
    wanted = np.concatenate([keys, keys + np.uint32(200_000)])
    trial.launch("hash_lookup", blocks(2 * n, 64), 64, *args, trial.array(wanted), found, 2 * n)
    same(found, np.concatenate([values, np.full(n, EMPTY, np.uint32)]))


# Text ---------------------------------------------------------------------------------------------
def _text(trial: Trial, n: int, alphabet: str) -> str:
    return "".join(trial.rng.choice(list(alphabet), n))


def _chars(text: str) -> NDArray[np.int8]:
    return np.frombuffer(text.encode("ascii"), np.int8)


def _occurrences(text: str, pattern: str) -> list[int]:
    starts = range(len(text) - len(pattern) + 1)
    return [i for i in starts if text.startswith(pattern, i)]


@CASES.add(STRINGS, "count_matches", "find_matches", subject="search of a pattern in a text")
def string_search(trial: Trial) -> None:
    n = trial.size(64, 8)
    text = _text(trial, n, "ab")
    pattern = _text(trial, trial.between(1, min(4, n)), "ab")
    want = _occurrences(text, pattern)
    count, found = trial.zeros(1, np.int32), trial.zeros(1, np.int32)
    places = trial.zeros(n, np.int32)
    where = (trial.array(_chars(text)), n, trial.array(_chars(pattern)), len(pattern))
    trial.launch("count_matches", blocks(n, 64), 64, *where, count)
    same(count, [len(want)])
    trial.launch("find_matches", 2, 64, *where, places, found, shared_bytes=len(pattern))
    same(found, [len(want)])
    same(np.sort(host(places)[: len(want)]), want)


@CASES.add(STRINGS, "swap_case", "count_words", subject="letters of chars")
def words(trial: Trial) -> None:
    n = trial.size(64)
    text = _text(trial, n, "abYZ @[`{~09")
    chars, count = trial.array(_chars(text)), trial.zeros(1, np.int32)
    trial.launch("count_words", blocks(n, 64), 64, chars, n, count)
    letters = "".join(c if c.isalpha() else " " for c in text)
    same(count, [len(letters.split())])
    trial.launch("swap_case", blocks(n, 64), 64, chars, n)
    same(chars, _chars(text.swapcase()))


@CASES.add(STRINGS, "levenshtein_diagonal", subject="edit distance, a launch a diagonal")
def levenshtein(trial: Trial) -> None:
    la, lb = trial.size(16, 2), trial.between(1, 24)
    a, b = _text(trial, la, "abc"), _text(trial, lb, "abc")
    chars = trial.array(_chars(a)), trial.array(_chars(b))
    before, last, now = (trial.zeros(la + 1, np.int32) for _ in range(3))
    for diagonal in range(la + lb + 1):
        grid = blocks(la + 1, 16)
        args = (*chars, before, last, now, diagonal, la, lb)
        trial.launch("levenshtein_diagonal", grid, 16, *args)
        before, last, now = last, now, before
    row = list(range(lb + 1))
    for i in range(1, la + 1):
        above, row = row, [i]
        for j in range(1, lb + 1):
            cost = above[j - 1] + (a[i - 1] != b[j - 1])
            row.append(min(cost, above[j] + 1, row[j - 1] + 1))
    same(host(last)[la], row[lb])
