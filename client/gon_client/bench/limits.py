"""Every maximum of the delay proxy, its unit in its name, with its reason: as gon/limits.py, for
what only a benchmark needs.
"""

from __future__ import annotations

from gon.limits import KIB, MIB

# Bytes on their way in one direction of one connection: at 100 ms round trip more than 1 GB/s.
DELAY_HELD_BYTES_MAX = 64 * MIB
# Pieces that they arrived in.
DELAY_PIECES_MAX = 65_536
# One read, and what a capped wire carries in the time of one: a piece leaves as a whole.
DELAY_READ_BYTES_MAX = 256 * KIB
DELAY_READ_S = 0.0005
# Memory for one read, and for as many as are touched before anything is relayed: what 4 ms carry.
DELAY_BLOCK_BYTES = DELAY_READ_BYTES_MAX
DELAY_SLAB_BYTES = 8 * MIB
# What may queue before a capped wire, by the time it takes to drain.
DELAY_QUEUE_S = 0.02
# Targets of one proxy, and connections at once: a place has two of each, more while it attaches.
DELAY_ROUTES_MAX = 16
DELAY_CONNECTIONS_MAX = 64
