"""A client that starts cold: connects, acquires, launches once, and says how long that took.

Run as `python -m gon_client.bench.cold WHERE HOST UNIT`; prints milliseconds from the connection
on, once the first launch is done. Who starts it measures the interpreter's start as well.
"""

from __future__ import annotations

import sys
import time

from gon_client.bench.stage import Address, open_stage


def main() -> None:
    """Open a place, launch and wait once, print, give back."""
    where, host, unit = sys.argv[1:]
    start = time.perf_counter()
    with open_stage(Address(where, host, unit)) as stage:
        stage.launch_once()
        sys.stdout.write(f"{(time.perf_counter() - start) * 1e3:.3f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
