"""Scans: against Python's own expressions, in chunks, with limits; and expressions that explode."""

from __future__ import annotations

import gc
import re
import sys
import threading

import hyperscan
import numpy as np
import pytest

from gon import flow_limits
from gon.errors import CompileError, CorruptData, DeviceError, LimitExceeded, OutOfMemory
from gon.flow import Compress, Decompress, Scan, Verify, encode
from gon_server.engines.dpu import patterns, scanning
from gon_server.engines.dpu.program import FlowProgram, compile_flow
from gon_server.engines.dpu.scan_driver import ScanDatabase
from tests.unit.flow_runs import Ran, flow_of, load, run_flow

TEXT = b"the cat sat on the mat; Cat 42, cat 7.\nA catalogue of 1024 cats\nends with cat"


def ends_by_python(pattern: str, text: bytes, flags: int = 0) -> set[int]:
    """Return every place where some match ends: what hyperscan means by a match."""
    compiled = re.compile(pattern.encode(), flags)
    return {
        end
        for end in range(len(text) + 1)
        for begin in range(end)
        if (found := compiled.match(text, begin)) and _can_end(compiled, text, begin, end, found)
    }


def _can_end(
    compiled: re.Pattern[bytes], text: bytes, begin: int, end: int, found: re.Match[bytes]
) -> bool:
    return found.end() == end or bool(compiled.fullmatch(text, begin, end))


def places(ran: Ran) -> list[tuple[int, ...]]:
    """Return the rows of the first stage's places that were written."""
    rows = ran.sides["places_0"]
    return sorted(tuple(int(n) for n in row) for row in rows[: min(ran.lengths[1], len(rows))])


@pytest.mark.parametrize(
    "pattern", ["cat", "c.t", "[0-9]+", "cat[a-z]*", "(cat|mat)[;,]", r"\bcat\b", "at +(o|4)", "x"]
)
@pytest.mark.parametrize("chunk_bytes", [4096, 1 << 20])
def test_matches_are_those_of_python(pattern: str, chunk_bytes: int) -> None:
    text = TEXT * 3 if chunk_bytes == 4096 else TEXT
    flow = flow_of(Scan(patterns=(pattern,), places_max=1000), chunk_bytes=chunk_bytes)
    ran = run_flow(flow, text)
    assert {end for _, end in places(ran)} == ends_by_python(pattern, text)
    assert ran.lengths == [0, len(places(ran))]


def test_matches_go_across_chunks() -> None:
    text = b"." * 4090 + b"needle-that-is-long" + b"." * 4080 + b"needle-that-is-long"
    flow = flow_of(
        Scan(patterns=("needle[a-z-]*long", "n.{3}le"), places_max=9, starts=True),
        chunk_bytes=4096,
    )
    assert places(run_flow(flow, text)) == [
        (0, 4090, 4109),
        (0, 8189, 8208),
        (1, 4090, 4096),
        (1, 8189, 8195),
    ]


def test_the_end_of_the_data_is_an_end() -> None:
    flow = flow_of(Scan(patterns=("cat$",), places_max=9))
    assert places(run_flow(flow, TEXT)) == [(0, len(TEXT))]
    lines = flow_of(Scan(patterns=("^A cat", "cats$"), places_max=9, multi_line=True))
    assert [expression for expression, _ in places(run_flow(lines, TEXT))] == [0, 1]


def test_what_scans_may_be_told() -> None:
    text = b"Cat\ncAT\n"
    told = flow_of(Scan(patterns=("cat.c",), ignore_case=True, dot_all=True, places_max=9))
    assert places(run_flow(told, text)) == [(0, 5)]
    assert run_flow(flow_of(Scan(patterns=("cat.c",))), text).lengths == [0, 0]
    several = flow_of(Scan(patterns=("t", "\u00fc", r"\x00"), places_max=9))
    assert places(run_flow(several, "tü\0".encode())) == [(0, 1), (1, 3), (2, 4)]


def test_nothing_has_no_matches() -> None:
    assert run_flow(flow_of(Scan(patterns=("a",))), b"").lengths == [0, 0]


def test_places_have_a_limit_and_the_count_has_not_theirs() -> None:
    text = b"ab" * 5000
    flow = flow_of(Scan(patterns=("b",), places_max=3))
    ran = run_flow(flow, text)
    assert ran.lengths == [0, 5000]
    assert places(ran) == [(0, 2), (0, 4), (0, 6)]
    counting = run_flow(flow_of(Scan(patterns=("b",))), text)
    assert (counting.lengths, counting.sides) == ([0, 5000], {})


