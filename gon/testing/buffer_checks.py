"""Checks of handles and buffers: allocation, transfers, copies, fills, and what must be refused."""

from __future__ import annotations

import numpy as np

from gon.elastic import InPlace
from gon.errors import BadHandle, GonError, InvalidArgument, OutOfMemory, Unsupported
from gon.model import DEFAULT_STREAM, Handle
from gon.testing.device_trial import Trial, expect

PATTERN_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


# Handles ------------------------------------------------------------------------------------------
def handle_0_is_the_default_stream_which_always_exists(trial: Trial) -> None:
    trial.device.sync(DEFAULT_STREAM).wait()
    zero = Handle(0)
    trial.refused(InvalidArgument, "buffer 0", trial.device.allocate, zero, 4)
    trial.refused(InvalidArgument, "event 0", trial.device.create_event, zero)
    trial.refused(InvalidArgument, "stream 0", trial.device.create_stream, zero)
    trial.refused(InvalidArgument, "closing stream 0", trial.device.close_stream, zero)


def a_handle_in_use_is_refused(trial: Trial) -> None:
    device, buffer, stream, event = trial.device, trial.buffer(4), trial.stream(), trial.event()
    trial.refused(InvalidArgument, "buffer twice", device.allocate, buffer, 4)
    trial.refused(InvalidArgument, "stream twice", device.create_stream, stream)
    trial.refused(InvalidArgument, "event twice", device.create_event, event)


def nouns_have_handles_of_their_own(trial: Trial) -> None:
    same = trial.handle()
    trial.device.allocate(same, 4)
    trial.device.create_stream(same)
    trial.device.create_event(same)
    trial.device.record(same, same)
    trial.device.free(same)
    trial.device.sync_event(same).wait()
    trial.device.close_event(same)
    trial.device.close_stream(same)


def unknown_handles_are_refused(trial: Trial) -> None:
    device, none = trial.device, Handle(77)
    out, data = memoryview(bytearray(4)), memoryview(b"abcd")
    stream = trial.stream
    refused, one = trial.refused, (1, 1, 1)
    refused(BadHandle, "free", device.free, none)
    refused(BadHandle, "write", device.write, stream(), none, 0, data)
    refused(BadHandle, "write on no stream", device.write, none, trial.buffer(16), 0, data)
    refused(BadHandle, "read", device.read, stream(), none, 0, out)
    refused(BadHandle, "copy from none", device.copy, stream(), none, 0, trial.buffer(16), 0, 4)
    refused(BadHandle, "copy to none", device.copy, stream(), trial.buffer(16), 0, none, 0, 4)
    refused(BadHandle, "fill", device.fill, stream(), none, 0, 4, b"a")
    refused(BadHandle, "sync", device.sync, none)
    refused(BadHandle, "close_stream", device.close_stream, none)
    refused(BadHandle, "record", device.record, stream(), none)
    refused(BadHandle, "record on no stream", device.record, none, trial.event())
    refused(BadHandle, "wait_event", device.wait_event, stream(), none)
    refused(BadHandle, "wait_event on no stream", device.wait_event, none, trial.event())
    refused(BadHandle, "sync_event", device.sync_event, none)
    refused(BadHandle, "elapsed_us", device.elapsed_us, none, none)
    refused(BadHandle, "close_event", device.close_event, none)
    refused(BadHandle, "unload", device.unload, none)
    refused(BadHandle, "get_kernel", device.get_kernel, trial.handle(), none, "saxpy")
    refused(BadHandle, "close_kernel", device.close_kernel, none)
    refused(BadHandle, "launch", device.launch, stream(), none, one, one, 0, ())


def a_freed_buffer_is_unknown(trial: Trial) -> None:
    device, buffer, out = trial.device, trial.buffer(4), memoryview(bytearray(4))
    device.free(buffer)
    trial.refused(BadHandle, "freeing twice", device.free, buffer)
    trial.refused(BadHandle, "reading a freed", device.read, trial.stream(), buffer, 0, out)


def closing_twice_is_nothing(trial: Trial) -> None:
    trial.buffer(4)
    trial.device.close()
    trial.device.close()


# Buffers ------------------------------------------------------------------------------------------
def allocated_bytes_are_zero(trial: Trial) -> None:
    for size in (1, 7, 4096, 5 << 20):
        buffer = trial.buffer(size)
        got = trial.read(buffer, np.uint8, size)
        expect(not got.any(), f"a new buffer of {size} bytes is not all zero")
        trial.device.fill(DEFAULT_STREAM, buffer, 0, size, b"\xff")
        trial.device.free(buffer)
        again = trial.buffer(size)
        got = trial.read(again, np.uint8, size)
        expect(not got.any(), f"{size} bytes after a freed buffer's are not all zero")


