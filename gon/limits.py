"""Every maximum, its unit in its name, with its reason.

Checked on both sides; none is enforced by trust.
"""

from __future__ import annotations

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

# Wire --------------------
# A frame's head (header, payload sizes, coded ops). Larger data travels as payloads. Bounds what a
# peer can make us allocate before anything is understood.
HEAD_BYTES_MAX = 4 * MIB
# Payloads beside one head; more would only be an attack: a reply seldom carries more than a few.
PAYLOADS_MAX = 256
# One payload: 16 GiB, larger transfers are several ops.
PAYLOAD_BYTES_MAX = 16 * GIB
# Data of at least this size travels out of line, straight from and into its place; below it one
# memcpy into the head is cheaper than the acknowledgement an out-of-line upload waits for.
INLINE_BYTES_MAX = 32 * KIB
# Ops in one batch: at 0.5 µs to decode each, a worker answers within a millisecond or so.
BATCH_OPS_MAX = 1024
# The number of a batch's first op: that of its last one still is a number of 64 bits.
OP_NUMBER_MAX = 1 << 63
# Ops a client gathers before it sends: larger gathers gain nothing, smaller ones pay more calls.
BATCH_OPS_TARGET = 256
# Coded ops and inline data a client gathers before it sends.
BATCH_BYTES_TARGET = 256 * KIB
# Ops that both sides of a session remember, to repeat them by a reference: enough for loops of a
# thousand calls a few times over; and the largest of them.
REPEAT_OPS_MAX = 8192
REPEAT_BYTES_MAX = 1 * MIB
REPEAT_OP_BYTES_MAX = 512
# Batches of fewer ops go as they are: their time is that of the round trip, not of their bytes.
REPEAT_BATCH_OPS = 8
# Frames a side keeps until the peer has acknowledged them, and the bytes of their heads.
UNACKED_FRAMES_MAX = 64
UNACKED_BYTES_MAX = 16 * MIB
# The first read of a stream link takes at most this much, and a frame with payloads has a head of
# at least this size, so that no byte of a payload is ever read anywhere but into its place.
READ_AHEAD_BYTES = 2 * KIB
# A piece of a large transfer is what the link carries in this time: what an op of another thread
# waits for on its way. Within these sizes: smaller ones are all overhead, and larger ones gain
# nothing (measured over loopback: pieces of 2 MiB cost 10 to 35 % of the bandwidth, the more the
# scarcer the processor is, of 8 MiB nothing).
PIECE_S = 0.008
PIECE_BYTES_MIN = 256 * KIB
PIECE_BYTES_MAX = 8 * MIB
# A piece has at most this much while others send something in between, 1 ms at 2 GB/s, and for so
# many pieces after they did.
PIECE_BYTES_SHARED = 2 * MIB
PIECES_SHARED = 64
# Compressed pieces of downloads that a worker keeps; beyond, pieces go as they are.
DOWNLOAD_COMPRESSED_BYTES_MAX = 16 * MIB
# Uploads that are not acknowledged yet, in frames (the other half of the credit is for what is
# small) and bytes: also what a client copies at most instead of waiting for its acknowledgement.
UPLOAD_PIECES_MAX = UNACKED_FRAMES_MAX // 2
UPLOAD_BYTES_MAX = 64 * MIB
# Parts of an upload that a worker leaves unacknowledged while more follow: well within those.
PARTS_UNACKED_MAX = 8
PARTS_UNACKED_BYTES_MAX = 16 * MIB
# Pieces of downloads that are not acknowledged yet, and after how many of them a client says that
# it has them.
DOWNLOAD_PIECES_MAX = 64
DOWNLOAD_PIECES_ACK = 8
# Large reads that are being answered at once: threads of one program that each wait in one.
DOWNLOADS_MAX = 256
# Who sends pieces gives way to others that wait to send, for this long at most.
GIVE_WAY_S = 0.002
# A client copies what it has uploaded, instead of waiting for its acknowledgement, where the round
# trip is longer than this, and than copying takes at this rate (that of fresh memory).
COPY_ROUND_TRIP_S = 0.001
COPY_BYTES_PER_S = 2_000_000_000
# Poisoned buffers that are being overwritten in parts at once.
OVERWRITING_MAX = 64
# Arguments of one kernel, and the bytes of its values together; OpenCL guarantees 1 KiB, CUDA 4
# KiB. A full batch of the largest launches, with one source, still fits a head.
KERNEL_ARGS_MAX = 256
VALUE_ARGS_BYTES_MAX = 4 * KIB
FILL_PATTERN_BYTES_MAX = 128
NAME_BYTES_MAX = 1 * KIB
SOURCE_BYTES_MAX = 2 * MIB
# Templates that one program instantiates, and headers it brings along.
PROGRAM_NAMES_MAX = 256
# Variables of one CUDA C module together.
MODULE_VARIABLES_BYTES_MAX = 64 * MIB
PROGRAM_HEADERS_MAX = 64
LOG_BYTES_MAX = 64 * KIB
MESSAGE_BYTES_MAX = 8 * KIB
# Handles that may be poisoned at once, and failures that nothing has waited for yet.
POISONED_MAX = 65_536
# Replies are sent once their inline data reaches this, so that reads and sends overlap.
REPLY_BYTES_TARGET = 256 * KIB
# Replies a worker keeps until the client acknowledges them: what a client that never does may cost.
REPLY_FRAMES_MAX = 4096
REPLY_BYTES_MAX = 64 * MIB
# Inline answers a client may be waiting for; it receives some before it asks for more.
EXPECTED_BYTES_MAX = 16 * MIB

