"""Every maximum of device backends that only the host's side knows, its unit in its name, with its
reason: as gon/limits.py.
"""

from __future__ import annotations

from gon.limits import KIB, MIB

# Memory of freed buffers that is kept for others of their size: clearing a larger one takes as long
# as new pages do; a call has a few results, and a program a few calls; and what a lease may hold
# beyond what it has asked for is an eighth of what freed buffers of work that is queued may hold.
SPARE_BUFFER_BYTES_MAX = 512 * KIB
SPARE_BUFFERS_MAX = 64
SPARE_BYTES_MAX = 8 * MIB

# Launches that are enqueued, natively, before those of the burst before have run, and how long is
# waited for that. What has not run takes some KiB each: of thousands none is in a cache any more
# when its time comes. 20,000 raw enqueues on one core: 341,000 a second as they come, 625,000 with
# two bursts of 256 under way at most (medians in turns); on two cores no difference. Launches that
# take longer than 2 µs have no use for it.
BURST_LAUNCHES = 256
BURST_WAIT_US = 500
BURST_LOOK_US = 30
# Bursts that are let be after one that took longer; twice as many each time, up to these.
BURSTS_LET_BE_MAX = 4096

# Images of one device: far above what programs have, and the driver keeps some KiB for each.
IMAGES_MAX = 16_384
# How far a device's clock and the host's go apart: by less than this part of what has passed, what
# an NTP daemon corrects at most.
CLOCKS_APART = 2000
