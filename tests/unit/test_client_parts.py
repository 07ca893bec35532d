"""The parts of the client's session, each alone: pump, turn, answers, dialer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import CodeType

import pytest

import gon_client
from gon.errors import (
    Code,
    DeviceError,
    GonError,
    HostUnreachable,
    LeaseLost,
    LinkLost,
    RemoteProtocolError,
)
from gon.limits import (
    BATCH_OPS_MAX,
    GRACE_S,
    RECONNECT_FIRST_S,
    RECONNECT_LONGEST_S,
)
from gon.transport.base import Link
from gon.transport.inproc import inproc_pair
from gon.wire.batch import Failure, Reply, Welcome, encode
from gon.wire.frame import Kind
from gon.wire.session import Role, Session
from gon_client.batcher import Batcher
from gon_client.dial import Dialer
from gon_client.interruption import Inside
from gon_client.pending import NO_ORIGIN, Answer, Origins, caller, is_ours, name_origin
from gon_client.pump import QUIET_TICKS, SPARED_TICKS, Attendance, Program, Pump, Tick
from gon_client.turn import Turn
from gon_server.devices.null import INFO
from tests.held_clock import HeldClock
from tests.inproc_worker import PATIENCE_S


# Pump --------------------
class Ticks:
    """What a pump is to call: counts, and says what it has found."""

    def __init__(self) -> None:
        self.count = 0
        self.finds = Tick.QUIET
        self.fault: GonError | None = None

    def __call__(self) -> Tick:
        self.count += 1
        if self.fault is not None:
            raise self.fault
        return self.finds


def test_a_pump_with_nothing_to_do_parks_and_is_woken() -> None:
    ticks, clock = Ticks(), HeldClock()
    pump = Pump(ticks, Batcher(), clock)
    clock.settle()
    assert (ticks.count, pump.parked) == (1, False)
    clock.tick(QUIET_TICKS - 1)
    assert pump.parked
    ticks.finds = Tick.BUSY
    pump.wake()
    clock.tick()
    assert not pump.parked
    clock.tick(3 * QUIET_TICKS)
    assert not pump.parked, "there is always something to do"
    pump.stop()
    clock.close()


def test_a_pump_parks_while_another_waits_and_gathers_what_comes_then() -> None:
    ticks, clock = Ticks(), HeldClock()
    ticks.finds = Tick.AWAITED
    pump = Pump(ticks, Batcher(), clock)
    clock.settle()
    assert (ticks.count, pump.parked) == (2, True)
    ticks.finds = Tick.BUSY
    pump.wake()
    clock.tick()
    assert (ticks.count, pump.parked) == (2, False), "what was queued just now waits for a tick"
    clock.tick()
    assert ticks.count == 3
    pump.stop()
    clock.close()


def test_a_pump_ends_with_the_session() -> None:
    ticks, clock = Ticks(), HeldClock()
    before = set(threading.enumerate())
    Pump(ticks, Batcher(), clock)
    clock.settle()
    (thread,) = set(threading.enumerate()) - before
    ticks.fault = LeaseLost("over")
    clock.wake()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_ticks_are_spared_in_one_sleep_where_that_looks_by_itself() -> None:
    attendance = Attendance(HeldClock())
    slept: list[tuple[float, int]] = []

    def doze(tick_s: float, ticks: int) -> int:
        slept.append((tick_s, ticks))
        return 7

    attendance.doze = doze
    attendance.sleep(0.002)
    assert slept == [(0.002, SPARED_TICKS + 1)]
    assert attendance.look(7, gathered=1, waits=3) is Program.LEAVES
    attendance.sleep(0.002)
    assert attendance.look(9, gathered=1, waits=9) is Program.WAITED, "and none is spared again"
    attendance.sleep(0.002)
    assert attendance.look(9, gathered=0, waits=9) is Program.RESTS


# Turn --------------------
def test_one_has_the_turn_and_the_others_wait_for_news() -> None:
    turn = Turn(Inside())
    assert turn.lock.acquire(blocking=False)
    assert not turn.hold(pytest.fail)
    news = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        looks = threading.Semaphore(0)

        def satisfied() -> bool:
            looks.release()
            return news.is_set()

        following = [threads.submit(turn.follow, satisfied, None) for _ in range(2)]
        for _ in following:
            assert looks.acquire(timeout=PATIENCE_S)
        news.set()
        turn.lock.release()
        turn.given()
        for each in following:
            each.result(PATIENCE_S)
    assert turn.hold(lambda: None)


def test_nobody_follows_a_turn_that_is_free_or_whose_news_is_here() -> None:
    turn = Turn(Inside())
    turn.follow(lambda: False, None)
    with turn.lock:
        turn.follow(lambda: True, None)
        turn.follow(lambda: False, 0.001)
        turn.tell()


# Answers --------------------
class Nobody:
    """Makes no answer arrive."""

    def wait(self, answer: Answer, timeout_s: float | None) -> None:
        raise AssertionError("the answer is here")


def test_an_answer_takes_its_bytes_into_place() -> None:
    place = bytearray(4)
    answer = Answer(Nobody(), memoryview(place))
    assert repr(answer) == "Answer(on its way)"
    answer.settle(Reply(1, b"abcd"), Origins())
    assert (answer.done(), place, repr(answer)) == (True, b"abcd", "Answer(here)")
    answer.wait(0)


def test_an_answer_of_something_else_keeps_it() -> None:
    answer = Answer(Nobody())
    answer.settle(Reply(1, b"abcd"), Origins())
    assert answer.data == b"abcd"


def test_a_failed_answer_raises_anew_each_time() -> None:
    origins = Origins()
    origins.keep(5, [caller(1)])
    answer = Answer(Nobody(), memoryview(bytearray(4)))
    failure = Failure(int(Code.DEVICE), "broke", "Fill", 5, "its log")
    answer.settle(Reply(1, failure=failure), origins)
    raised: list[DeviceError] = []
    for _ in range(2):
        with pytest.raises(DeviceError) as caught:
            answer.wait()
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert (raised[0].number, raised[0].log) == (5, "its log")
    assert raised[0].origin.startswith(f"{__file__}:")
    assert repr(answer) == "Answer(failed)"


@pytest.mark.parametrize(
    "reply", [Reply(1), Reply(1, b"abc"), Reply(1, b"abcde"), Reply(1, None, 3)]
)
def test_an_answer_refuses_other_bytes_than_it_asked_for(reply: Reply) -> None:
    with pytest.raises(RemoteProtocolError):
        Answer(Nobody(), memoryview(bytearray(4))).settle(reply, Origins())


def test_programs_of_the_package_are_programs_like_any_others() -> None:
    folder = Path(gon_client.__file__).parent

    def code(name: str) -> CodeType:
        return compile("", str(folder / name), "exec")

    assert is_ours(code("buffer.py"))
    assert is_ours(code("commands/run.py"))
    assert not is_ours(code("bench/workloads.py"))
    assert not is_ours(code("demo/digits.py"))
    assert not is_ours(compile("", __file__, "exec"))


def test_origins_are_named_by_line_as_long_as_they_are_kept() -> None:
    origins = Origins()
    here = caller(1)
    name = name_origin(here)
    path, _, line = name.rpartition(":")
    assert path == __file__
    assert int(line) > 0
    assert name_origin(NO_ORIGIN) == ""
    origins.keep(1, [here, NO_ORIGIN])
    assert (origins.name(1), origins.name(2), origins.name(3)) == (name, "", "")
    for first in range(3, 1000):
        origins.keep(first, [(here[0], here[1])])
    assert origins.name(1) == "", "too long ago"
    assert origins.name(999) == name


def test_the_parts_of_a_transfer_are_kept_as_one_and_bounded() -> None:
    origins, here = Origins(), caller(1)
    for number in range(1, 10 * BATCH_OPS_MAX):
        origins.keep(number, [here])
    assert origins.name(1) == name_origin(here)
    assert len(origins.batches) == 10
    assert max(len(marks) for _, marks in origins.batches) == BATCH_OPS_MAX


def test_a_failure_is_named_while_another_thread_sends() -> None:
    origins, here = Origins(), caller(1)

    class Number(int):
        """One that is looked for as the other thread keeps what it sends."""

        def __ge__(self, first: int) -> bool:
            origins.keep(len(origins.batches) + 1, [(here[0], here[1])])
            return super().__ge__(first)

    origins.keep(1, [here])
    origins.keep(2, [here, here])
    assert origins.name(Number(3)) == name_origin(here)
    assert len(origins.batches) == 4


# Dialer --------------------
class Attempts:
    """Connections that fail as told, then one to a worker that welcomes."""

    def __init__(self, *failures: GonError) -> None:
        self.failures = list(failures)
        self.now_s_ = 0.0
        self.slept: list[float] = []

    def now_s(self) -> float:
        return self.now_s_

    def sleep_s(self, duration_s: float, /) -> None:
        self.slept.append(duration_s)
        self.now_s_ += duration_s

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.sleep_s(timeout_s)
        return event.is_set()

    def connect(self) -> Link:
        if self.failures:
            raise self.failures.pop(0)
        here, there = inproc_pair()
        worker = Session(Role.WORKER, frames_max=1, bytes_max=1)
        welcome = Welcome(1, 0, True, 4, 1 << 20, INFO)
        there.send(worker.word(Kind.WELCOME, encode(welcome)))
        return here

    def again(
        self, alive: Callable[[], None] = lambda: None, *, stopped: bool = False
    ) -> tuple[Link, Welcome]:
        dialer = Dialer(self.connect, alive, client="t", grace_s=GRACE_S, clock=self)
        session = Session(Role.CLIENT, frames_max=1, bytes_max=1)
        return dialer.again(session, lambda: stopped)


def test_a_dialer_tries_again_ever_more_seldom() -> None:
    attempts = Attempts(*[LinkLost("no"), HostUnreachable("no")] * 5)
    _link, welcome = attempts.again()
    assert welcome.resumed
    expected = [min(RECONNECT_FIRST_S * 2**n, RECONNECT_LONGEST_S) for n in range(10)]
    assert attempts.slept == pytest.approx(expected)


def test_a_dialer_gives_up_after_the_grace_and_says_why() -> None:
    attempts = Attempts(*[LinkLost("connection refused")] * 1000)
    with pytest.raises(LeaseLost, match="gone for 60 s: connection refused"):
        attempts.again()
    assert attempts.now_s() <= GRACE_S


def test_a_dialer_does_not_wait_for_the_grace_of_a_lease_that_has_ended() -> None:
    def ended() -> None:
        raise LeaseLost("the lease has ended: worker killed by signal 9")

    attempts = Attempts()
    with pytest.raises(LeaseLost, match="killed by signal 9"):
        attempts.again(ended)
    assert attempts.slept == []


def test_a_dialer_stops_when_the_device_is_closed() -> None:
    attempts = Attempts(LinkLost("no"))
    with pytest.raises(LeaseLost, match="closed while its link was lost"):
        attempts.again(stopped=True)


def test_a_dialer_takes_no_refusal_for_a_lost_link() -> None:
    attempts = Attempts(RemoteProtocolError("refused: no"))
    with pytest.raises(RemoteProtocolError):
        attempts.again()