# Session --------------------
BUFFERS_MAX = 65_536
STREAMS_MAX = 256
EVENTS_MAX = 65_536
MODULES_MAX = 1_024
KERNELS_MAX = 16_384
# Graphs of one device; the ops of one: 10,000 in one message take a worker 30 to 75 ms, and nothing
# else is answered meanwhile; how much of a batch a graph's definition takes; and what all of a
# device's definitions take, as they are coded, of its worker's memory.
GRAPHS_MAX = 1_024
GRAPH_OPS_MAX = 10_000
GRAPH_BYTES_MAX = 1 * MIB
GRAPHS_BYTES_MAX = 64 * MIB
# CUDA graphs that a device keeps captured, or is to capture when they come again, and their ops
# together, three of the largest: each takes memory of the host and of the device that no quota
# counts. A graph of fewer ops than the least is not captured: its loop is one call of CUDA too.
CAPTURED_GRAPHS_MAX = 128
CAPTURED_OPS_MAX = 32_768
CAPTURED_OPS_MIN = 2
# Names of one graph; as many as a kernel has arguments.
GRAPH_NAMES_MAX = 256

# Device backends --------------------
# What a stream keeps alive until its queued work has finished (snapshots of data written, buffers
# freed), in number and bytes; more waits for the stream, so that a program that never waits cannot
# make the host hold its garbage.
KEPT_MAX = 1024
KEPT_BYTES_MAX = 64 * MIB
# On an idle stream the CPU copies or fills up to this much itself: quicker than queueing it
# (measured, 5 µs).
DIRECT_BYTES_MAX = 256 * KIB
# Launch shapes a kernel remembers as checked, and views a buffer remembers.
SHAPES_CACHED_MAX = 256
VIEWS_CACHED_MAX = 64
# A piece of page-locked memory through which bytes go to and from a device with memory of its own:
# the CPU fills one of two while the other travels. Smaller ones are all overhead, larger ones
# overlap later.
STAGING_BYTES = 2 * MIB
# Windows up to this size are page-locked as a whole; larger ones are the host's usual memory, and
# go through the pieces: locking pages costs more than copying them once.
PINNED_WINDOW_BYTES_MAX = 64 * MIB
# A wait for a device looks this often whether it is over, about 50 µs, before the thread sleeps.
LOOKS_BEFORE_SLEEP = 50
# A wait with an end looks this often (CUDA has none).
DEVICE_LOOK_S = 0.0005
# Compiler options of one module.
OPTIONS_BYTES_MAX = 4 * KIB
# Ops the simulator holds back on all streams together before it runs some.
SIM_QUEUED_MAX = 4096

