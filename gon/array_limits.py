"""Every maximum of array programs, its unit in its name, with its reason: as gon/limits.py, which
both sides check too.
"""

from __future__ import annotations

from gon.limits import KIB, MIB

# An array program as it is coded; one of the most steps, each with two operands of eight
# dimensions, takes a tenth of it.
ARRAY_CODED_BYTES_MAX = 64 * KIB
# Steps, what goes in, and what comes out of one program: a tensor or number each, of which a
# function has 256 (gon_server.engines.limits). Checking a step takes some 20 µs.
ARRAY_STEPS_MAX = 64
ARRAY_INPUTS_MAX = 96
ARRAY_NUMBERS_MAX = 96
ARRAY_OUTPUTS_MAX = 64
# Dimensions of an array: as many as NumPy had for long, half of what it has.
ARRAY_DIMS_MAX = 32
# Elements of an array, or of a view of one: 64 GiB of float32. What is beyond fits no lease, and a
# view that repeats itself more often would be worked on for hours.
ARRAY_ELEMENTS_MAX = 1 << 34
# Results between the steps of one program: the worker's memory, not the lease's. Whoever makes
# programs has larger results written to buffers.
ARRAY_BETWEEN_BYTES_MAX = 256 * MIB
# Programs that a device keeps loaded for its arrays: a quarter of the modules that it may have.
ARRAY_PROGRAMS_MAX = 256
# Places where a client's programs begin that it knows again: a step of training of a net of so many
# programs, and as many of what else it does.
ARRAY_BEGINNINGS_MAX = 128
# Elements on a device that live only because something small may still be made of them, as what a
# loss that is kept was made of: so much is a small part of a lease, and of it a step of training of
# a small net makes none.
ARRAY_PINNED_BYTES_MAX = 64 * MIB
