"""The engines' thread by itself."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from gon.errors import DeviceError, WaitTimeout
from gon_server.aside import EngineThread
from tests.inproc_worker import PATIENCE_S

# A process whose main thread ends while a function runs that never will.
ENDS = """
import threading
from gon_server.aside import EngineThread

engines, begun = EngineThread(), threading.Event()
engines.run(lambda: (begun.set(), threading.Event().wait()))
begun.wait()
raise SystemExit(7)
"""


def test_functions_run_in_order_and_tell_who_waits_what_they_raise() -> None:
    gate, ran = threading.Event(), list[int]()

    def fails() -> None:
        ran.append(2)
        raise DeviceError("it fails")

    def waits() -> None:
        assert gate.wait(PATIENCE_S)
        ran.append(1)

    engines = EngineThread()
    first, second = engines.run(waits), engines.run(fails)
    with pytest.raises(WaitTimeout):
        first.wait(0.0)
    assert not second.done()
    gate.set()
    first.wait(PATIENCE_S)
    with pytest.raises(DeviceError, match="it fails"):
        second.wait(PATIENCE_S)
    assert ran == [1, 2]


def test_the_thread_ends_with_who_has_it() -> None:
    threads: list[threading.Thread] = []
    engines = EngineThread()
    engines.run(lambda: threads.append(threading.current_thread())).wait(PATIENCE_S)
    del engines
    threads[0].join(PATIENCE_S)
    assert not threads[0].is_alive()


def test_where_no_thread_can_be_had_functions_run_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(thread: threading.Thread) -> None:
        del thread
        raise RuntimeError("can't start new thread")

    ran: list[int] = []
    engines = EngineThread()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        assert engines.run(lambda: ran.append(threading.get_ident())).done()
    engines.run(lambda: ran.append(threading.get_ident())).wait(PATIENCE_S)
    assert len(ran) == 2
    assert ran[0] == threading.get_ident() != ran[1]


def test_a_process_that_ends_waits_for_no_function() -> None:
    ended = subprocess.run([sys.executable, "-c", ENDS], check=False, timeout=PATIENCE_S)
    assert ended.returncode == 7