# CUDA C --------------------
# A source to translate, before and after: far beyond any kernel by hand, and parsed in a second.
CUDA_SOURCE_BYTES_MAX = 512 * KIB
TRANSLATED_BYTES_MAX = 4 * MIB
# Tokens that all macros of a source may give: what doubles itself ends here.
MACRO_TOKENS_MAX = 200_000
MACRO_BYTES_MAX = 4 * MIB
# Headers that include each other.
INCLUDE_DEPTH_MAX = 32
# Headers included, the same ones again among them.
INCLUDES_MAX = 1000
# Depth of a source's tree, of calls of macros, of brackets in a condition: five Python frames each
# at most, of the thousand that Python allows.
NESTING_MAX = 150
# Constants and types that a constant or type is made of, one by the other.
MADE_OF_MAX = 32
# Name expressions of one program, and clones of its functions by type and address space.
NAMES_MAX = 256
CLONES_MAX = 512
# Each of clang and llvm-spirv ends within this, well before its builder must (BUILD_S).
CLANG_S = 12.0

# Builds --------------------
# A program, as one process of a host hands it to another: what a frame's head can bring.
PROGRAM_BYTES_MAX = HEAD_BYTES_MAX
# What building one program gives: a module of a thousand kernels has a few MiB.
BUILT_BYTES_MAX = 64 * MIB
# A program is built within this, or its builder is killed; and the most that a host may be told.
BUILD_S = 30.0
BUILD_S_MAX = 600.0
# A program that has waited this long for a busy builder is worth a second one: what a program that
# hangs costs its neighbours.
BUILD_PATIENCE_S = 1.0
# A program waits this long for a builder that is free.
BUILD_QUEUE_S = 60.0
# Memory that a builder may take beside what its device took; a compiler that wants more ends.
BUILDER_MEMORY_BYTES = 2 * GIB
# Builders of one host at once, as many as it may be told, and those of one tenant on one unit.
BUILDERS = 4
BUILDERS_MAX = 64
BUILDERS_PER_UNIT_MAX = 2
# A builder that nobody has needed for this long ends.
BUILDER_IDLE_S = 300.0
# A builder ends after so many: Intel's compiler keeps 1 MB of every build (measured).
BUILDS_PER_BUILDER_MAX = 64
# Built modules that a host keeps, in bytes of all tenants and of one, and in number, of which a
# tenant may have half; each is an open file of gond, so fewer where it may have few.
MODULE_CACHE_BYTES = 256 * MIB
MODULE_CACHE_TENANT_BYTES = 64 * MIB
MODULES_CACHED_MAX = 1024
# A device's first program, built: gond passes it on inside an order. Intel's has 6 KiB.
TRIAL_BYTES_MAX = 48 * KIB

# Known contents --------------------
# An array is known by its content from this size on: asking for less takes as long as sending it
# (a question costs 0.4 ms on one core, in which a link of 5 Gbit/s carries this much).
CONTENT_BYTES_MIN = 256 * KIB
# A larger array is known in pieces of this size, each by a digest of its own: what a worker holds
# twice while it stores one, what gond reads at a time, and what a broken transfer begins again.
CONTENT_BYTES_MAX = 32 * MIB
# Digests of contents, and what they are keyed with.
CONTENT_DIGEST_BYTES = 32
# A digest is computed, and a content is copied, in steps of this size.
CONTENT_STEP_BYTES = 1 * MIB
# Pieces a client digests at once, where it has as many cores: four cores digest what a link of 10
# Gbit/s carries; more are the program's.
CONTENT_DIGESTS_MAX = 4
# Pieces a client has asked about and not heard of yet, in number and bytes: they share round trips,
# and a file larger than memory is still in the page cache when a piece of it must be sent.
CONTENT_ASKED_MAX = 256
CONTENT_ASKED_BYTES_MAX = 8 * CONTENT_BYTES_MAX
# Contents that a host keeps, in bytes of all tenants and of one, and in number, of which a tenant
# may have half.
CONTENT_STORE_BYTES = 16 * GIB
CONTENT_STORE_TENANT_BYTES = 8 * GIB
CONTENTS_KEPT_MAX = 65_536
# The disk that contents are kept on has at least this much left for others.
CONTENT_DISK_FREE_BYTES = 1 * GIB
# Contents on their way to the disk, of one worker and of a host (a tenant may have half): each is
# an open file of gond, and memory that no lease is charged for.
CONTENTS_OFFERED_MAX = 4
# Orders that are still read of a worker that is given up: more than its socket holds, unless it
# goes on.
LAST_WORDS_MAX = 512
CONTENTS_ARRIVING_MAX = 64
# A worker waits this long for gond to find a content, and until it may offer one more; then the
# bytes are sent as ever, and not kept. A disk may be slow.
CONTENT_ANSWER_S = 10.0
# A gond that stops waits this long for the files it has begun.
CONTENT_STOP_S = 5.0