def test_bytes_go_on_where_they_are_let() -> None:
    flow = flow_of(Scan(patterns=("cat",), passes=True), Compress(codec="lz4"))
    back = flow_of(Decompress(codec="lz4", limit_bytes=4096), Scan(patterns=("cat",), passes=True))
    packed = run_flow(flow, TEXT)
    assert packed.lengths[1] == TEXT.count(b"cat")
    assert run_flow(back, packed.result).result == TEXT


def test_more_matches_than_may_be_counted_end_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "FLOW_MATCHES_MAX", 1000)
    flow = flow_of(Scan(patterns=("a",), places_max=10, passes=True), Verify(digest="crc32c"))
    assert run_flow(flow_of(Scan(patterns=("a",), places_max=10)), b"a" * 1000).lengths == [0, 1000]
    with pytest.raises(LimitExceeded, match="more than 1000 matches"):
        run_flow(flow, b"a" * 1001, {"expected": bytes(4)})


def test_a_run_that_fails_in_a_scan_leaves_nothing() -> None:
    """`run_flow` sees that; the matches before the failure were kept already."""
    flow = flow_of(
        Decompress(codec="gzip", limit_bytes=4096),
        Scan(patterns=("cat",), places_max=10, passes=True),
    )
    packed = run_flow(flow_of(Compress(codec="gzip")), TEXT).result
    for _ in range(50):
        with pytest.raises(CorruptData):
            run_flow(flow, packed[:-1])


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a*)*b", "([a-z]+)*[0-9]"])
def test_what_explodes_elsewhere_is_scanned_in_the_time_of_its_bytes(pattern: str) -> None:
    """Python would not end within years on these."""
    text = b"a" * 20_000 + b"!"
    assert run_flow(flow_of(Scan(patterns=(pattern,))), text).lengths == [0, 0]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("a{1,40000}", "repeat is too large"),
        ("x([^a]{1,300}(b{1,300}|c{1,300})){1,30}", "too large"),
        ("(", "parenthesis"),
        ("a*", "empty"),
        (r"(a)\1", "references"),
        ("(?=a)b", "assertions"),
        ("(?<x>a)(?P=y)", ""),
    ],
)
def test_what_does_not_compile_says_which_and_why(pattern: str, says: str) -> None:
    with pytest.raises(CompileError, match=f"pattern 1: .*{says}"):
        compile_flow(encode(flow_of(Scan(patterns=("fine", pattern)))))


def test_a_compiler_without_memory_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its builder then ends, for nobody knows what it is after that."""

    def compile_nothing(*_: object) -> bytes:
        raise hyperscan.error("Unable to allocate memory.")

    monkeypatch.setattr(patterns, "_compile", compile_nothing)
    with pytest.raises(OutOfMemory, match="too complex"):
        compile_flow(encode(flow_of(Scan(patterns=("a",)))))


def test_a_database_that_is_none_does_not_load() -> None:
    built = compile_flow(encode(flow_of(Scan(patterns=("a",)))))
    FlowProgram(built)
    for broken in (b"", b"x", built[:-10], built[:200] + bytes(20) + built[220:]):
        with pytest.raises(DeviceError):
            FlowProgram(broken)
    with pytest.raises(DeviceError):
        ScanDatabase(b"no database", 2)


def test_two_threads_may_scan_at_once() -> None:
    """hyperscan's module waits for a lock while it holds Python's: alone, this would not end."""
    program = load(encode(flow_of(Scan(patterns=("b",), places_max=10), chunk_bytes=4096)))
    data = np.frombuffer(b"ab" * 40_000, np.uint8)
    counts: list[int] = []

    def scan() -> None:
        lengths, rows = np.zeros(2, np.uint64), np.zeros((10, 2), np.uint64)
        bound = program.bind("flow", [data, lengths, rows], {})
        for _ in range(5):
            bound.run()
        counts.append(int(lengths[1]))

    threads = [threading.Thread(target=scan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [40_000] * 4


def test_programs_that_come_and_go_leave_references_alone() -> None:
    """hyperscan's module counts its references to None by hand; Python ends at the last one."""
    built = compile_flow(encode(flow_of(Scan(patterns=("a", "b"), places_max=4))))
    data = np.frombuffer(b"abc", np.uint8)
    lengths, rows = np.zeros(2, np.uint64), np.zeros((4, 2), np.uint64)
    gc.collect()
    before = sys.getrefcount(None)
    for _ in range(1000):
        program = FlowProgram(built)
        program.bind("flow", [data, lengths, rows], {}).run()
        program.unload()
    gc.collect()
    assert sys.getrefcount(None) > before - 500
    assert list(lengths) == [0, 2]


def test_limits_hang_together() -> None:
    assert (
        flow_limits.FLOW_CHUNK_BYTES_MIN
        <= flow_limits.FLOW_CHUNK_BYTES
        <= flow_limits.FLOW_CHUNK_BYTES_MAX
    )