def sizes_that_no_buffer_has_are_refused(trial: Trial) -> None:
    for size in (0, -1):
        trial.refused(InvalidArgument, f"{size}", trial.device.allocate, trial.handle(), size)


def too_large_a_buffer_is_out_of_memory_and_the_device_goes_on(trial: Trial) -> None:
    total = trial.device.info.memory_bytes
    for size in (total + 1, 1 << 60):
        says = f"allocating {size} of {total} bytes"
        trial.refused(OutOfMemory, says, trial.device.allocate, trial.handle(), size)
    array = np.arange(16, dtype=np.uint8)
    stream = trial.stream()
    trial.expect_content(trial.holding(array, stream), array, "after OutOfMemory", stream)


def written_bytes_are_read(trial: Trial) -> None:
    array = np.random.default_rng(1).integers(0, 256, 70_001, dtype=np.uint8)
    buffer = trial.buffer(array.size + 100)
    trial.write(buffer, array, offset=33)
    wanted = np.concatenate([np.zeros(33, np.uint8), array, np.zeros(67, np.uint8)])
    trial.expect_content(buffer, wanted, "a write at 33")
    expect(bool((trial.read(buffer, np.uint8, 5, offset=40) == array[7:12]).all()), "a read at 40")


def data_may_change_once_write_has_returned(trial: Trial) -> None:
    for size in (8, 5000, 3 << 20):
        data = bytearray(b"a" * size)
        buffer = trial.buffer(size)
        trial.device.write(DEFAULT_STREAM, buffer, 0, memoryview(data))
        data[:] = b"b" * size
        got = trial.read(buffer, np.uint8, size).tobytes()
        expect(got == b"a" * size, f"{size} bytes changed after the write show in the buffer")


def a_read_gives_what_was_there_before_later_writes(trial: Trial) -> None:
    buffer = trial.holding(np.full(1000, 1, np.uint8))
    first, second = bytearray(1000), bytearray(1000)
    early = trial.device.read(DEFAULT_STREAM, buffer, 0, memoryview(first))
    trial.device.fill(DEFAULT_STREAM, buffer, 0, 1000, b"\2")
    trial.device.read(DEFAULT_STREAM, buffer, 0, memoryview(second)).wait()
    early.wait()
    expect(bytes(first) == b"\1" * 1000, "a read shows what was written after it")
    expect(bytes(second) == b"\2" * 1000, "a read misses what was written before it")


def ranges_outside_the_buffer_are_refused(trial: Trial) -> None:
    device, untouched = trial.device, trial.holding(np.arange(100, dtype=np.uint8))
    device.sync_all().wait()
    data = memoryview(bytes(10))
    for offset in (-1, 91, 100, 1 << 40, (1 << 64) - 5):
        a, b, c, d, e, f, g = (trial.buffer(100) for _ in range(7))
        out = memoryview(bytearray(10))
        at = f"10 bytes at {offset} of 100"
        bad, refused, stream = InvalidArgument, trial.refused, trial.stream
        refused(bad, f"write of {at}", device.write, stream(), a, offset, data)
        refused(bad, f"read of {at}", device.read, stream(), b, offset, out)
        refused(bad, f"copy from {at}", device.copy, stream(), c, offset, d, 0, 10)
        refused(bad, f"copy to {at}", device.copy, stream(), e, 0, f, offset, 10)
        refused(bad, f"fill of {at}", device.fill, stream(), g, offset, 10, b"x")
    wanted = np.arange(100, dtype=np.uint8)
    trial.expect_content(untouched, wanted, "another buffer, after refusals", trial.stream())


def copies_move_bytes_between_and_within_buffers(trial: Trial) -> None:
    array = np.random.default_rng(2).integers(0, 256, 600_000, dtype=np.uint8)
    source, target = trial.holding(array), trial.buffer(array.size)
    for size, origin, goal in ((1, 5, 9), (100_000, 3, 1), (500_000, 1001, 90_000)):
        trial.device.copy(DEFAULT_STREAM, source, origin, target, goal, size)
        got = trial.read(target, np.uint8, size, offset=goal)
        expect(bool((got == array[origin : origin + size]).all()), f"a copy of {size} bytes")
    trial.device.copy(DEFAULT_STREAM, source, 0, source, 300_000, 300_000)
    wanted = np.concatenate([array[:300_000], array[:300_000]])
    trial.expect_content(source, wanted, "a copy within a buffer")


