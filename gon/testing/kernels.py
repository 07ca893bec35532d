"""The kernels of the device conformance suite, in each format that a device may take.

Every format's module has the same kernels, with the same parameters and the same meaning:

    saxpy(float a, const float *x, float *y, int n)          y[i] += a · x[i] for i < n
    index(uint *out, uint base)                              out[i] = base + i
    advance(uint *data, uint factor, uint term)              data[i] = data[i] · factor + term
    block_sum(const uint *in, uint *out, local uint *s)      out[block] = sum of the block's in[i]
    scale(float *data, struct {float factor; int term; char unused[8];} how)
                                                             data[i] = data[i] · factor + term
    shape(uint *out)                                         out[thread] = block · 65536 + place in
    it nothing()

where i and thread number the threads, x fastest, and block the blocks. Here they are text; nothing
is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class TestModule:
    """A module with the suite's kernels, and one of the same format that does not compile.

    `broken_says` is a word that the compiler's log of the broken one contains.
    """

    __test__ = False  # for pytest: not a test, though it is called one

    code: bytes
    broken: bytes
    broken_says: str


_OPENCL_C: Final = b"""
typedef struct { float factor; int term; char unused[8]; } scaling;

kernel void saxpy(float a, global const float *x, global float *y, int n)
{
    size_t i = get_global_id(0);
    if (i < n) y[i] += a * x[i];
}
kernel void index(global uint *out, uint base)
{
    out[get_global_id(0)] = base + get_global_id(0);
}
kernel void advance(global uint *data, uint factor, uint term)
{
    size_t i = get_global_id(0);
    data[i] = data[i] * factor + term;
}
kernel void block_sum(global const uint *in, global uint *out, local uint *scratch)
{
    size_t me = get_local_id(0);
    scratch[me] = in[get_global_id(0)];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (me == 0) {
        uint sum = 0;
        for (size_t i = 0; i < get_local_size(0); i++) sum += scratch[i];
        out[get_group_id(0)] = sum;
    }
}
kernel void scale(global float *data, scaling how)
{
    size_t i = get_global_id(0);
    data[i] = data[i] * how.factor + how.term;
}
kernel void shape(global uint *out)
{
    size_t thread = (get_global_id(2) * get_global_size(1) + get_global_id(1))
        * get_global_size(0) + get_global_id(0);
    size_t block = (get_group_id(2) * get_num_groups(1) + get_group_id(1))
        * get_num_groups(0) + get_group_id(0);
    size_t place = (get_local_id(2) * get_local_size(1) + get_local_id(1))
        * get_local_size(0) + get_local_id(0);
    out[thread] = block * 65536 + place;
}
kernel void nothing(void) { }
"""

KERNEL_NAMES: Final = ("saxpy", "index", "advance", "block_sum", "scale", "shape", "nothing")

MODULES: Final[dict[str, TestModule]] = {
    "opencl-c": TestModule(
        code=_OPENCL_C,
        broken=b"kernel void broken(global int *x) { x[0] = undeclared_thing; }",
        broken_says="undeclared_thing",
    ),
    "python-sim": TestModule(
        code="\n".join(KERNEL_NAMES).encode(),
        broken=b"saxpy\nundeclared_thing\n",
        broken_says="undeclared_thing",
    ),
}
