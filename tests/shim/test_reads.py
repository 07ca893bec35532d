"""The program's memory that reads are still to fill, by itself."""

from __future__ import annotations

import pytest

from gon.errors import DeviceError
from gon.limits import INLINE_BYTES_MAX
from gon_shim.reads import Reads, Span
from tests.shim.pending_read import Read


def test_only_one_stream_answers_small_reads_in_order() -> None:
    small, large = Span(0, INLINE_BYTES_MAX), Span(0, INLINE_BYTES_MAX + 1)
    stream, other = object(), object()
    for before, after, reader, waits in (
        (small, small, stream, False),
        (small, small, other, True),  # a worker may hold a read, and answer another stream's
        (small, small, None, True),
        (large, small, stream, True),
        (small, large, stream, True),
        (small, Span(INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1), None, False),
    ):
        reads, read = Reads(), Read()
        reads.add(stream, before, read)
        reads.settle_before(after, reader=reader)
        assert read.here == waits


def test_a_failed_read_is_told_of_once_and_the_others_are_here() -> None:
    reads, stream = Reads(), object()
    failed, other = Read(fails=True), Read()
    reads.add(stream, None, failed)
    reads.add(stream, None, other)
    with pytest.raises(DeviceError):
        reads.settle(stream)
    assert other.here
    reads.settle(stream)