def overlapping_copies_are_refused(trial: Trial) -> None:
    for origin, goal in ((0, 5), (5, 0), (3, 3)):
        buffer = trial.buffer(100)
        says = f"copy of 10 from {origin} to {goal}"
        stream, copy = trial.stream(), trial.device.copy
        trial.refused(InvalidArgument, says, copy, stream, buffer, origin, buffer, goal, 10)


def fills_repeat_the_pattern(trial: Trial) -> None:
    for length in PATTERN_SIZES:
        for offset, repeats in ((0, 1), (length, 9), (3, 5), (1, 300_000 // length)):
            pattern = bytes(range(1, length + 1))
            buffer = trial.buffer(offset + repeats * length + 7)
            trial.device.fill(DEFAULT_STREAM, buffer, offset, repeats * length, pattern)
            wanted = bytes(offset) + pattern * repeats + bytes(7)
            got = trial.read(buffer, np.uint8, len(wanted)).tobytes()
            expect(got == wanted, f"a fill of {repeats} times {length} bytes at {offset}")
            trial.device.free(buffer)


def patterns_that_do_not_fit_are_refused(trial: Trial) -> None:
    for pattern, size in ((b"", 8), (b"abc", 9), (bytes(256), 256), (b"abcd", 10)):
        buffer = trial.buffer(1024)
        says = f"a fill of {size} bytes by {len(pattern)}"
        stream, fill = trial.stream(), trial.device.fill
        trial.refused(InvalidArgument, says, fill, stream, buffer, 0, size, pattern)


def many_small_buffers_keep_apart(trial: Trial) -> None:
    buffers = [trial.buffer(1 + number % 13) for number in range(2000)]
    for number, buffer in enumerate(buffers):
        size = 1 + number % 13
        trial.device.fill(DEFAULT_STREAM, buffer, 0, size, bytes([number % 251]))
    for number, buffer in enumerate(buffers):
        got = trial.read(buffer, np.uint8, 1 + number % 13)
        expect(bool((got == number % 251).all()), f"buffer {number} of 2000")
        trial.device.free(buffer)


def memory_in_place_is_the_buffers_own(trial: Trial) -> None:
    device, array = trial.device, np.arange(3000, dtype=np.uint16)
    data, none = trial.holding(array), Handle(77)
    device.sync_all().wait()
    if not isinstance(device, InPlace):
        return
    try:
        memory = device.memory_of(data)
    except Unsupported:
        return
    expect(memory.tobytes() == array.tobytes(), "memory in place is not what was written")
    memory[200:206] = b"\xff" * 6
    device.fill(DEFAULT_STREAM, data, 300, 2, b"\xee")
    array[100:103], array[150] = 0xFFFF, 0xEEEE
    trial.expect_content(data, array, "after bytes were put in place")
    expect(memory.tobytes() == array.tobytes(), "memory in place misses a later fill")
    trial.refused(BadHandle, "memory of no buffer", device.memory_of, none)


def a_read_only_place_is_refused(trial: Trial) -> None:
    buffer = trial.buffer(4)
    place = memoryview(bytes(4))
    try:
        trial.device.read(DEFAULT_STREAM, buffer, 0, place).wait()
    except GonError as error:
        expect(isinstance(error, InvalidArgument), f"reading into bytes raised {error!r}")
        return
    expect(False, "reading into bytes was not refused")


ALWAYS = (
    handle_0_is_the_default_stream_which_always_exists,
    a_handle_in_use_is_refused,
    nouns_have_handles_of_their_own,
    unknown_handles_are_refused,
    a_freed_buffer_is_unknown,
    closing_twice_is_nothing,
    sizes_that_no_buffer_has_are_refused,
    overlapping_copies_are_refused,
    patterns_that_do_not_fit_are_refused,
    a_read_only_place_is_refused,
)
WITH_CONTENT = (
    ranges_outside_the_buffer_are_refused,
    allocated_bytes_are_zero,
    too_large_a_buffer_is_out_of_memory_and_the_device_goes_on,
    written_bytes_are_read,
    data_may_change_once_write_has_returned,
    a_read_gives_what_was_there_before_later_writes,
    copies_move_bytes_between_and_within_buffers,
    fills_repeat_the_pattern,
    many_small_buffers_keep_apart,
    memory_in_place_is_the_buffers_own,
)
