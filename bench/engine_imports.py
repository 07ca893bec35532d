"""How long each engine takes to load, and for how long at most that holds up its process.

    python bench/engine_imports.py [ROUNDS]

Each is loaded in a process of its own, by a thread, while the main thread looks at the clock: the
longest time between two looks is what an operation of a lease would wait for.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from statistics import median

from gon.clock import SYSTEM_CLOCK
from gon_server.engines.base import Share
from gon_server.engines.shelf import Shelf, engine_formats

_PAUSE_S = 0.0002
_ALL = "all"


def load(code_formats: list[str]) -> tuple[float, float]:
    """Load engines here; return how long that took, and the longest time between two looks."""
    took_s: list[float] = []

    def work() -> None:
        began_s = time.perf_counter()
        for each in code_formats:
            Shelf(Share(2)).open(each)
        took_s.append(time.perf_counter() - began_s)

    thread = threading.Thread(target=work)
    thread.start()
    longest_s, before_s = 0.0, time.perf_counter()
    while thread.is_alive():
        SYSTEM_CLOCK.sleep_s(_PAUSE_S)
        now_s = time.perf_counter()
        longest_s, before_s = max(longest_s, now_s - before_s), now_s
    return took_s[0], longest_s


def main() -> None:
    """Print a line for each engine, and for all of them in one process."""
    if len(sys.argv) == 3:
        print(*load(sys.argv[2].split("+")))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    known = sorted(engine_formats())
    print(f"{'engine':<28} {'loads in':>10} {'holds up':>10}   medians of {rounds}, longest")
    for name in (*known, _ALL):
        formats = "+".join(known if name == _ALL else [name])
        told = [_measured(formats) for _ in range(rounds)]
        took_ms, held_ms = (1e3 * median(each) for each in zip(*told, strict=True))
        most_ms = 1e3 * max(held for _, held in told)
        print(f"{name:<28} {took_ms:>7.0f} ms {held_ms:>7.1f} ms   {most_ms:.1f} ms")


def _measured(formats: str) -> tuple[float, float]:
    command = [sys.executable, __file__, "once", formats]
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    took_s, longest_s = (float(each) for each in ran.stdout.split())
    return took_s, longest_s


if __name__ == "__main__":
    main()
