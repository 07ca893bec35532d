// Dot product and norms: a partial sum a block in shared memory, finished by the host, by an
// atomic, or by a second launch.
#define THREADS_PER_BLOCK 256

extern "C" __global__ void dot(const float *a, const float *b, float *c, int N)
{
    __shared__ float cache[THREADS_PER_BLOCK];
    int tid = threadIdx.x + blockIdx.x * blockDim.x;
    int cacheIndex = threadIdx.x;

    float temp = 0;
    while (tid < N) {
        temp += a[tid] * b[tid];
        tid += blockDim.x * gridDim.x;
    }

    // set the cache values
    cache[cacheIndex] = temp;

    // synchronize threads in this block
    __syncthreads();

    // for reductions, THREADS_PER_BLOCK must be a power of 2
    int i = blockDim.x / 2;
    while (i != 0) {
        if (cacheIndex < i)
            cache[cacheIndex] += cache[cacheIndex + i];
        __syncthreads();
        i /= 2;
    }

    if (cacheIndex == 0)
        c[blockIdx.x] = cache[0];
}

__device__ __forceinline__ float square(float v) { return v * v; }

extern "C" __global__ void norm2_atomic(const float* __restrict__ x, float* result, int n)
{
    __shared__ float partial;
    if (threadIdx.x == 0) partial = 0.0f;
    __syncthreads();

    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(&partial, square(x[i]));
    __syncthreads();

    if (threadIdx.x == 0) atomicAdd(result, partial);
}

extern "C" __global__ void abs_sum_dynamic(const float* __restrict__ x, float* __restrict__ out, int n)
{
    extern __shared__ float sdata[];
    unsigned int tid = threadIdx.x;
    float sum = 0.f;
    for (unsigned int i = blockIdx.x * blockDim.x + tid; i < n; i += gridDim.x * blockDim.x)
        sum += fabsf(x[i]);
    sdata[tid] = sum;
    __syncthreads();
    for (unsigned int s = blockDim.x >> 1; s > 0; s >>= 1) {
        if (tid < s) sdata[tid] += sdata[tid + s];
        __syncthreads();
    }
    if (tid == 0) out[blockIdx.x] = sdata[0];
}
