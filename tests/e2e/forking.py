"""A program that forks while its device is busy, as test_fork.py starts it: ADDRESS LINK.

Children use what they have inherited, and leave in every way that a process has; the parent's own
work, by two threads, is counted and compared meanwhile. Nothing is printed unless all went well.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np

import gon
from gon.errors import BadHandle

SOURCE = "__global__ void inc(int *x) { x[threadIdx.x] += 1; }"
CONFIG = gon.LaunchConfig(1, 64)
# A child that hangs dies of this; nobody is quicker or slower for it.
CHILD_S = 60
LEAVINGS = ("exit", "return", "raise", "exec", "again", "connect")
# Children of a signal's handler, which comes at any moment of the calls that follow each other.
HANDLED = 4
HANDLER_S = 0.013


class Busy(threading.Thread):
    """Launches, waits and reads large arrays, over and over; `error` is what went wrong."""

    def __init__(self, dev: gon.Device, kernel: gon.Kernel) -> None:
        super().__init__()
        self._dev, self._kernel = dev, kernel
        self._over = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            stream, counted, done = self._dev.create_stream(), self._dev.zeros(64, np.int32), 0
            large = self._dev.zeros(1 << 18, np.int32)
            while not self._over.is_set():
                for _ in range(16):
                    gon.launch(stream, CONFIG, self._kernel, counted)
                done += 16
                large.get_async(stream=stream).result()
                assert counted.get(stream=stream).tolist() == [done] * 64
        except BaseException as error:  # noqa: BLE001 - raised by `end`
            self.error = error

    def end(self) -> None:
        self._over.set()
        self.join()
        if self.error is not None:
            raise self.error


class Inherited:
    """What a child has of its parent's."""

    def __init__(self, stack: ExitStack, address: str, link: str) -> None:
        self.address, self.link = address, link
        self.host = stack.enter_context(gon.connect(address)) if link != "local" else None
        self.dev = stack.enter_context(
            gon.local(personalities=("gpu",))
            if self.host is None
            else self.host.acquire(link=link, personalities=("gpu",))
        )
        self.kernel = self.dev.compile(SOURCE, "cuda-c").get_kernel("inc")
        self.x, self.large = self.dev.zeros(64, np.int32), self.dev.zeros(1 << 18, np.int32)
        self.stream, self.event = self.dev.create_stream(), self.dev.create_event()
        with self.dev.capture() as self.graph:
            gon.launch(self.stream, CONFIG, self.kernel, self.x)
        self.noted = gon.xp.ones(100, device=self.dev) + 1
        self.read = self.large.get_async()

    def uses(self) -> dict[str, Callable[[], object]]:
        dev, x, stream = self.dev, self.x, self.stream
        found: dict[str, Callable[[], object]] = {
            "launch": lambda: gon.launch(stream, CONFIG, self.kernel, x),
            "sync": stream.sync,
            "sync for a time": lambda: stream.sync(1.0),
            "sync of all": dev.sync,
            "record": lambda: stream.record(self.event),
            "wait": lambda: stream.wait(self.event),
            "event": self.event.sync,
            "graph": lambda: self.graph.launch(stream),
            "small read": x.get,
            "large read": self.large.get,
            "read on its way": self.read.result,
            "map": lambda: x.map().__enter__(),
            "small write": lambda: x.buffer.copy_from(np.zeros(64, np.int32)),
            "large write": lambda: self.large.buffer.copy_from(np.zeros(1 << 18, np.int32)),
            "allocation": lambda: dev.zeros(64, np.int32),
            "first content": lambda: dev.asarray(np.zeros(1 << 18)),
            "stream": dev.create_stream,
            "program": lambda: dev.compile(SOURCE, "cuda-c"),
            "personality": lambda: dev.reconfigure("gpu"),
            "capture": lambda: dev.capture().__enter__(),
            "noting": lambda: self.noted + 1,
            "array noted before": lambda: float(gon.xp.sum(self.noted)),
            "new array": lambda: float(gon.xp.ones(3, device=dev)[0]),
        }
        if self.host is not None:
            found |= {"units": self.host.units, "lease": self.host.acquire}
        return found

    def check_refused(self) -> None:
        for name, use in self.uses().items():
            try:
                use()
            except BadHandle as error:
                refused = "made before fork: connect in the child" in error.message
            else:
                refused = False
            assert refused, name

    def give_back(self) -> None:
        """Close what can be closed, forget the rest."""
        self.x.buffer.close()
        self.stream.close()
        self.event.close()
        self.graph.close()
        assert str(self.stream) in f"{self.dev} {self.stream} {gon.stats(self.dev)}"
        del self.large, self.kernel, self.noted, self.read
        gc.collect()

    def connect_anew(self) -> None:
        if self.host is None:
            return
        with gon.connect(self.address) as host, host.acquire(link=self.link) as dev:
            kernel = dev.compile(SOURCE, "cuda-c").get_kernel("inc")
            x = dev.zeros(64, np.int32)
            gon.launch(dev.default_stream, CONFIG, kernel, x)
            assert x.get().tolist() == [1] * 64


def be_child(inherited: Inherited, leaving: str) -> None:
    """Use what is inherited, and leave; returns where the program is to end by itself."""
    signal.alarm(CHILD_S)
    inherited.check_refused()
    inherited.give_back()
    match leaving:
        case "exit":
            os._exit(0)
        case "exec":
            os.execv(sys.executable, [sys.executable, "-c", ""])
        case "connect":
            inherited.connect_anew()
        case "again":
            grandchild = os.fork()
            if grandchild:
                os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
        case "raise":
            raise SystemExit(0)
        case _:
            pass


def fork_in_handlers(inherited: Inherited) -> bool:
    """Fork in a handler while the device is used; return whether this is a child. One leaves by an
    exception through what was being called; one returns there, and is refused the next moment: not
    over ZeroMQ, whose calls never return in a child.
    """
    parent, large = os.getpid(), np.zeros(1 << 18, np.int32)
    ends: list[int] = []

    def handle(_signal: int, _frame: object) -> None:
        child = os.fork()
        if not child:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(CHILD_S)
            if len(ends) % 2 or inherited.link == "zmq":
                raise SystemExit(0)
            return
        ends.append(os.waitpid(child, 0)[1])
        if len(ends) < HANDLED:
            signal.setitimer(signal.ITIMER_REAL, HANDLER_S)

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, HANDLER_S)
    try:
        while len(ends) < HANDLED:
            inherited.stream.sync()
            inherited.large.get_async().result()
            inherited.large.buffer.copy_from(large)
    except BadHandle:
        if os.getpid() == parent:
            raise
        return True
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    assert ends == [0] * HANDLED, ends
    return False


def main(address: str, link: str) -> None:
    with ExitStack() as stack:
        inherited = Inherited(stack, address, link)
        dev, x, stream = inherited.dev, inherited.x, inherited.stream
        busy = Busy(dev, inherited.kernel)
        busy.start()
        for leaving in LEAVINGS:
            for _ in range(8):
                gon.launch(stream, CONFIG, inherited.kernel, x)
            child = os.fork()
            if not child:
                be_child(inherited, leaving)
                return
            assert os.waitpid(child, 0)[1] == 0, leaving
        busy.end()
        if fork_in_handlers(inherited):
            return
        assert x.get(stream=stream).tolist() == [8 * len(LEAVINGS)] * 64
        assert not inherited.read.result().any()
        assert float(gon.xp.sum(inherited.noted)) == 200
        assert dev.counts().resumed == 0
    print("all is well")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception:  # noqa: BLE001 - the other thread may go on
        traceback.print_exc()
        os._exit(1)
