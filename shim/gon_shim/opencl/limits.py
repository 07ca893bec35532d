"""Maxima of the OpenCL driver, each with its reason."""

from __future__ import annotations

from typing import Final

# Alignment of memory that is mapped, as the largest type of OpenCL (long16) needs.
MAP_ALIGNMENT_BYTES: Final = 128
# Sizes of launches a kernel remembers, as far as they were checked.
RANGES_CACHED_MAX: Final = 256
# Launches that are known by numbers: each keeps its kernel, until that is released.
LAUNCHES_KNOWN_MAX: Final = 1024
# Threads of a block where a program leaves that to us: more gain nothing on a CPU, and every GPU
# takes so many.
BLOCK_CHOSEN_MAX: Final = 256
# Below this the driver chooses.
BLOCK_CHOSEN_MIN: Final = 32
# A program's headers that include each other.
INCLUDE_DEPTH_MAX: Final = 64
# Macros that lead from the operand of an `#include` to a name; a macro may lead to itself.
MACRO_STEPS_MAX: Final = 16
# Characters of an operand of `#include`, and of a macro's body in it: as many as a path may have;
# a macro that doubles itself ends here.
OPERAND_MAX: Final = 4096
# Waits by which a queue that measures learns what the unit's clock says: the first ones are late,
# for the stream is made before them and receivers have yet to find that spinning pays.
CLOCK_WAITS: Final = 16
# How fast two clocks may go apart: what an NTP daemon corrects at most.
CLOCK_DRIFT_PPM: Final = 500
# Waits for one launch each after which the next launch is taken to be waited for as well.
WAITS_EXPECTED_AFTER: Final = 4
# Commands whose times a queue lets the unit keep before it asks for them, if they are over; and if
# they are not, for a question waits there.
MEASURED_MAX: Final = 64
PLACES_MAX: Final = 512
# Failures that a queue remembers for events that are looked at later: of more, the two oldest count
# as one, with what ran in between.
FAILURES_REMEMBERED: Final = 1024
# How long a launch waits for another thread to queue and note its own: a thread that takes longer
# waits for something, and what may go wrong is one time.
NOTING_WAIT_MAX_S: Final = 1.0
