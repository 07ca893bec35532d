"""What a suite's output says of its tests: how many passed, which failed, how many were left out.

Rules: pure. A program that ends badly without naming a test has failed as a whole, under the name
of `WHOLE`; names are without what differs between two ways of running: the device's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

WHOLE: Final = "the program"
_COUNTS: Final = re.compile(r"(\d+) (passed|failed|skipped|xfailed|xpassed|errors?)\b")
_LAST: Final = re.compile(r"^=* ?(\d+ \w+(?:, \d+ \w+)* in [\d.]+s.*)$", re.MULTILINE)
_NAMED: Final = re.compile(r"^(?:FAILED|ERROR) (\S+?::[^\s\[<]+)", re.MULTILINE)
_ERRORS: Final = re.compile(r"^ERROR .*$", re.MULTILINE)
_LINE: Final = re.compile(r"^(passed|failed|skipped) ([^:\n]+)", re.MULTILINE)
_FIGURE: Final = re.compile(
    r"^ +(?!Compute units)(\S[^:\n]*?) +: ([\d.]+)(?: (?:us|%|GFLOPS))?$", re.MULTILINE
)
_TRANSFORM: Final = re.compile(r"^pyopencl +(\S.*?) +FFT: .* (OK|FAIL) *$", re.MULTILINE)
_KHRONOS: Final = re.compile(r"^(\w+) (passed|FAILED|skipped)\b", re.MULTILINE)
_SKIPPED: Final = "Tests skipped"


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of a suite; `failed` names each test once."""

    passed: int
    failed: tuple[str, ...] = ()
    skipped: int = 0


# Takes what a suite printed and its exit status.
Reader = Callable[[str, int], Tally]


def of_pytest(output: str, status: int) -> Tally:
    """Read what pytest says with `-rfE`."""
    last = _LAST.findall(output)
    if not last:
        return _ended(Tally(0), status)
    counts = {word.rstrip("s"): int(number) for number, word in _COUNTS.findall(last[-1])}
    passed = counts.get("passed", 0) + counts.get("xpassed", 0)
    left_out = counts.get("skipped", 0) + counts.get("xfailed", 0)
    failed = tuple(_NAMED.findall(output))
    if "error" in counts and not any("::" in line for line in _ERRORS.findall(output)):
        failed = (*failed, WHOLE)  # what could not even be collected has no name
    return _ended(Tally(passed, failed, left_out), status)


def of_lines(output: str, status: int) -> Tally:
    """Read `passed NAME`, `failed NAME: why` and `skipped NAME: why`, a line each."""
    found = _LINE.findall(output)
    names = {word: [name for each, name in found if each == word] for word, _ in found}
    failed = tuple(names.get("failed", ()))
    tally = Tally(len(names.get("passed", ())), failed, len(names.get("skipped", ())))
    return _ended(tally, status)


def of_clpeak(output: str, status: int) -> Tally:
    """Count the figures that clpeak gives."""
    failed = (WHOLE,) if _SKIPPED in output else ()
    return _ended(Tally(len([*figures(output)]), failed), status)


def of_khronos(output: str, status: int) -> Tally:
    """Read what Khronos' tests say: `NAME passed`, `NAME FAILED`, `NAME skipped` and why."""
    found = _KHRONOS.findall(output)
    failed = tuple(name for name, word in found if word == "FAILED")
    counts = [sum(word == each for _name, word in found) for each in ("passed", "skipped")]
    return _ended(Tally(counts[0], failed, counts[1]), status)


def of_pyvkfft(output: str, status: int) -> Tally:
    """Read the lines of pyvkfft-test, one for each transform: what it is, how exact, OK or FAIL."""
    found = [(" ".join(name.split()), word) for name, word in _TRANSFORM.findall(output)]
    failed = tuple(dict.fromkeys(name for name, word in found if word == "FAIL"))
    return _ended(Tally(sum(word == "OK" for _name, word in found), failed), status)


def that_says(word: str) -> Reader:
    """Return how to read a program that is one test, and has passed if it says `word`."""

    def read(output: str, status: int) -> Tally:
        return Tally(1) if word in output and not status else Tally(0, (WHOLE,))

    return read


def figures(output: str) -> Iterator[tuple[str, float]]:
    """Give the figures of clpeak by name."""
    for name, number in _FIGURE.findall(output):
        yield name, float(number)


def _ended(tally: Tally, status: int) -> Tally:
    nothing = not (tally.passed or tally.failed or tally.skipped)
    if nothing or (status and not tally.failed):
        return Tally(tally.passed, (WHOLE,), tally.skipped)
    return tally
