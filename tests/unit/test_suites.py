"""What the suites' programs print is read as they mean it."""

from __future__ import annotations

from dataclasses import replace

from tests.suites.catalogue import CLPEAK as SUITE
from tests.suites.run import Row, table
from tests.suites.tallies import (
    WHOLE,
    Tally,
    figures,
    of_clpeak,
    of_khronos,
    of_lines,
    of_pytest,
    of_pyvkfft,
    that_says,
)
from tests.suites.ways import DIRECT, GON, Ended

PYTEST = """..F.s
=========================== short test summary info ============================
FAILED test_a.py::test_one[<context factory for <a device>>] - TypeError: no
ERROR test_b.py::TestTwo::test_two - OSError
1 failed, 292 passed, 14 skipped, 8 xfailed, 3 warnings, 1 error in 326.37s (0:05:26)
gon run: 1 devices
"""
CLPEAK = """
Platform: GoN
  Device: a device
    Driver version  : 2026.22.10.0.01_160000 (Linux x64)
    Compute units   : 2

    Transfer bandwidth (GBPS)
      enqueueWriteBuffer              : 2.88
        memcpy from mapped ptr        : 8.49

    Kernel launch latency : 43.60 us
"""


def test_pytest_tells_of_each_test_that_fails() -> None:
    names = ("test_a.py::test_one", "test_b.py::TestTwo::test_two")
    assert of_pytest(PYTEST, 1) == Tally(292, names, 22)
    assert of_pytest("12 passed in 0.10s\n", 0) == Tally(12)
    assert of_pytest("Killed\n", 137) == Tally(0, (WHOLE,))


def test_lines_and_words() -> None:
    assert of_lines("passed a\nfailed b: why\nskipped c: why\n", 1) == Tally(1, ("b",), 1)
    assert of_lines("passed a\nTraceback\n", 1) == Tally(1, (WHOLE,))
    assert that_says("x:y")("found x:y", 0) == Tally(1)
    assert that_says("x:y")("found x:y", 1) == Tally(0, (WHOLE,))


def test_khronos_tests() -> None:
    told = (
        "one...\none passed\ntwo...\nERROR\ntwo FAILED\nthree skipped (why)\nPASSED 1 of 3 tests."
    )
    assert of_khronos(told, 1) == Tally(1, ("two",), 1)


def test_transforms_of_pyvkfft() -> None:
    told = [
        f"pyopencl  C2C   ({size}) axes= None   FFT: n2=1e-07 < 5e-06 (0.02) 0 buf=  0   {word} "
        for size, word in ((4, "OK"), (31, "FAIL"))
    ]
    assert of_pyvkfft("\n".join(told), 1) == Tally(1, ("C2C (31) axes= None",))
    assert of_pyvkfft(told[0], 0) == Tally(1)


def test_figures_of_clpeak() -> None:
    found = dict(figures(CLPEAK))
    assert found["enqueueWriteBuffer"] == 2.88
    assert found["Kernel launch latency"] == 43.6
    assert of_clpeak(CLPEAK, 0).failed == ()
    assert of_clpeak(CLPEAK + "Tests skipped\n", 0).failed == (WHOLE,)


def test_only_what_fails_through_gon_alone_needs_a_reason() -> None:
    known, why = "old", "that it is so"
    suite = replace(SUITE, known={known: why})
    ended = Ended("", 1, 0.0)
    both = ((GON, ended, Tally(3, (known, "both", "new"))), (DIRECT, ended, Tally(4, ("both",))))
    row = Row(suite, "1.0", both)
    assert row.unexplained == ("new",)
    last = [*table([row])][-1]
    assert f"| 3 / 3 / 0 | 4 / 1 / 0 | new: ?; {known}: {why} |" in last