# Waits (seconds) --------------------
CONNECT_TIMEOUT_S = 5.0
HANDSHAKE_TIMEOUT_S = 5.0
# A call of the control plane.
CONTROL_TIMEOUT_S = 10.0
# The longest limit that a program may set for one: gRPC takes far longer ones for none left.
CALL_S_MAX = 86_400.0
# A link may be gone for this long before the lease is lost.
GRACE_S = 60.0
# A lease ends this long after its last renewal; clients renew at a third of it. Longer than the
# grace, so that a lost network ends in the grace, not in a missed renewal.
LEASE_S = 90.0
# First and longest pause between two attempts to reach a lost host.
RECONNECT_FIRST_S = 0.02
RECONNECT_LONGEST_S = 1.0
# How long a client that closes waits for another thread's send.
CLOSE_S = 1.0
# How long a fork waits for calls to gond that other threads are in: most take a millisecond.
FORK_WAIT_S = 1.0
# How long a draining gond waits for leases to end by themselves.
DRAIN_S = 10.0

# Daemon --------------------
# Data connections that have not shown their token yet.
HALF_OPEN_MAX = 128
LEASES_MAX = 256
# Ended leases whose reason is kept for late questions.
ENDED_LEASES_KEPT = 1024
# The first bytes of a data connection: magic, then the lease's token.
PREAMBLE_MAGIC = b"GoNdata1"
SIDE_MAGIC = b"GoNside1"
TOKEN_BYTES = 32
PREAMBLE_BYTES = len(PREAMBLE_MAGIC) + TOKEN_BYTES
# Units of a host, slices of a unit: beyond any real host, and yet described in one message.
UNITS_MAX = 64
SLICES_MAX = 1024
# Idle workers kept warm for one unit; each holds a loaded runtime.
WARM_WORKERS_MAX = 64
# One message of the control plane, and calls answered at once: only small values travel there.
CONTROL_MESSAGE_BYTES_MAX = 256 * KIB
CONTROL_CALLS_MAX = 512
# Acquiring waits so long where no worker is warm: who come at once share the host's cores.
ATTACH_TIMEOUT_S = 30.0
# A worker opens its device and compiles a first kernel within this, or is killed.
WORKER_START_S = 20.0
# A worker waits so long for a build: a builder starts, is free, builds; gond has answered before.
BUILD_ANSWER_S = WORKER_START_S + ATTACH_TIMEOUT_S + BUILD_QUEUE_S + BUILD_S_MAX
# A warm worker answers that it serves a lease within this, or is killed.
WORKER_ASSIGN_S = 5.0
# A worker that was told to end is killed after this: a kernel may never return.
WORKER_END_S = 2.0
# First and longest pause before a worker (or the spawner) that failed to start is started again.
RESPAWN_FIRST_S = 0.2
RESPAWN_LONGEST_S = 30.0
# The warm pool is refilled so long after a taking: its client's first launches have the cores.
REFILL_PAUSE_S = 0.3
# Looking for devices loads every driver of the host.
DISCOVER_TIMEOUT_S = 30.0
# Pause in accepting data connections when the process has no more file descriptors.
ACCEPT_PAUSE_S = 0.2
# Calls in flight when gond stops have this long to be answered.
STOP_GRACE_S = 0.5

