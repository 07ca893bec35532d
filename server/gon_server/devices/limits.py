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

# Images of one device: far above what programs have, and the driver keeps some KiB for each.
IMAGES_MAX = 16_384
# How far a device's clock and the host's go apart: by less than this part of what has passed, what
# an NTP daemon corrects at most.
CLOCKS_APART = 2000
