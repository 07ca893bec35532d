"""Names that mean something to an OpenCL compiler and nothing to CUDA: a program that declares one
is given another name in the translation.

Rules: a table. Names that CUDA has too are not the user's to declare freely; they are in the table
of built-ins.
"""

from __future__ import annotations

from itertools import product
from typing import Final

_KEYWORDS: Final = """
kernel global local constant private generic half uniform pipe read_only write_only read_write
__kernel __global __local __constant __private __generic __read_only __write_only __read_write
image1d_t image1d_array_t image1d_buffer_t image2d_t image2d_array_t image2d_depth_t
image2d_array_depth_t image2d_msaa_t image2d_array_msaa_t image2d_msaa_depth_t
image2d_array_msaa_depth_t image3d_t sampler_t event_t queue_t clk_event_t reserve_id_t ndrange_t
cl_mem_fence_flags memory_order memory_scope atomic_int atomic_uint atomic_long atomic_ulong
atomic_float atomic_double atomic_flag atomic_size_t atomic_ptrdiff_t atomic_intptr_t
atomic_uintptr_t uchar ushort uint ulong quad complex imaginary vec_step addrspace_cast typeof
__auto_type restrict inline asm main
"""
_FUNCTIONS: Final = """
get_work_dim get_global_size get_global_id get_local_size get_enqueued_local_size get_local_id
get_num_groups get_group_id get_global_offset get_global_linear_id get_local_linear_id
get_sub_group_size get_max_sub_group_size get_num_sub_groups get_enqueued_num_sub_groups
get_sub_group_id get_sub_group_local_id acospi asinpi atanpi atan2pi maxmag minmag mad fract nan
powr pown rootn half_cos half_divide half_exp half_exp2 half_exp10 half_log half_log2 half_log10
half_powr half_recip half_rsqrt half_sin half_sqrt half_tan native_cos native_divide native_exp
native_exp2 native_exp10 native_log native_log2 native_log10 native_powr native_recip native_rsqrt
native_sin native_sqrt native_tan abs_diff add_sat hadd rhadd clamp clz ctz mad_hi mad_sat mul_hi
rotate sub_sat upsample popcount mad24 mul24 degrees mix radians step smoothstep sign cross dot
distance length normalize fast_distance fast_length fast_normalize isequal isnotequal isgreater
isgreaterequal isless islessequal islessgreater isordered isunordered isnormal any all bitselect
select barrier work_group_barrier sub_group_barrier mem_fence read_mem_fence write_mem_fence
async_work_group_copy async_work_group_strided_copy wait_group_events prefetch shuffle shuffle2
atomic_add atomic_sub atomic_xchg atomic_inc atomic_dec atomic_cmpxchg atomic_min atomic_max
atomic_and atomic_or atomic_xor atom_add atom_sub atom_xchg atom_inc atom_dec atom_cmpxchg atom_min
atom_max atom_and atom_or atom_xor atomic_init atomic_work_item_fence atomic_store atomic_load
atomic_exchange atomic_fetch_add atomic_fetch_sub atomic_fetch_or atomic_fetch_xor atomic_fetch_and
atomic_fetch_min atomic_fetch_max atomic_flag_clear atomic_flag_test_and_set to_global to_local
to_private get_fence work_group_all work_group_any work_group_broadcast read_imagef read_imagei
read_imageui write_imagef write_imagei write_imageui get_image_width get_image_height
get_image_depth get_image_dim vload_half vstore_half bit_reverse bitfield_insert sub_group_all
sub_group_any sub_group_broadcast sub_group_shuffle sub_group_ballot sub_group_reduce_add
sub_group_elect sub_group_rotate enqueue_kernel enqueue_marker get_default_queue create_user_event
retain_event release_event ndrange_1D ndrange_2D ndrange_3D exp10 rsqrt pow
"""
_MACROS: Final = """
CHAR_BIT MAXFLOAT HUGE_VALF HUGE_VAL NAN INFINITY FLT_DIG FLT_MANT_DIG FLT_MAX_10_EXP FLT_MAX_EXP
FLT_MIN_10_EXP FLT_MIN_EXP FLT_RADIX FLT_MAX FLT_MIN FLT_EPSILON DBL_MAX DBL_MIN DBL_EPSILON
CLK_LOCAL_MEM_FENCE CLK_GLOBAL_MEM_FENCE CLK_IMAGE_MEM_FENCE ATOMIC_VAR_INIT ATOMIC_FLAG_INIT
NULL_VALUE CHAR_MAX CHAR_MIN SCHAR_MAX SCHAR_MIN UCHAR_MAX SHRT_MAX SHRT_MIN USHRT_MAX INT_MAX
INT_MIN UINT_MAX LONG_MAX LONG_MIN ULONG_MAX linux unix vector_size overloadable aligned packed
M_E_F M_LOG2E_F M_LOG10E_F M_LN2_F M_LN10_F M_PI_F M_PI_2_F M_PI_4_F M_1_PI_F M_2_PI_F M_2_SQRTPI_F
M_SQRT2_F M_SQRT1_2_F
"""
_SCALARS: Final = (
    "char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", "float", "double", "half",
)  # fmt: skip
_LANES: Final = ("2", "3", "4", "8", "16")


def _vectors() -> frozenset[str]:
    types = {scalar + lanes for scalar, lanes in product(_SCALARS, _LANES)}
    calls = {f"{what}{lanes}" for what, lanes in product(("vload", "vstore"), _LANES)}
    every = {*types, *_SCALARS}
    return frozenset(types | calls | {f"as_{t}" for t in every} | {f"convert_{t}" for t in every})


OPENCL_NAMES: Final = frozenset((*_KEYWORDS.split(), *_FUNCTIONS.split(), *_MACROS.split()))
OPENCL_VECTORS: Final = _vectors()


def is_reserved(name: str) -> bool:
    """Return whether a program's own name must be another in OpenCL."""
    return (
        name in OPENCL_NAMES
        or name in OPENCL_VECTORS
        or name.startswith(("gon_", "GON_", "convert_", "cl_", "CL_", "__opencl", "intel_"))
    )
