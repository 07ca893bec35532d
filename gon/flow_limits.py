"""Every maximum of flows, its unit in its name, with its reason: as gon/limits.py, which both sides
check too.
"""

from __future__ import annotations

from gon.limits import KIB, MIB, PAYLOAD_BYTES_MAX

# A flow as it is coded, its stages, and the bytes of a name that it gives an argument.
FLOW_CODED_BYTES_MAX = 128 * KIB
FLOW_STAGES_MAX = 16
FLOW_NAME_BYTES_MAX = 64
# What goes into a flow, and what comes out of any of its stages: as the largest payload.
FLOW_DATA_BYTES_MAX = PAYLOAD_BYTES_MAX
# What a stage works on at a time, and so what each holds: smaller chunks are all overhead, larger
# ones leave the processor's cache (measured: 256 KiB is as quick as anything).
FLOW_CHUNK_BYTES_MIN = 4 * KIB
FLOW_CHUNK_BYTES = 256 * KIB
FLOW_CHUNK_BYTES_MAX = 4 * MIB
# How far back compressed data may refer, and so what expanding it holds: that of zstd's level 19.
FLOW_WINDOW_BYTES_MAX = 8 * MIB
# Regular expressions of one flow, and the bytes of one. A short one can keep a compiler busy for
# minutes: its builder bounds that.
FLOW_PATTERNS_MAX = 256
FLOW_PATTERN_BYTES_MAX = 1 * KIB
# What the expressions of one stage become.
FLOW_DATABASE_BYTES_MAX = 16 * MIB
# Matches whose places are kept, 24 MB of them, and matches that are counted: a call for each, 0.3
# µs, so a scan ends within seconds of its own.
FLOW_PLACES_MAX = 1_000_000
FLOW_MATCHES_MAX = 16_000_000
