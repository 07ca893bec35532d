// Least-significant-digit radix sort, four bits a pass: digit counts a block, a scan of the counts
// (digit-major), a stable scatter.
#define RADIX_BITS 4
#define RADIX (1 << RADIX_BITS)
#define THREADS 128

static __device__ __host__ inline unsigned digit_of(unsigned key, int shift)
{
    return (key >> shift) & (RADIX - 1);
}

extern "C" __global__ void radix_count(const unsigned* __restrict__ keys, unsigned* __restrict__ counts,
                                       int shift, int n)
{
    __shared__ unsigned bins[RADIX];
    if (threadIdx.x < RADIX) bins[threadIdx.x] = 0;
    __syncthreads();
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < n) atomicAdd(&bins[digit_of(keys[i], shift)], 1u);
    __syncthreads();
    if (threadIdx.x < RADIX) counts[threadIdx.x * gridDim.x + blockIdx.x] = bins[threadIdx.x];
}

// Exclusive scan in place by one thread block, chunk after chunk.
extern "C" __global__ void radix_scan(unsigned* data, int n)
{
    __shared__ unsigned part[THREADS];
    __shared__ unsigned carry;
    if (threadIdx.x == 0) carry = 0;
    for (int base = 0; base < n; base += THREADS) {
        int i = base + threadIdx.x;
        unsigned mine = i < n ? data[i] : 0;
        part[threadIdx.x] = mine;
        __syncthreads();
        for (int d = 1; d < THREADS; d <<= 1) {
            unsigned other = threadIdx.x >= d ? part[threadIdx.x - d] : 0;
            __syncthreads();
            part[threadIdx.x] += other;
            __syncthreads();
        }
        if (i < n) data[i] = carry + part[threadIdx.x] - mine;
        __syncthreads();
        if (threadIdx.x == THREADS - 1) carry += part[threadIdx.x];
        __syncthreads();
    }
}

extern "C" __global__ void radix_scatter(const unsigned* __restrict__ keys, unsigned* __restrict__ sorted,
                                         const unsigned* __restrict__ offsets, int shift, int n)
{
    __shared__ unsigned char digits[THREADS];
    int i = blockIdx.x * THREADS + threadIdx.x;
    unsigned key = i < n ? keys[i] : 0xffffffff;
    unsigned d = digit_of(key, shift);
    digits[threadIdx.x] = (unsigned char)d;
    __syncthreads();
    if (i < n) {
        unsigned before = 0;
        for (int t = 0; t < threadIdx.x; t++)
            before += digits[t] == d;
        sorted[offsets[d * gridDim.x + blockIdx.x] + before] = key;
    }
}

// Floats sort as unsigned numbers once their bits are flipped.
extern "C" __global__ void float_to_sortable(const float* in, unsigned* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        unsigned bits = __float_as_uint(in[i]);
        unsigned mask = -int(bits >> 31) | 0x80000000;
        out[i] = bits ^ mask;
    }
}

extern "C" __global__ void sortable_to_float(const unsigned* in, float* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        unsigned mask = ((in[i] >> 31) - 1) | 0x80000000;
        out[i] = __uint_as_float(in[i] ^ mask);
    }
}
