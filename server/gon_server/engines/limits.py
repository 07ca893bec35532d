"""Every maximum of engines, its unit in its name, with its reason: as gon/limits.py, for what only
the host's side knows.
"""

from __future__ import annotations

from gon.limits import MIB

# Formats that a site may choose engines for: far beyond what there is.
ENGINE_FORMATS_MAX = 32
# Rules by which a site forbids engines: beside formats, some engines of each.
ENGINE_RULES_MAX = 64

# Parameters of one function, as many as a graph may name arguments; and dimensions of one tensor,
# as many as NumPy has.
TENSORS_MAX = 256
TENSOR_DIMS_MAX = 64

# ONNX: nodes of one model, 20 µs each to look at; how deep graphs lie in graphs, five Python frames
# each.
ONNX_NODES_MAX = 100_000
# Fields of one model, half a microsecond each to look at: weights are one field, the numbers of a
# tree ensemble one each.
ONNX_FIELDS_MAX = 16_000_000
ONNX_DEPTH_MAX = 60
# Threads of an engine's own: beyond, one call gains little and its neighbours lose much.
ENGINE_THREADS_MAX = 16
# A name in a signature: a model may have longer ones, its parameters may not.
PARAMETER_NAME_BYTES_MAX = 256
# Sets of arguments that a function stays bound to: a loop over a few pairs of buffers binds each
# once (binding an ONNX model of three tensors takes 37 µs, running a small one 6).
BOUND_MAX = 16
# Who serves a lease is quiet if it has used so little of the processor between two looks; after the
# patience engines are loaded all the same.
QUIET_LOOK_S = 0.02
QUIET_SHARE = 0.02
QUIET_PATIENCE_S = 5.0
# IREE's disassembler reads a module within this: one of 2 MB takes 0.27 s (measured), with the look
# at what it says.
DISASSEMBLY_S = 10.0
# Memory for images between stages, kept from call to call, twice: an image of float32 with five
# million pixels fits; of larger ones new pages cost little beside the work.
SCRATCH_KEPT_BYTES_MAX = 64 * MIB
# Elements that an array operation works on at once where it makes arrays of its own for them, up to
# ten: these lie in the cache, and are nobody's memory otherwise.
PART_ELEMENTS_MAX = 1 << 16