# Predictions --------------------
# Frames of one trace, some 40 MB of them, and lines of a program that wait: what one that runs for
# hours may cost its own memory while it is recorded.
TRACE_EVENTS_MAX = 262_144
TRACE_ORIGINS_MAX = 1_024
# Traces that one command leaves behind: its devices.
TRACES_MAX = 64
# Round trips, and bandwidths, that one command is predicted for.
PREDICTED_WAYS_MAX = 32
# An answer that nobody waits for yet is held back for this long while a device is recorded: longer
# than the round trips of this world.
HELD_BACK_S = 1.0
# What sockets hold of what is sent before a sender waits for the way: Linux' usual bound.
SENT_AHEAD_BYTES = 4 * MIB
# Measuring a way takes about this long, for syncs and for uploads each, and at most so many.
PROBE_S = 0.1
PROBES_MAX = 40

# Links --------------------
# A blocked wait wakes this often to see whether the peer's host is still there.
WAIT_SLICE_S = 5.0
# TCP keep-alive: quiet time before the first question and between questions, and questions without
# an answer.
KEEPALIVE_S = 5.0
KEEPALIVE_COUNT = 3
# A host that answers none of TCP's own questions for this long is gone; as long as keep-alive
# takes.
PEER_SILENT_S = 20.0
# Bytes that a socket takes beyond what the network has taken: what is sent next waits behind them.
# What is on its way is not bounded by it. 128 KiB cost 20 % of the bandwidth over loopback.
TCP_UNSENT_BYTES = 1 * MIB
# A frame that has begun goes on within this, or its link is lost.
FRAME_STALL_S = 30.0
# A blocked sender looks this often whether something is there to receive.
BLOCKED_SLICE_S = 0.005
# Pause of a blocked sender whose receiver has no room for what the peer has sent.
BLOCKED_PAUSE_S = 0.001
# A payload goes over ZeroMQ in messages of this size, at most so many of them (and of heads) queued
# at each end.
ZMQ_CHUNK_BYTES = 512 * KIB
ZMQ_QUEUED_MAX = 64
# How long a closed ZeroMQ link goes on delivering what it was given.
ZMQ_LINGER_S = 1.0
# Pause between two looks whether ZeroMQ still needs a payload's memory, when there is something to
# receive meanwhile.
ZMQ_RELEASE_POLL_S = 0.0005
# The same when there is not: then ZeroMQ tells, and this is only how soon a lost link is noticed.
ZMQ_RELEASE_WAIT_S = 0.05
# Peers without the right preamble that a ZeroMQ listener remembers to ignore.
ZMQ_STRANGERS_MAX = 1024
# Connections the kernel holds until a listener takes them.
ACCEPT_BACKLOG = 128
# Bytes on their way in one direction of a link through shared memory, a power of two; each side
# copies a chunk at most before it tells the other, so that both copy at once. A ring stays in a
# processor's second cache beside what else is copied; smaller ones change hands more often where
# both ends share a core (measured: half or twice this is 5 % slower there).
SHM_RING_BYTES = MIB
SHM_CHUNK_BYTES = 128 * KIB
# Payloads from this size on are copied out of a ring past the caches, which they would only fill:
# a third less of a core's time (measured), and the ring stays in its cache.
SHM_STREAM_BYTES = 4 * MIB
# A side that sleeps looks this often by itself; it is rung, so this is for a peer that forgets to.
SHM_SLEEP_S = 1.0
# Looks into shared memory between two that also ask whether the peer is there, and let other
# threads of this process run.
SHM_LOOKS = 16
# Frames and bytes of them on their way between two ends of an in-process link.
INPROC_FRAMES_MAX = 64
INPROC_BYTES_MAX = 16 * MIB

# How long until a worker is told again that several threads wait: it remembers it for twice that.
WAITERS_AGAIN_S = 0.5

# Copies between devices --------------------
# What travels at a time where two devices' copies go through the program's process, which holds two
# of them: large enough for links of some milliseconds, small beside any program.
PEER_CHUNK_BYTES = 8 * MIB
