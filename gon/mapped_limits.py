"""Every maximum of memory that a worker lends its client, with its reason; the others are in
gon.limits."""

from __future__ import annotations

from gon.limits import KIB, MIB

# Buffers from this size on lie in memory that a client on the host itself maps. Smaller ones gain
# little: their bytes pass the rings in less time than the answer takes.
MAPPED_BUFFER_BYTES_MIN = 256 * KIB
# What the processor maps by one entry: a page table of small pages makes first touch 4 times as
# slow, and kernels that stride 1.5 times (measured).
HUGE_PAGE_BYTES = 2 * MIB
# Buffers begin at multiples of this: what devices ask for is less, and what is lost by it is at
# most a quarter.
MAPPED_GRANULE_BYTES = 64 * KIB
# What a client maps at most, of addresses: a lease has less memory than this.
MAPPED_BYTES_MAX = 1 << 42
# Empty pages that a worker keeps for its next buffer: those of 8 MiB.
MAPPED_SPARE_PAGES = 4
