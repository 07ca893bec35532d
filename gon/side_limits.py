"""Every maximum of side links, with its reason; see gon.limits."""

from __future__ import annotations

from gon.limits import DOWNLOAD_PIECES_MAX, KIB, UPLOAD_BYTES_MAX, UPLOAD_PIECES_MAX

# Side links of a link, and of a worker that its client has not added yet, each known by a ticket:
# eight windows of 256 KiB carry 70 MB/s at 30 ms.
SIDES_MAX, SIDE_TICKET_BYTES = 8, 16
# Side links that a worker may hold: those of its link, and as many that wait. Over all leases of a
# tenant, and of the host, so many: each is a descriptor, another one of gond's, which watches for
# its end, and up to some MiB of the kernel's memory.
# A tenant can have four leases that hold all of theirs, a host eight such tenants.
SIDES_LEASE_MAX = 2 * SIDES_MAX
SIDES_TENANT_MAX, SIDES_HOST_MAX = 64, 512
# Of a payload one side link takes its share at a time, within these sizes; and what its socket
# takes beyond what the network has taken: eight of them, 2 MiB.
SIDE_CHUNK_BYTES_MIN = 16 * KIB
SIDE_CHUNK_BYTES_MAX = 256 * KIB
SIDE_UNSENT_BYTES = 256 * KIB
# Payloads that may have to be sent again in part, if a side link breaks: as many as either end has
# on their way that the other has not acknowledged.
SIDE_PAYLOADS_KEPT = max(UPLOAD_PIECES_MAX, DOWNLOAD_PIECES_MAX)
# What a receiver holds of later payloads while it waits for what a broken side link has lost: as
# much as is on its way at most, and no more if a peer means harm.
SIDE_EARLY_BYTES_MAX = UPLOAD_BYTES_MAX
# What is sent again is copied, so that nobody has to wait until it has gone: as much as a receiver
# holds of what comes out of turn. If it is more, the next link has it.
SIDE_AGAIN_BYTES_MAX = SIDE_EARLY_BYTES_MAX
# Who waits while there are side links looks this often what has become of them; a receiver to whom
# nothing came for so long takes chunks out of turn: what it waits for may come behind them. Longer
# than TCP takes to repeat a lost segment, nearly always.
SIDE_LOOK_S = 0.5
# How long whoever tells of a broken side link waits until nobody sends; then it looks again.
TELL_S = 0.01
