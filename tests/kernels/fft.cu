// Radix-2 FFT: bit reversal, then a stage a launch; and one block's transform in shared memory.
#define PI_F 3.14159265358979f

__device__ inline float2 cmul(float2 a, float2 b)
{
    return make_float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

__device__ inline float2 cadd(float2 a, float2 b) { return make_float2(a.x + b.x, a.y + b.y); }
__device__ inline float2 csub(float2 a, float2 b) { return make_float2(a.x - b.x, a.y - b.y); }

extern "C" __global__ void bit_reverse_permute(const float2* in, float2* out, int n, int log2n)
{
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[log2n ? __brev(i) >> (32 - log2n) : 0] = in[i];
}

// Butterflies of span `half`; sign is -1 forward, +1 inverse.
extern "C" __global__ void fft_stage(float2* data, int n, int half, float sign)
{
    int t = blockIdx.x * blockDim.x + threadIdx.x;
    if (t >= n / 2) return;
    int k = t % half;
    int i = (t / half) * half * 2 + k;
    float s, c;
    sincosf(sign * PI_F * k / half, &s, &c);
    float2 even = data[i];
    float2 odd = cmul(data[i + half], make_float2(c, s));
    data[i] = cadd(even, odd);
    data[i + half] = csub(even, odd);
}

// n = 2 * blockDim.x, Stockham's order needs no reversal; one transform a block.
extern "C" __global__ void fft_shared(const float2* __restrict__ in, float2* __restrict__ out, int log2n)
{
    extern __shared__ float2 buffer[];
    const int n = 1 << log2n;
    float2 *from = buffer, *to = buffer + n;
    const int t = threadIdx.x;
    from[t] = in[blockIdx.x * n + t];
    from[t + n / 2] = in[blockIdx.x * n + t + n / 2];
    __syncthreads();
    for (int half = 1; half < n; half *= 2) {
        int k = t & (half - 1);
        float s, c;
        __sincosf(-PI_F * k / half, &s, &c);
        float2 a = from[t], b = cmul(from[t + n / 2], make_float2(c, s));
        int j = (t - k) * 2 + k;
        to[j] = cadd(a, b);
        to[j + half] = csub(a, b);
        __syncthreads();
        float2 *swap = from;
        from = to;
        to = swap;
    }
    out[blockIdx.x * n + t] = from[t];
    out[blockIdx.x * n + t + n / 2] = from[t + n / 2];
}

// Walsh-Hadamard transform in integers: exact.
extern "C" __global__ void hadamard_stage(int* data, int n, int half)
{
    int t = blockIdx.x * blockDim.x + threadIdx.x;
    if (t < n / 2) {
        int i = (t / half) * half * 2 + t % half;
        int a = data[i], b = data[i + half];
        data[i] = a + b;
        data[i + half] = a - b;
    }
}
