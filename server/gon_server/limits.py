"""Every maximum of the worker's that nobody else knows, its unit in its name, with its reason: as
gon/limits.py.
"""

from __future__ import annotations

from typing import Final

from gon.limits import MIB

# Held waits --------------------
# A wait of a stream that took as long as this is held the next time, if several threads wait: less
# than a piece of a large transfer holds them up, and what is shorter is not worth the looks.
SLOW_WAIT_S: Final = 0.002
# After so many short ones, one after the other, its waits are no longer taken to be long: waits for
# copies come between those for kernels.
SHORT_WAITS: Final = 16
# Several threads wait for this long after the client has told so: twice as long as until it does
# again, while they do.
WAITERS_S: Final = 1.0
# Waits held at once: more than threads that wait in one program; beyond it they block.
HELD_MAX: Final = 64
# Ops held behind others: as many as a batch has. Beyond it they are waited for.
LINE_MAX: Final = 1024
# What they carry: uploads of several threads, which go on for as long as the client has credit.
HELD_BYTES_MAX: Final = 64 * MIB
# How long until a held wait is looked at again: a part of how long has been waited, so that an
# answer comes by so much later at most; and no more often than the system's timers tell apart.
LOOK_SHARE: Final = 1 / 32
LOOK_MIN_S: Final = 0.00005
LOOK_MAX_S: Final = 0.001
