"""What the driver for CUDA takes of cuda.h, by a header of a few lines, so that each rule is seen;
and how long a cubin is.
"""

from __future__ import annotations

import struct

import pytest

from gon.errors import ConfigError
from gon_shim.cuda import elf
from gon_shim.cuda.declarations import declared, versions_in

HEADER = """
typedef unsigned int cuuint32_t;
typedef enum cudaError_enum { CUDA_SUCCESS = 0, CUDA_OTHER = (1 << 2) } CUresult;
typedef struct CUctx_st *CUcontext;
struct odd_st;
typedef void (*CUhostFn)(void *userData);
typedef struct pair_st { cuuint32_t a; struct odd_st *odd; CUhostFn call; } pair_v1;
typedef pair_v1 pair;
typedef int unneeded;
CUresult cuNothing(void);
CUresult cuPairs(pair *list, const char **names,
                 CUcontext ctx);
CUresult cuPairs_v2(unneeded more);
"""


def test_a_function_and_what_it_needs_and_no_more() -> None:
    found = declared(HEADER, ["cuPairs", "cuNothing"], [])
    pairs, nothing = found.prototypes
    assert pairs.params == ("pair *list", "const char **names", "CUcontext ctx")
    assert pairs.arguments == "list, names, ctx"
    assert nothing.params == ()
    lines = found.types.splitlines()
    assert [line.split()[-1] for line in lines] == [
        *("CUresult;", "cuuint32_t;", "*userData);", "pair_v1;", "pair;", "*CUcontext;")
    ]


def test_types_that_no_function_names() -> None:
    assert declared(HEADER, [], ["unneeded"]).types.endswith("typedef int unneeded;")


def test_since_when_versions_of_a_function_are_there() -> None:
    text = """typedef CUresult (CUDAAPI *PFN_cuMake_v3020)(int a);
    typedef CUresult (CUDAAPI *PFN_cuMake_v7000_ptsz)(int a);
    typedef CUresult (CUDAAPI *PFN_cuMake_v2000)(int a);"""
    assert versions_in(text) == {"cuMake": [2000, 3020]}


def test_a_header_without_a_function() -> None:
    with pytest.raises(ConfigError, match="declares no cuMissing"):
        declared(HEADER, ["cuMissing"], [])


@pytest.mark.parametrize(
    ("segments_at", "sections_at", "size"),
    # As nvcc lays them out, and the other way round.
    [(2688, 1792, 2688 + 3 * 56), (64, 1792, 1792 + 14 * 64)],
)
def test_a_cubin_ends_with_the_later_of_its_tables(
    segments_at: int, sections_at: int, size: int
) -> None:
    start = elf.MAGIC.ljust(32, b"\0")
    sizes = struct.pack("<I6H", 0, 64, 56, 3, 64, 14, 13)
    head = start + struct.pack("<2Q", segments_at, sections_at) + sizes
    assert len(head) == elf.HEAD_BYTES
    assert elf.size_of(head) == size
