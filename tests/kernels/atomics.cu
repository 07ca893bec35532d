// Every atomic of the guide on ints and floats, and what is made of compare-and-swap.

extern "C" __global__ void atomic_integers(const int* __restrict__ in, int* __restrict__ out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int v = in[i];
    atomicAdd(&out[0], v);
    atomicSub(&out[1], v);
    atomicMin(&out[2], v);
    atomicMax(&out[3], v);
    atomicAnd(&out[4], v);
    atomicOr(&out[5], v);
    atomicXor(&out[6], v);
    atomicExch(&out[7], 42);
}

extern "C" __global__ void atomic_unsigned(const unsigned int* in, unsigned int* out, int n, unsigned int limit)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    atomicAdd(&out[0], in[i]);
    atomicMin(&out[1], in[i]);
    atomicMax(&out[2], in[i]);
    atomicInc(&out[3], limit);
    atomicDec(&out[4], limit);
}

// The value before is a ticket: each of 0 .. n-1 is given once.
extern "C" __global__ void atomic_tickets(int* counter, int* tickets, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) tickets[i] = atomicAdd(counter, 1);
}

extern "C" __global__ void atomic_float_sum(const float* in, float* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(out, in[i]);
}

__device__ float atomicMaxFloat(float *address, float val)
{
    int *address_as_int = (int *)address;
    int old = *address_as_int, assumed;
    while (val > __int_as_float(old)) {
        assumed = old;
        old = atomicCAS(address_as_int, assumed, __float_as_int(val));
        if (assumed == old) break;
    }
    return __int_as_float(old);
}

extern "C" __global__ void atomic_float_max(const float* in, float* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicMaxFloat(out, in[i]);
}

// A linked list a bucket, heads exchanged: every element is in its list once.
extern "C" __global__ void build_lists(const int* __restrict__ keys, int* __restrict__ heads,
                                       int* __restrict__ next, int n, int buckets)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        next[i] = atomicExch(&heads[keys[i] % buckets], i);
}

// Shared-memory atomics of a block, then one of the whole grid.
extern "C" __global__ void block_extremes(const int* in, int* out, int n)
{
    __shared__ int low, high;
    if (threadIdx.x == 0) {
        low = 0x7fffffff;
        high = -0x7fffffff - 1;
    }
    __syncthreads();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        atomicMin(&low, in[i]);
        atomicMax(&high, in[i]);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        atomicMin(&out[0], low);
        atomicMax(&out[1], high);
    }
}
