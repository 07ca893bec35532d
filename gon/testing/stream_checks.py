"""Checks of streams, events and host windows:

what is ordered, what is waited for, what time tells.
"""

from __future__ import annotations

import numpy as np

from gon.device import HostDevice
from gon.errors import InvalidArgument
from gon.model import DEFAULT_STREAM, Handle
from gon.testing.device_trial import Trial, bytes_of, expect

COUNT = 1 << 14
BLOCK = (64, 1, 1)
GRID = (COUNT // 64, 1, 1)


def _advance(trial: Trial, kernel: Handle, stream: Handle, data: Handle, *steps: int) -> None:
    for step in steps:
        args = (data, bytes_of(3, np.uint32), bytes_of(step, np.uint32))
        trial.device.launch(stream, kernel, GRID, BLOCK, 0, args)


def _advanced(start: int, *steps: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    value = start
    for step in steps:
        value = (value * 3 + step) % (1 << 32)
    return np.full(COUNT, value, np.uint32)


# Streams ------------------------------------------------------------------------------------------
def ops_of_a_stream_take_effect_in_order(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    device, stream = trial.device, trial.stream()
    data, twin = trial.buffer(4 * COUNT), trial.buffer(4 * COUNT)
    device.fill(stream, data, 0, 4 * COUNT, bytes_of(5, np.uint32))
    _advance(trial, advance, stream, data, *range(40))
    device.copy(stream, data, 0, twin, 0, 4 * COUNT)
    _advance(trial, advance, stream, data, 7)
    trial.write(twin, np.full(3, 9, np.uint32), stream=stream)
    _advance(trial, advance, stream, twin, 1)
    wanted = _advanced(5, *range(40), 1)
    wanted[:3] = 9 * 3 + 1
    trial.expect_content(twin, wanted, "write, launch, copy, write, launch, read", stream)
    trial.expect_content(data, _advanced(5, *range(40), 7), "the copy's source", stream)


def a_write_on_an_idle_stream_is_there_for_every_stream(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    device, upload = trial.device, trial.stream()
    for number in range(20):
        stream = trial.stream()
        data, window = trial.buffer(4 * COUNT), trial.buffer(4 * COUNT)
        trial.write(data, np.full(COUNT, number, np.uint32), stream=upload)
        _advance(trial, advance, stream, data, 1)
        trial.expect_content(data, _advanced(number, 1), "a write, used by another stream", stream)
        if isinstance(device, HostDevice):
            place = device.host_window(upload, window, 0, 4 * COUNT, write=True)
            place[:] = np.full(COUNT, number, np.uint32).tobytes()
            place.release()
            device.close_window(upload)
            _advance(trial, advance, stream, window, 2)
            wanted = _advanced(number, 2)
            trial.expect_content(window, wanted, "a window, used by another stream", stream)
        device.close_stream(stream)


def sync_waits_for_everything_queued(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    stream, other = trial.stream(), trial.stream()
    data = trial.buffer(4 * COUNT)
    _advance(trial, advance, stream, data, *range(30))
    trial.device.sync(stream).wait()
    trial.expect_content(data, _advanced(0, *range(30)), "after sync, by another stream", other)


def sync_all_waits_for_every_stream(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    streams, reader = [trial.stream() for _ in range(3)], trial.stream()
    buffers = [trial.buffer(4 * COUNT) for _ in streams]
    for number, (stream, buffer) in enumerate(zip(streams, buffers, strict=True)):
        _advance(trial, advance, stream, buffer, number, 4, 5)
    trial.device.sync_all().wait()
    for number, buffer in enumerate(buffers):
        trial.expect_content(buffer, _advanced(0, number, 4, 5), f"stream {number}", reader)


def pendings_come_to_be_done(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    stream, data = trial.stream(), trial.buffer(4 * COUNT)
    _advance(trial, advance, stream, data, 1, 2, 3)
    pending = trial.device.sync(stream)
    pending.wait(timeout_s=60.0)
    expect(pending.done(), "a Pending waited for is not done")
    pending.wait()
    pending.wait(timeout_s=0.0)


def a_closed_stream_has_finished_its_work(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    stream, data = trial.stream(), trial.buffer(4 * COUNT)
    _advance(trial, advance, stream, data, *range(20))
    trial.device.close_stream(stream)
    trial.expect_content(data, _advanced(0, *range(20)), "after close_stream")
    trial.refused(InvalidArgument, "a closed stream", trial.device.sync, stream)


def a_buffer_is_freed_after_the_work_queued_before(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    stream, kept = trial.stream(), trial.buffer(4 * COUNT)
    for round_ in range(60):
        data = trial.buffer(4 * COUNT)
        _advance(trial, advance, stream, data, *range(5))
        trial.device.copy(stream, data, 0, kept, 0, 4 * COUNT)
        trial.device.free(data)
        newer = trial.buffer(4 * COUNT)
        trial.device.fill(DEFAULT_STREAM, newer, 0, 4 * COUNT, bytes([round_]))
        trial.device.free(newer)
    trial.expect_content(kept, _advanced(0, *range(5)), "copied from freed buffers", stream)


# Events -------------------------------------------------------------------------------------------
def an_event_orders_streams(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    device, first, second, event = trial.device, trial.stream(), trial.stream(), trial.event()
    data, seen = trial.buffer(4 * COUNT), trial.buffer(4 * COUNT)
    for round_ in range(10):
        device.fill(first, data, 0, 4 * COUNT, bytes_of(round_, np.uint32))
        _advance(trial, advance, first, data, *range(10))
        device.record(first, event)
        device.wait_event(second, event)
        device.copy(second, data, 0, seen, 0, 4 * COUNT)
        device.record(second, event)
        device.wait_event(first, event)
    trial.expect_content(seen, _advanced(9, *range(10)), "copied past an event", second)


def a_later_record_counts_and_an_earlier_is_forgotten(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    device, first, second, event = trial.device, trial.stream(), trial.stream(), trial.event()
    data, seen = trial.buffer(4 * COUNT), trial.buffer(4 * COUNT)
    device.record(first, event)
    _advance(trial, advance, first, data, *range(25))
    device.record(first, event)
    device.wait_event(second, event)
    device.copy(second, data, 0, seen, 0, 4 * COUNT)
    trial.expect_content(seen, _advanced(0, *range(25)), "after the second record", second)


def a_wait_is_for_the_record_made_before_it(trial: Trial) -> None:
    device, first, second, event = trial.device, trial.stream(), trial.stream(), trial.event()
    device.record(first, event)
    device.wait_event(second, event)
    device.record(second, event)
    device.wait_event(first, event)
    device.record(first, event)
    device.wait_event(first, event)
    device.sync_all().wait()


def an_event_never_recorded_holds_nothing(trial: Trial) -> None:
    device, stream, event = trial.device, trial.stream(), trial.event()
    device.wait_event(stream, event)
    device.sync(stream).wait()
    device.sync_event(event).wait()
    trial.refused(InvalidArgument, "elapsed, no record", device.elapsed_us, event, event)


def sync_event_waits_for_the_last_record(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    device, stream, reader, event = trial.device, trial.stream(), trial.stream(), trial.event()
    data = trial.buffer(4 * COUNT)
    device.record(stream, event)
    _advance(trial, advance, stream, data, *range(20))
    device.record(stream, event)
    device.sync_event(event).wait()
    trial.expect_content(data, _advanced(0, *range(20)), "after sync_event", reader)


def closing_an_event_lets_queued_waits_be(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    device, first, second, event = trial.device, trial.stream(), trial.stream(), trial.event()
    data, seen = trial.buffer(4 * COUNT), trial.buffer(4 * COUNT)
    _advance(trial, advance, first, data, *range(20))
    device.record(first, event)
    device.wait_event(second, event)
    device.close_event(event)
    device.copy(second, data, 0, seen, 0, 4 * COUNT)
    trial.expect_content(seen, _advanced(0, *range(20)), "past a closed event", second)


def elapsed_time_adds_up(trial: Trial) -> None:
    (advance,) = trial.kernels("advance")
    device, stream, data = trial.device, trial.stream(), trial.buffer(4 * COUNT)
    events = [trial.event() for _ in range(3)]
    for event in events:
        device.record(stream, event)
        _advance(trial, advance, stream, data, *range(20))
    parts = [device.elapsed_us(events[i], events[i + 1]) for i in (0, 1)]
    whole = device.elapsed_us(events[0], events[2])
    expect(min(parts) > 0.0, f"time between records with work between them: {parts} us")
    expect(abs(sum(parts) - whole) < 0.01, f"{parts} us make {whole} us")
    expect(abs(device.elapsed_us(events[2], events[0]) + whole) < 0.01, "time the other way")
    expect(device.elapsed_us(events[1], events[1]) == 0.0, "time from an event to itself")


# Windows ------------------------------------------------------------------------------------------
def a_window_shows_what_the_stream_has_written(trial: Trial) -> None:
    device = trial.host_side()
    if device is None:
        return
    (advance,) = trial.kernels("advance")
    stream, data = trial.stream(), trial.buffer(4 * COUNT)
    _advance(trial, advance, stream, data, *range(20))
    view = device.host_window(stream, data, 8, 4 * COUNT - 8, write=False)
    expect(view.readonly, "a window to read can be written")
    expect(view.nbytes == 4 * COUNT - 8, f"a window of {view.nbytes} bytes")
    got = view.tobytes()
    device.close_window(stream)
    expect(got == _advanced(0, *range(20))[2:].tobytes(), "a window after launches")


def bytes_put_into_a_window_are_the_buffers(trial: Trial) -> None:
    device = trial.host_side()
    if device is None:
        return
    stream, data = trial.stream(), trial.holding(np.arange(3000, dtype=np.uint8))
    device.sync_all().wait()
    view = device.host_window(stream, data, 100, 50, write=True)
    view[:] = b"w" * 50
    device.close_window(stream)
    wanted = np.arange(3000, dtype=np.uint8)
    wanted[100:150] = ord("w")
    trial.expect_content(data, wanted, "after a window to write", stream)


def windows_are_one_a_stream_and_within_the_buffer(trial: Trial) -> None:
    device = trial.host_side()
    if device is None:
        return
    data, none = trial.buffer(100), Handle(77)
    for offset, size in ((-1, 10), (95, 10), (101, 0)):
        says, stream, window = f"a window of {size} at {offset}", trial.stream(), device.host_window
        trial.refused(InvalidArgument, says, window, stream, data, offset, size, write=False)
    stream, window = trial.stream(), device.host_window
    trial.refused(InvalidArgument, "no buffer", window, stream, none, 0, 1, write=False)
    stream = trial.stream()
    device.host_window(stream, data, 0, 100, write=True)
    try:
        device.host_window(stream, data, 0, 100, write=True)
    except InvalidArgument:
        device.close_window(stream)
        return
    expect(False, "a second window of a stream was given")


ALWAYS = (
    an_event_never_recorded_holds_nothing,
    a_wait_is_for_the_record_made_before_it,
)
WITH_KERNELS = (
    ops_of_a_stream_take_effect_in_order,
    a_write_on_an_idle_stream_is_there_for_every_stream,
    sync_waits_for_everything_queued,
    sync_all_waits_for_every_stream,
    pendings_come_to_be_done,
    a_closed_stream_has_finished_its_work,
    a_buffer_is_freed_after_the_work_queued_before,
    an_event_orders_streams,
    a_later_record_counts_and_an_earlier_is_forgotten,
    sync_event_waits_for_the_last_record,
    closing_an_event_lets_queued_waits_be,
    elapsed_time_adds_up,
    a_window_shows_what_the_stream_has_written,
    bytes_put_into_a_window_are_the_buffers,
    windows_are_one_a_stream_and_within_the_buffer,
)
