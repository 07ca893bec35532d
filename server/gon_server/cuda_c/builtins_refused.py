"""What of CUDA C there is not on units that are no CUDA GPU, and why, for whoever is refused it.

Names are exact; prefixes stand for families that CUDA keeps adding to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_TEXTURES: Final = "textures and surfaces are not on this unit: read from a buffer"
_CLOCK: Final = "kernels have no clock on this unit: time launches by events"
_STOP: Final = "a kernel cannot stop itself on this unit: write a flag and return"
_MATRIX: Final = "matrix instructions (wmma, mma) are not on this unit"
_BFLOAT: Final = "bfloat16 is not on this unit: convert to float"
_SMALL_FLOAT: Final = "8-, 6- and 4-bit floats are not on this unit: convert to float"
_HEAP: Final = "kernels have no heap on this unit: pass a buffer"
_HOST: Final = "the CUDA runtime is the host's: kernels here launch, allocate and ask for nothing"
_RANDOM: Final = "cuRAND's device functions are not on this unit: use a counter-based generator"
_SPACES: Final = "address spaces are the compiler's on this unit: use ordinary pointers"
_OLD_WARP: Final = "it tells not which threads take part: use the form with _sync and a mask"
_BESSEL: Final = "Bessel functions are not on this unit"
_DIRECTED: Final = "double rounds to nearest only on this unit: use the form with _rn"
_CLUSTER: Final = "thread block clusters are not on this unit"
_ASYNC: Final = "asynchronous copies are not on this unit: copy, then __syncthreads()"
_PACKED: Final = "packed float2 arithmetic is not on this unit: compute x and y"
_QUAD: Final = "128-bit numbers are not on this unit"
_UNCLEAR: Final = "its rounding is not specified well enough to be had elsewhere than on a CUDA GPU"

_BY_REASON: Final = {
    _CLOCK: "clock clock64 clock_t __clock __clock64 globaltimer",
    _STOP: "__trap __brkpt assert __assertfail __assert_fail abort exit __nanosleep __prof_trigger",
    _HEAP: "malloc free calloc realloc alloca __nv_aligned_device_malloc",
    _SPACES: "__isGlobal __isShared __isConstant __isLocal __isGridConstant __isClusterShared"
    " __isCtaShared",
    _OLD_WARP: "__shfl __shfl_up __shfl_down __shfl_xor __any __all __ballot",
    _BESSEL: "j0 j1 jn y0 y1 yn j0f j1f jnf y0f y1f ynf cyl_bessel_i0 cyl_bessel_i1"
    " cyl_bessel_i0f cyl_bessel_i1f",
    _DIRECTED: " ".join(
        f"__{name}_{mode}"
        for name in ("dadd", "dsub", "dmul", "fma", "ddiv", "drcp", "dsqrt")
        for mode in ("rd", "ru", "rz")
    ),
    "barriers of a part of a block are not on this unit": "__barrier_sync __barrier_sync_count",
    _PACKED: " ".join(
        f"__{name}2_{mode}"
        for name in ("fadd", "fmul", "ffma")
        for mode in ("rd", "rn", "ru", "rz")
    ),
    _QUAD: "__int128 __int128_t __uint128_t __float128",
    _UNCLEAR: "__vavgs2 __vavgs4 __hcmadd htanh_approx h2tanh_approx",
    "of C's library kernels here have printf, memcpy, memset and the mathematics": "fprintf"
    " memmove memcmp puts putchar sprintf snprintf strlen strcmp strcpy qsort rand srand",
    _ASYNC: "__pipeline_memcpy_async __pipeline_commit __pipeline_wait_prior __mbarrier_init",
    "grids cannot be synchronised on this unit: end the kernel and launch another": "grid_group"
    " this_grid multi_grid_group this_multi_grid",
}
_PREFIXES: Final = {
    "tex1D": _TEXTURES,
    "tex2D": _TEXTURES,
    "tex3D": _TEXTURES,
    "texCubemap": _TEXTURES,
    "tex1Dfetch": _TEXTURES,
    "texture": _TEXTURES,
    "surf": _TEXTURES,
    "__surf": _TEXTURES,
    "__tex": _TEXTURES,
    "wmma": _MATRIX,
    "nvcuda": _MATRIX,
    "__mma": _MATRIX,
    "__hmma": _MATRIX,
    "__imma": _MATRIX,
    "__bmma": _MATRIX,
    "__dmma": _MATRIX,
    "__nv_bfloat16": _BFLOAT,
    "nv_bfloat16": _BFLOAT,
    "__bfloat16": _BFLOAT,
    "__float2bfloat16": _BFLOAT,
    "__nv_fp8": _SMALL_FLOAT,
    "__nv_fp6": _SMALL_FLOAT,
    "__nv_fp4": _SMALL_FLOAT,
    "cudaTextureObject": _TEXTURES,
    "cudaSurfaceObject": _TEXTURES,
    "cuda": _HOST,
    "__cuda": _HOST,
    "curand": _RANDOM,
    "__cvta_": _SPACES,
    "__cluster": _CLUSTER,
    "__nv_memcpy_async": _ASYNC,
    "__pipeline_": _ASYNC,
    "__mbarrier": _ASYNC,
    "__nv_atomic_": "scoped atomics with an order are not on this unit: use atomicAdd and its kin",
    "__nv_associate_access_property": "access properties are not on this unit: leave them out",
    "__threadfence_cluster": _CLUSTER,
    "__nvvm_": "it is NVIDIA's compiler's own: use the documented function",
    "__nv_": "it is NVIDIA's compiler's own: use the documented function",
    "__u128Atomic": _QUAD,
    "__pm": "performance counters are not on this unit",
    "__vib": "this choice of two packed numbers is not on this unit: use __vmaxs2 or __vmins2",
    "asm": "inline PTX is for CUDA GPUs only",
    "__asm": "inline PTX is for CUDA GPUs only",
}


def _names() -> Iterator[tuple[str, str]]:
    for reason, names in _BY_REASON.items():
        for name in names.split():
            yield name, reason


REFUSED: Final[dict[str, str]] = dict(_names())
REFUSED_PREFIXES: Final[dict[str, str]] = dict(
    sorted(_PREFIXES.items(), key=lambda row: -len(row[0]))
)
