"""The kernels of the device conformance suite, in each format that a device may take.

Every format's module has the same kernels, with the same parameters and the same meaning:

    saxpy(float a, const float *x, float *y, int n)          y[i] += a · x[i] for i < n
    index(uint *out, uint base)                              out[i] = base + i
    advance(uint *data, uint factor, uint term)              data[i] = data[i] · factor + term
    block_sum(const uint *in, uint *out, local uint *s)      out[block] = sum of the block's in[i];
                                                             s is no parameter in CUDA C, but the
                                                             launch's dynamic shared memory
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

    `broken_says` is a word that the compiler's log of the broken one contains; `local_is_param`
    says whether memory local to a block is a parameter, or else the launch's `shared_bytes`.
    """

    __test__ = False  # for pytest: not a test, though it is called one

    code: bytes
    broken: bytes
    broken_says: str
    local_is_param: bool = True


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

_CUDA_C: Final = b"""
typedef struct { float factor; int term; char unused[8]; } scaling;

extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}
extern "C" __global__ void index(unsigned int *out, unsigned int base)
{
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = base + i;
}
extern "C" __global__ void advance(unsigned int *data, unsigned int factor, unsigned int term)
{
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    data[i] = data[i] * factor + term;
}
extern "C" __global__ void block_sum(const unsigned int *in, unsigned int *out)
{
    extern __shared__ unsigned int scratch[];
    scratch[threadIdx.x] = in[blockIdx.x * blockDim.x + threadIdx.x];
    __syncthreads();
    if (threadIdx.x == 0) {
        unsigned int sum = 0;
        for (unsigned int i = 0; i < blockDim.x; i++) sum += scratch[i];
        out[blockIdx.x] = sum;
    }
}
extern "C" __global__ void scale(float *data, scaling how)
{
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    data[i] = data[i] * how.factor + how.term;
}
extern "C" __global__ void shape(unsigned int *out)
{
    unsigned int x = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned int y = blockIdx.y * blockDim.y + threadIdx.y;
    unsigned int z = blockIdx.z * blockDim.z + threadIdx.z;
    unsigned int thread = (z * gridDim.y * blockDim.y + y) * gridDim.x * blockDim.x + x;
    unsigned int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    unsigned int place = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    out[thread] = block * 65536 + place;
}
extern "C" __global__ void nothing(void) { }
"""

KERNEL_NAMES: Final = ("saxpy", "index", "advance", "block_sum", "scale", "shape", "nothing")

MODULES: Final[dict[str, TestModule]] = {
    "opencl-c": TestModule(
        code=_OPENCL_C,
        broken=b"kernel void broken(global int *x) { x[0] = undeclared_thing; }",
        broken_says="undeclared_thing",
    ),
    "cuda-c": TestModule(
        code=_CUDA_C,
        broken=b"__global__ void broken(int *x) { x[0] = undeclared_thing; }",
        broken_says="undeclared_thing",
        local_is_param=False,
    ),
    "python-sim": TestModule(
        code="\n".join(KERNEL_NAMES).encode(),
        broken=b"saxpy\nundeclared_thing\n",
        broken_says="undeclared_thing",
    ),
}
