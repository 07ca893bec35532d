"""The model of predictions: schedules computed by hand, and what holds for any program.

Everything here is arithmetic on recorded times: nothing waits.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gon.limits import (
    COPY_BYTES_PER_S,
    COPY_ROUND_TRIP_S,
    UNACKED_FRAMES_MAX,
    UPLOAD_BYTES_MAX,
    UPLOAD_PIECES_MAX,
)
from gon_client.predict.model import Predicted, predict
from gon_client.predict.trace import Event, Sent, Taken, Trace, Way, Why
from gon_client.predict.work import REST_S, shared, work_of

HEAD = 64


def sent(at_s: float, seq: int, payload: int = 0, until_s: float | None = None) -> Sent:
    return Sent(at_s, at_s if until_s is None else until_s, seq, HEAD, payload)


def taken(asked_s: float, here_s: float, ack: int, why: Why = Why.WAIT, payload: int = 0) -> Taken:
    until_s = max(asked_s, here_s)
    return Taken(
        asked_s,
        here_s,
        until_s,
        ack,
        HEAD,
        payload,
        why,
        0 if why in (Why.WAIT, Why.UPLOAD) else -1,
    )


def trace(ended_s: float, *events: Event, rtt_s: float = 0.1) -> Trace:
    return Trace(Way(rtt_s), 0.0, ended_s, events=list(events), origins=["here.py:1"])


def on(recorded: Trace, rtt_s: float, bytes_s: float = 0.0) -> Predicted:
    return predict(recorded, work_of(recorded), Way(rtt_s, bytes_s, bytes_s))


# By hand --------------------
def test_a_wait_pays_its_round_trip_and_keeps_the_work() -> None:
    # 0.4 s of work: it took 0.5 s on a way of 0.1 s.
    recorded = trace(2.0, sent(1.0, 1), taken(1.0, 1.5, 1))
    assert on(recorded, 0.1).total_s == pytest.approx(2.0)
    there = on(recorded, 1.1)
    assert there.total_s == pytest.approx(3.0)
    assert there.waiting_s == pytest.approx(1.5)
    assert there.waits == 1
    assert list(there.by_origin) == [(pytest.approx(1.5), 1)]


def test_frames_that_nobody_waits_for_share_the_round_trip_of_the_last() -> None:
    frames = [sent(0.1 * number, number) for number in range(1, 6)]
    recorded = trace(2.0, *frames, taken(0.5, 1.5, 5))
    assert on(recorded, 3.1).total_s == pytest.approx(5.0)


def test_waits_one_after_the_other_pay_each() -> None:
    some = [(sent(number, number), taken(number, number + 0.1, number)) for number in range(1, 6)]
    recorded = trace(6.0, *itertools.chain(*some))
    there = on(recorded, 1.1)
    assert there.total_s == pytest.approx(11.0)
    assert there.waits == 5


def test_frames_taken_one_after_the_other_without_a_send_are_one_wait() -> None:
    recorded = trace(1.0, sent(0.0, 1), sent(0.0, 2), taken(0.0, 0.2, 1), taken(0.2, 0.4, 2))
    assert on(recorded, 0.1).waits == 1


def test_bytes_up_take_their_share_of_the_bandwidth() -> None:
    recorded = trace(1.0, sent(0.0, 1, payload=10_000 - HEAD), taken(0.0, 0.5, 1))
    assert on(recorded, 0.1, 1000.0).total_s == pytest.approx(1.0 + 10 + HEAD / 1000)


def test_bytes_down_take_their_share_of_the_bandwidth() -> None:
    recorded = trace(1.0, sent(0.0, 1), taken(0.0, 0.5, 1, payload=10_000 - HEAD))
    assert on(recorded, 0.1, 1000.0).total_s == pytest.approx(1.0 + 10 + HEAD / 1000)


def test_a_slow_way_is_busy_while_the_program_goes_on() -> None:
    # Two frames of 64 ms each on the way, sent at once: the second arrives after both.
    recorded = trace(1.0, sent(0.0, 1), sent(0.0, 2), taken(0.0, 0.1, 2))
    assert on(recorded, 0.1, 1000.0).waiting_s == pytest.approx(0.1 + 3 * HEAD / 1000)


def test_an_answer_read_later_costs_only_what_is_left_of_its_way() -> None:
    # Here at 0.2, asked for at 1.0: 0.8 s more of round trip are nothing, 2 s are 1.2 s.
    recorded = trace(1.5, sent(0.0, 1), taken(1.0, 0.2, 1))
    assert on(recorded, 0.1).total_s == pytest.approx(1.5)
    assert on(recorded, 0.9).total_s == pytest.approx(1.5)
    assert on(recorded, 2.1).total_s == pytest.approx(1.5 + 1.2)


def test_what_nobody_needed_delays_nobody() -> None:
    recorded = trace(1.0, sent(0.0, 1), taken(0.5, 0.5, 1, Why.POLL))
    assert on(recorded, 50.0).total_s == pytest.approx(1.0)


def test_a_sender_without_credit_waits_for_the_first_acknowledgement() -> None:
    count = UNACKED_FRAMES_MAX + 1
    events: list[Event] = []
    for number in range(1, count + 1):
        events += [sent(number, number), taken(number + 0.5, number + 0.5, number, Why.POLL)]
    recorded = trace(count + 1.0, *events, rtt_s=0.0)
    assert on(recorded, 0.0).total_s == pytest.approx(count + 1.0)
    # The first frame leaves at 1 and is done half a second later; the last leaves when that is
    # known, and the second that comes after it stays.
    assert on(recorded, 1000.0).total_s == pytest.approx(1.5 + 1000 + 1)


def test_a_wait_for_credit_is_that_of_the_way_not_of_the_record() -> None:
    events: list[Event] = [sent(0.0, number) for number in range(1, UNACKED_FRAMES_MAX + 1)]
    events += [taken(0.0, 0.5, 8, Why.CREDIT), sent(0.5, UNACKED_FRAMES_MAX + 1)]
    recorded = trace(0.5, *events)
    assert on(recorded, 0.1).total_s == pytest.approx(0.5)
    assert on(recorded, 1.1).total_s == pytest.approx(1.5)
    assert on(recorded, 0.0).total_s == pytest.approx(0.4)


def uploaded(rtt_s: float, size: int = 200_000) -> Trace:
    """Return a trace of an upload, whose bytes are waited for, and a sync."""
    upload, sync = sent(0.0, 1, size), sent(rtt_s, 2)
    waits = taken(0.0, rtt_s, 1, Why.UPLOAD), taken(rtt_s, 2 * rtt_s, 2)
    return trace(2 * rtt_s, upload, waits[0], sync, waits[1], rtt_s=rtt_s)


def test_an_upload_is_waited_for_near_by_and_copied_far_away() -> None:
    near = uploaded(0.000_1)
    assert on(near, 0.000_1).total_s == pytest.approx(0.000_2)
    assert on(near, COPY_ROUND_TRIP_S).total_s == pytest.approx(2 * COPY_ROUND_TRIP_S)
    copying_s = 200_000 / COPY_BYTES_PER_S
    for rtt_s in (0.002, 0.1, 1.0):
        assert on(near, rtt_s).total_s == pytest.approx(copying_s + rtt_s)
        assert on(near, rtt_s).waits == 1
    # What takes longer to copy than to be acknowledged is not.
    assert on(uploaded(0.000_1, 20_000_000), 0.002).total_s == pytest.approx(0.004)


def test_uploads_that_are_copied_wait_for_credit() -> None:
    count, size = UPLOAD_PIECES_MAX + 1, 100_000
    events: list[Event] = []
    for number in range(1, count + 1):
        events += [sent(0.0, number, size), taken(0.0, 0.0, number, Why.UPLOAD)]
    recorded = trace(0.0, *events, rtt_s=0.0)
    copying_s = count * (count + 1) / 2 * size / COPY_BYTES_PER_S
    there = on(recorded, 100.0).total_s
    # The last leaves when the first is acknowledged.
    assert 100.0 <= there <= 100.0 + copying_s
    least = trace(0.0, *events[:-2], rtt_s=0.0)
    assert on(least, 100.0).total_s <= copying_s
    most = [
        sent(0.0, 1, UPLOAD_BYTES_MAX),
        taken(0.0, 0.0, 1, Why.UPLOAD),
        sent(0.0, 2, 1),
        taken(0.0, 0.0, 2, Why.UPLOAD),
    ]
    assert on(trace(0.0, *most, rtt_s=0.0), 100.0).total_s >= 100.0


def test_a_first_op_takes_longer_after_a_rest_that_was_none_when_it_was_recorded() -> None:
    busy = trace(0.03, sent(0.01, 1), taken(0.01, 0.02, 1), sent(0.02, 2), taken(0.02, 0.03, 2))
    busy.way, busy.rest_s = Way(0.0), 0.000_3
    assert on(busy, 0.0).total_s == pytest.approx(0.03)
    # The first came after a rest then too; the second does so here.
    assert on(busy, REST_S).total_s == pytest.approx(0.03 + 2 * REST_S + 0.000_3)
    assert on(busy, 10 * REST_S).total_s == pytest.approx(0.03 + 20 * REST_S + 0.000_3)
    assert on(busy, REST_S / 2).total_s == pytest.approx(0.03 + REST_S + 0.000_15)


def test_what_a_frame_took_to_send_stays() -> None:
    recorded = trace(1.0, sent(0.0, 1, until_s=0.25), taken(0.25, 0.5, 1))
    assert on(recorded, 0.1).total_s == pytest.approx(1.0)
    assert on(recorded, 0.0).total_s == pytest.approx(0.9)


def test_work_is_shared_by_weight_and_ends_when_it_did() -> None:
    assert shared([0.0, 0.0], [1, 3], 0.0, 4.0) == pytest.approx([1.0, 3.0])
    # The last arrives late: the worker had been idle.
    assert shared([0.0, 9.0], [1, 1], 0.0, 10.0) == pytest.approx([1.0, 1.0])
    # The worker is free only at 2.
    assert shared([0.0, 0.0], [1, 1], 2.0, 4.0) == pytest.approx([1.0, 1.0])


def test_a_trace_of_nothing_is_its_own_time() -> None:
    there = on(trace(3.0), 5.0)
    assert (there.total_s, there.waits) == (3.0, 0)


# For any program --------------------
@dataclass(frozen=True)
class Step:
    """A program thinks, posts a frame of that much work, and waits for it or not."""

    think_s: float
    work_s: float
    payload: int
    waits: bool


TIMES = st.floats(0, 1)
STEPS = st.lists(
    st.builds(Step, TIMES, TIMES, st.integers(0, 5000), st.booleans()), min_size=1, max_size=40
)
RTTS = st.floats(0, 2)
RATES = st.floats(1e3, 1e6)


def played(steps: list[Step], way: Way) -> Trace:
    """Return what a recorder would note of a program on a way: its waits only."""
    now = up = worker = down = 0.0
    events: list[Event] = []
    for seq, step in enumerate(steps, 1):
        now += step.think_s
        at = now
        up = max(up, now) + way.up_s(HEAD + step.payload)
        worker = max(worker, up + way.rtt_s / 2) + step.work_s
        events.append(sent(at, seq, step.payload))
        if step.waits:
            down = max(down, worker) + way.down_s(HEAD)
            here = down + way.rtt_s / 2
            events.append(taken(now, here, seq))
            now = max(now, here)
    return Trace(way, 0.0, now, events=events, origins=["here.py:1"])


@given(STEPS, RTTS, RATES)
def test_on_its_own_way_a_program_takes_what_it_took(
    steps: list[Step], rtt_s: float, rate: float
) -> None:
    recorded = played(steps, Way(rtt_s, rate, rate))
    assert on(recorded, rtt_s, rate).total_s == pytest.approx(recorded.measured_s, abs=1e-6)


@given(STEPS, RTTS, RATES, RTTS, RATES)
def test_where_every_frame_is_waited_for_the_model_is_the_way(
    steps: list[Step], rtt_s: float, rate: float, other_s: float, other_rate: float
) -> None:
    each = [Step(step.think_s, step.work_s, step.payload, True) for step in steps]
    recorded = played(each, Way(rtt_s, rate, rate))
    wanted = played(each, Way(other_s, other_rate, other_rate)).measured_s
    assert on(recorded, other_s, other_rate).total_s == pytest.approx(wanted, abs=1e-6)


@given(STEPS, RTTS, RATES, RTTS, RTTS, RATES, RATES)
def test_a_longer_or_narrower_way_is_never_quicker(
    steps: list[Step],
    rtt_s: float,
    rate: float,
    some_s: float,
    more_s: float,
    some_rate: float,
    more_rate: float,
) -> None:
    recorded = played(steps, Way(rtt_s, rate, rate))
    there = on(recorded, some_s, some_rate).total_s
    assert on(recorded, some_s + more_s, some_rate).total_s >= there - 1e-9
    assert on(recorded, some_s, some_rate + more_rate).total_s <= there + 1e-9


@given(STEPS, RTTS, RATES, RTTS, RATES)
def test_a_program_keeps_its_own_time(
    steps: list[Step], rtt_s: float, rate: float, other_s: float, other_rate: float
) -> None:
    recorded = played(steps, Way(rtt_s, rate, rate))
    own_s = sum(step.think_s for step in steps)
    assert on(recorded, other_s, other_rate).total_s >= own_s - 1e-9
