// The steps of the classic reduction talk: interleaved with divergence, with bank conflicts,
// sequential, first add during load, last warp unrolled, several elements a thread.

extern "C" {

__global__ void reduce0(const int *g_idata, int *g_odata, unsigned int n)
{
    extern __shared__ int sdata[];

    unsigned int tid = threadIdx.x;
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    sdata[tid] = (i < n) ? g_idata[i] : 0;
    __syncthreads();

    for (unsigned int s = 1; s < blockDim.x; s *= 2) {
        // modulo arithmetic is slow!
        if ((tid % (2 * s)) == 0) {
            sdata[tid] += sdata[tid + s];
        }
        __syncthreads();
    }

    if (tid == 0) g_odata[blockIdx.x] = sdata[0];
}

__global__ void reduce1(const int *g_idata, int *g_odata, unsigned int n)
{
    extern __shared__ int sdata[];

    unsigned int tid = threadIdx.x;
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    sdata[tid] = (i < n) ? g_idata[i] : 0;
    __syncthreads();

    for (unsigned int s = 1; s < blockDim.x; s *= 2) {
        int index = 2 * s * tid;
        if (index < blockDim.x) {
            sdata[index] += sdata[index + s];
        }
        __syncthreads();
    }

    if (tid == 0) g_odata[blockIdx.x] = sdata[0];
}

__global__ void reduce2(const int *g_idata, int *g_odata, unsigned int n)
{
    extern __shared__ int sdata[];

    unsigned int tid = threadIdx.x;
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    sdata[tid] = (i < n) ? g_idata[i] : 0;
    __syncthreads();

    for (unsigned int s = blockDim.x / 2; s > 0; s >>= 1) {
        if (tid < s) {
            sdata[tid] += sdata[tid + s];
        }
        __syncthreads();
    }

    if (tid == 0) g_odata[blockIdx.x] = sdata[0];
}

__global__ void reduce3(const int *g_idata, int *g_odata, unsigned int n)
{
    extern __shared__ int sdata[];

    unsigned int tid = threadIdx.x;
    unsigned int i = blockIdx.x * (blockDim.x * 2) + threadIdx.x;

    int mySum = (i < n) ? g_idata[i] : 0;
    if (i + blockDim.x < n) mySum += g_idata[i + blockDim.x];

    sdata[tid] = mySum;
    __syncthreads();

    for (unsigned int s = blockDim.x / 2; s > 0; s >>= 1) {
        if (tid < s) {
            sdata[tid] = mySum = mySum + sdata[tid + s];
        }
        __syncthreads();
    }

    if (tid == 0) g_odata[blockIdx.x] = mySum;
}

// Many elements a thread, so that few blocks suffice.
__global__ void reduce_strided(const int *g_idata, int *g_odata, unsigned int n)
{
    extern __shared__ int sdata[];

    unsigned int tid = threadIdx.x;
    unsigned int gridSize = blockDim.x * 2 * gridDim.x;
    int mySum = 0;
    for (unsigned int i = blockIdx.x * blockDim.x * 2 + tid; i < n; i += gridSize) {
        mySum += g_idata[i];
        if (i + blockDim.x < n) mySum += g_idata[i + blockDim.x];
    }
    sdata[tid] = mySum;
    __syncthreads();

    if (blockDim.x >= 512) { if (tid < 256) { sdata[tid] += sdata[tid + 256]; } __syncthreads(); }
    if (blockDim.x >= 256) { if (tid < 128) { sdata[tid] += sdata[tid + 128]; } __syncthreads(); }
    if (blockDim.x >= 128) { if (tid < 64) { sdata[tid] += sdata[tid + 64]; } __syncthreads(); }

#pragma unroll
    for (int offset = 32; offset > 0; offset >>= 1) {
        if (tid < offset) sdata[tid] += sdata[tid + offset];
        __syncthreads();
    }
    if (tid == 0) g_odata[blockIdx.x] = sdata[0];
}

} // extern "C"

#define POS_INFINITY __int_as_float(0x7f800000)
#define NEG_INFINITY __int_as_float(0xff800000)

struct MinMax {
    float lo;
    float hi;
};

__device__ inline void combine(float *lo, float *hi, int a, int b)
{
    lo[a] = fminf(lo[a], lo[b]);
    hi[a] = fmaxf(hi[a], hi[b]);
}

extern "C" __global__ void min_max(const float* __restrict__ data, MinMax* __restrict__ result, int n)
{
    __shared__ float lo[128];
    __shared__ float hi[128];
    int tid = threadIdx.x;
    lo[tid] = POS_INFINITY;
    hi[tid] = NEG_INFINITY;
    for (int i = blockIdx.x * blockDim.x + tid; i < n; i += blockDim.x * gridDim.x) {
        lo[tid] = min(lo[tid], data[i]);
        hi[tid] = max(hi[tid], data[i]);
    }
    __syncthreads();
    for (int s = 64; s >= 1; s /= 2) {
        if (tid < s) combine(lo, hi, tid, tid + s);
        __syncthreads();
    }
    if (tid == 0) {
        MinMax found = {lo[0], hi[0]};
        result[blockIdx.x] = found;
    }
}

// The index of the largest element; of equal ones the first.
extern "C" __global__ void argmax(const float* values, int* index, float* largest, int n)
{
    __shared__ float best[256];
    __shared__ int where[256];
    const int t = threadIdx.x;
    float v = -3.402823466e+38f;
    int at = n;
    for (int i = t; i < n; i += blockDim.x)
        if (values[i] > v) { v = values[i]; at = i; }
    best[t] = v;
    where[t] = at;
    __syncthreads();
    for (int s = blockDim.x >> 1; s; s >>= 1) {
        if (t < s) {
            bool other = best[t + s] > best[t] || (best[t + s] == best[t] && where[t + s] < where[t]);
            if (other) {
                best[t] = best[t + s];
                where[t] = where[t + s];
            }
        }
        __syncthreads();
    }
    if (!t) {
        *index = where[0];
        *largest = best[0];
    }
}
