"""Vector types: structs of CUDA's size, alignment and members, and what makes them.

They are not OpenCL's vectors: those have other sizes (a float3 of 16 bytes) and operators that CUDA
C has not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gon_server.cuda_c.builtin import Builtin, Feature, Kind, function, part

# CUDA's prefix → the element's type and size in bytes.
ELEMENTS: Final = {
    "char": ("char", 1),
    "uchar": ("uchar", 1),
    "short": ("short", 2),
    "ushort": ("ushort", 2),
    "int": ("int", 4),
    "uint": ("uint", 4),
    "long": ("long", 8),
    "ulong": ("ulong", 8),
    "longlong": ("long", 8),
    "ulonglong": ("ulong", 8),
    "float": ("float", 4),
    "double": ("double", 8),
}
MEMBERS: Final = ("x", "y", "z", "w")
ALIGNMENT_MAX: Final = 16


def alignment(name: str, count: int) -> int:
    """Return the alignment in bytes of the vector of `count` elements, 1 to 4."""
    size = ELEMENTS[name][1]
    return size if count in (1, 3) else min(size * count, ALIGNMENT_MAX)


def vector_builtins() -> Iterator[Builtin]:
    """Yield every vector type, its `make_` function, and dim3."""
    for name, (element, _size) in ELEMENTS.items():
        needs = frozenset({Feature.FP64} if element == "double" else ())
        for count in (1, 2, 3, 4):
            vector = f"{name}{count}"
            members = MEMBERS[:count]
            text = (
                f"typedef struct __attribute__((aligned({alignment(name, count)}))) gon_{vector}"
                f" {{ {element} {', '.join(members)}; }} gon_{vector};"
            )
            yield Builtin(vector, Kind.TYPE, (part(text, own=vector),), needs)
            params = ", ".join(f"{element} {member}" for member in members)
            sets = " ".join(f"v.{member} = {member};" for member in members)
            body = f"gon_{vector} v; {sets} return v;"
            make = f"GON_FN gon_{vector} gon_make_{vector}({params}) {{ {body} }}"
            yield function(f"make_{vector}", make, needs=needs)
    yield _dim3()


def _dim3() -> Builtin:
    in_cpp = """\
struct gon_dim3 {
    uint x, y, z;
    gon_dim3(uint x_ = 1, uint y_ = 1, uint z_ = 1) : x(x_), y(y_), z(z_) {}
    gon_dim3(const gon_uint3 &v) : x(v.x), y(v.y), z(v.z) {}
    operator gon_uint3() const { return gon_make_uint3(x, y, z); }
};"""
    in_c = "typedef gon_uint3 gon_dim3;"
    parts = (part(in_cpp, {Feature.CPP}, own="dim3"), part(in_c, {Feature.C12}, own="dim3"))
    return Builtin("dim3", Kind.TYPE, parts)
