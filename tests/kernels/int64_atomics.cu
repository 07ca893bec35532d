// Atomics on 64 bits: what an unsigned long long has, and what is made of compare-and-swap.

typedef unsigned long long int ull;

extern "C" __global__ void atomics_64(const ull* __restrict__ in, ull* __restrict__ out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    atomicAdd(&out[0], in[i]);
    atomicMin(&out[1], in[i]);
    atomicMax(&out[2], in[i]);
    atomicAnd(&out[3], in[i]);
    atomicOr(&out[4], in[i]);
    atomicXor(&out[5], in[i]);
    atomicExch(&out[6], 42ULL);
}

// The smallest value and where it is, in one word: value above, index below.
extern "C" __global__ void arg_min_packed(const float* __restrict__ values, ull* best, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned int bits = __float_as_uint(values[i]);
    unsigned int key = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    ull candidate = ((ull)key << 32) | (unsigned int)i;
    ull seen = *best;
    while (candidate < seen) {
        ull old = atomicCAS(best, seen, candidate);
        if (old == seen) break;
        seen = old;
    }
}
