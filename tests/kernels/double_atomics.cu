// Atomic sums of doubles by compare-and-swap on 64 bits, as the programming guide shows it.

__device__ double atomicAddDouble(double* address, double val)
{
    unsigned long long int* address_as_ull = (unsigned long long int*)address;
    unsigned long long int old = *address_as_ull, assumed;

    do {
        assumed = old;
        old = atomicCAS(address_as_ull, assumed,
                        __double_as_longlong(val + __longlong_as_double(assumed)));

        // Note: uses integer comparison to avoid hang in case of NaN (since NaN != NaN)
    } while (assumed != old);

    return __longlong_as_double(old);
}

extern "C" __global__ void sum_doubles_cas(const double* __restrict__ in, double* __restrict__ out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAddDouble(out, in[i]);
}

extern "C" __global__ void sum_doubles(const double* __restrict__ in, double* __restrict__ out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(out, in[i]);
}

extern "C" __global__ void moments(const double* in, double* out, int n)
{
    __shared__ double s[2];
    if (threadIdx.x < 2) s[threadIdx.x] = 0.0;
    __syncthreads();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        atomicAddDouble(&s[0], in[i]);
        atomicAddDouble(&s[1], in[i] * in[i]);
    }
    __syncthreads();
    if (threadIdx.x < 2) atomicAddDouble(&out[threadIdx.x], s[threadIdx.x]);
}
