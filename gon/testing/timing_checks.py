"""The conformance suite's checks of times of single commands: what gon.timing says.

A device that tells none is held to none of them.
"""

from __future__ import annotations

import itertools

import numpy as np

from gon.errors import InvalidArgument, Unsupported
from gon.model import CommandTimes
from gon.testing.device_trial import Trial, bytes_of, expect
from gon.testing.stream_checks import BLOCK, COUNT, GRID
from gon.timing import PendingTimes, Timed, Timing


def _timing(trial: Trial) -> Timing | None:
    """Return what tells the device's times, None where nothing does."""
    device, stream, event = trial.device, trial.stream(), trial.event()
    timing = device.timing if isinstance(device, Timed) else None
    if timing is not None:
        device.record(stream, event)
        try:
            timing.times(event).wait()
        except Unsupported:
            return None
    return timing


def _told(pending: PendingTimes) -> CommandTimes:
    pending.wait()
    times = pending.times
    known = times if times.told_ns else times[:-1]
    expect([*known] == sorted(known), f"times that fall: {times}")
    sent_ns, heard_ns = pending.between_ns
    expect(not heard_ns or sent_ns < heard_ns, f"heard at {heard_ns}, sent at {sent_ns}")
    return times


def noted_commands_of_a_stream_have_times_in_its_order(trial: Trial) -> None:
    timing = _timing(trial)
    if timing is None:
        return
    (advance,) = trial.kernels("advance")
    device, stream, data = trial.device, trial.stream(), trial.buffer(4 * COUNT)
    events, pendings = [trial.event() for _ in range(8)], list[PendingTimes]()
    device.record(stream, events[0])  # from now on it measures
    for number, event in enumerate(events):
        args = (data, bytes_of(3, np.uint32), bytes_of(number, np.uint32))
        device.launch(stream, advance, GRID, BLOCK, 0, args)
        pendings.append(timing.note(stream, event))
    for pending in pendings[::2]:
        pending.ask()
    device.sync(stream).wait()
    told = [_told(pending) for pending in pendings]
    for before, after in itertools.pairwise(told):
        expect(before.ended_ns <= after.began_ns, f"{after} began before {before} ended")
    expect(told[0].began_ns < told[0].ended_ns, f"a launch that took no time: {told[0]}")
    # Again what is over, asked for anew; and the next, with an event that kept another.
    expect(_told(timing.times(events[0]))[:-1] == told[0][:-1], "other times when asked again")
    args = (data, bytes_of(3, np.uint32), bytes_of(1, np.uint32))
    device.launch(stream, advance, GRID, BLOCK, 0, args)
    pending = timing.note(stream, events[0])
    pending.ask()
    expect(_told(pending).queued_ns >= told[-1].ended_ns, "a later command queued earlier")


def a_note_where_nothing_is_on_its_way_is_a_record(trial: Trial) -> None:
    timing = _timing(trial)
    if timing is None:
        return
    device, stream, event = trial.device, trial.stream(), trial.event()
    first = _told(timing.note(stream, event))
    device.sync_event(event).wait()
    device.sync(stream).wait()
    second = _told(timing.note(stream, event))
    expect(first.ended_ns <= second.queued_ns, f"{second} queued before {first} ended")
    never = trial.event()

    def ask() -> None:
        timing.times(never).wait()

    trial.refused(InvalidArgument, "times, never noted", ask)


def a_noted_event_orders_streams(trial: Trial) -> None:
    timing = _timing(trial)
    if timing is None:
        return
    (advance,) = trial.kernels("advance")
    device, first, second, event = trial.device, trial.stream(), trial.stream(), trial.event()
    data, seen = trial.buffer(4 * COUNT), trial.buffer(4 * COUNT)
    for _ in range(20):
        args = (data, bytes_of(1, np.uint32), bytes_of(1, np.uint32))
        device.launch(first, advance, GRID, BLOCK, 0, args)
    timing.note(first, event)
    device.wait_event(second, event)
    device.copy(second, data, 0, seen, 0, 4 * COUNT)
    trial.expect_content(seen, np.full(COUNT, 20, np.uint32), "behind a noted event", second)


def a_first_note_or_record_is_behind_what_was_queued_before(trial: Trial) -> None:
    timing = _timing(trial)
    if timing is None:
        return
    (advance,) = trial.kernels("advance")
    device, data, seen = trial.device, trial.buffer(4 * COUNT), trial.buffer(4 * COUNT)
    args = (data, bytes_of(1, np.uint32), bytes_of(1, np.uint32))
    for number, begin in enumerate((timing.note, device.record), 1):
        stream, event = trial.stream(), trial.event()
        for _ in range(20):
            device.launch(stream, advance, GRID, BLOCK, 0, args)
        begin(stream, event)
        times = timing.times(event)
        device.launch(stream, advance, GRID, BLOCK, 0, args)
        device.sync_event(event).wait()
        device.copy(stream, data, 0, seen, 0, 4 * COUNT)
        trial.expect_content(seen, np.full(COUNT, 21 * number, np.uint32), "all of it", stream)
        told = _told(times)
        expect(told.queued_ns <= told.ended_ns, f"a mark that ended first: {told}")


WITH_KERNELS = (
    noted_commands_of_a_stream_have_times_in_its_order,
    a_note_where_nothing_is_on_its_way_is_a_record,
    a_noted_event_orders_streams,
    a_first_note_or_record_is_behind_what_was_queued_before,
)
