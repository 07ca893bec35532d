"""What a child of fork does with what it has inherited, in real children of this process."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gon.clock import SYSTEM_CLOCK
from gon.errors import BadHandle, Unsupported
from gon.forked import inherit, made_before_fork, new_lock
from gon.model import Handle, LeaseTerms
from gon.transport.severing import sever_in_children
from gon_client.calls import Calls
from gon_client.control import ControlChannel
from gon_client.foreign import ForeignDevice
from gon_client.interruption import Inside, Owned
from gon_client.lease import Lease
from gon_server.devices.null import NullDevice

# Other tests of this process may have imported JAX, which warns of every fork, as later Pythons do.
pytestmark = pytest.mark.filterwarnings(
    "ignore:os.fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning"
)


PATIENCE_S = 30.0


def in_child(check: Callable[[], bool]) -> bool:
    """Return what `check` says in a child; False where it raises."""
    child = os.fork()
    if not child:
        well = False
        with suppress(BaseException):
            well = check()
        os._exit(0 if well else 1)
    return os.waitpid(child, 0)[1] == 0


def test_a_childs_socket_leads_nowhere_and_its_parents_goes_on() -> None:
    here, there = socket.socketpair()
    sever_in_children(here)

    def use() -> bool:
        number = here.fileno()
        ended = here.recv(1) == b""
        with pytest.raises(BrokenPipeError):
            here.send(b"child")
        here.shutdown(socket.SHUT_RDWR)
        here.close()
        return ended and number >= 0

    with here, there:
        assert in_child(use)
        there.setblocking(False)
        with pytest.raises(BlockingIOError):
            there.recv(16)
        here.send(b"parent")
        assert there.recv(16) == b"parent"


def test_locks_that_others_hold_are_free_in_a_child_and_in_its_child() -> None:
    lock, owned = new_lock(), Owned(Inside())
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        def wait() -> None:
            taken.set()
            over.wait()

        with lock:
            owned.within(wait)

    def are_free() -> bool:
        return lock.acquire(blocking=False) and owned.hold(lambda: None)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    assert in_child(lambda: in_child(are_free) and are_free())
    assert not lock.acquire(blocking=False)
    over.set()
    thread.join()


def test_a_child_of_a_thread_with_locks_gives_them_back_on_its_way_out() -> None:
    lock, owned = new_lock(), Owned(Inside())

    def leave() -> None:
        # As a handler of a signal does in the middle of a call.
        if not os.fork():
            raise SystemExit(0)
        assert os.wait()[1] == 0

    try:
        with lock:
            owned.within(leave)
    except SystemExit:
        os._exit(0 if owned.hold(lambda: None) else 2)
    except RuntimeError:  # a second copy of this test must not go on
        os._exit(1)


def test_what_is_inherited_is_told_in_children_only() -> None:
    class Thing:
        told = 0

        def forsake(self) -> None:
            self.told += 1

    thing, gone = Thing(), Thing()
    inherit(thing, Thing.forsake)
    inherit(gone, Thing.forsake)
    del gone
    assert in_child(lambda: thing.told == 1)
    assert thing.told == 0


def test_a_number_that_a_child_has_given_to_something_else_stays_that(tmp_path: Path) -> None:
    here, there = socket.socketpair()
    sever_in_children(here)
    log = tmp_path / "log"

    def be_daemon() -> bool:
        os.close(here.fileno())
        opened = os.open(log, os.O_CREAT | os.O_WRONLY)
        os.dup2(opened, here.fileno())
        return in_child(lambda: os.write(here.fileno(), b"kept") == 4)

    with here, there:
        assert in_child(be_daemon)
    assert log.read_bytes() == b"kept"


def test_one_thing_that_cannot_be_forsaken_hinders_no_other() -> None:
    class Thing:
        told = False

        def fail(self) -> None:
            raise ValueError("half made")

        def forsake(self) -> None:
            self.told = True

    broken, whole = Thing(), Thing()
    inherit(broken, Thing.fail)
    inherit(whole, Thing.forsake)
    assert in_child(lambda: whole.told)
    # The children of other tests would tell of it too.
    inherit(broken, Thing.forsake)


def test_a_fork_waits_for_calls_of_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, began, over = Calls(), threading.Event(), threading.Event()
    calls.heed_forks()

    def can_call() -> bool:
        with calls.one():
            return True

    def call() -> None:
        with calls.one():
            began.set()
            over.wait()

    def cannot_call() -> bool:
        with pytest.raises(Unsupported, match="fork again"), calls.one():
            pass
        return True

    thread = threading.Thread(target=call)
    thread.start()
    began.wait()
    monkeypatch.setattr("gon_client.calls.FORK_WAIT_S", 0.0)
    assert in_child(cannot_call)
    monkeypatch.undo()
    over.set()
    # It ends before this, or while this waits for it.
    assert in_child(can_call)
    thread.join()
    # A call of the thread that forks is none to wait for.
    with calls.one():
        assert in_child(can_call)
    assert can_call()


def test_a_call_within_a_call_does_not_wait_for_a_fork_that_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls, began = Calls(), threading.Event()
    calls.heed_forks()
    monkeypatch.setattr("gon_client.calls.FORK_WAIT_S", PATIENCE_S)

    def can_call() -> bool:
        with calls.one():
            return True

    def call() -> None:
        with calls.one():
            began.set()
            while "1 forking" not in repr(calls):
                os.sched_yield()
            can_call()

    thread = threading.Thread(target=call)
    thread.start()
    began.wait()
    assert in_child(can_call)
    thread.join()


def test_threads_that_call_all_the_time_let_a_fork_come_between() -> None:
    calls, over = Calls(), threading.Event()
    calls.heed_forks()

    def call() -> None:
        while not over.is_set():
            with calls.one():
                pass

    def can_call() -> bool:
        with calls.one():
            return True

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert all(in_child(can_call) for _ in range(20))
    over.set()
    for thread in threads:
        thread.join()


def test_a_child_on_its_way_out_of_acquiring_has_no_lease_to_give_back() -> None:
    control = ControlChannel("unix:///nowhere/gond.sock")
    terms = LeaseTerms("l1", "u", "gpu", 1, 1, b"", 0, 1.0, 1.0, "unix:///nowhere/data.sock")
    lease = Lease(control, terms, SYSTEM_CLOCK)
    control.forsake()
    # What leaves `acquire` there is what a signal's handler raised, not what this does.
    lease.release()


def test_what_stands_for_a_device_tells_gives_back_nothing_and_refuses() -> None:
    device = ForeignDevice(NullDevice().info)
    assert "null" in repr(device)
    device.free(Handle(1))
    device.close()
    for name in ("allocate", "launch", "read_now", "reconfigure", "takes_graphs"):
        with pytest.raises(BadHandle, match=made_before_fork().message):
            getattr(device, name)
