// Histograms by global atomics, by privatised bins in shared memory, and weighted.
#define SIZE 256

extern "C" __global__ void histo_global(const unsigned char *buffer, long size, unsigned int *histo)
{
    int i = threadIdx.x + blockIdx.x * blockDim.x;
    int stride = blockDim.x * gridDim.x;
    while (i < size) {
        atomicAdd(&histo[buffer[i]], 1);
        i += stride;
    }
}

extern "C" __global__ void histo_shared(const unsigned char *buffer, long size, unsigned int *histo)
{
    // clear out the accumulation buffer called temp; each thread clears one location
    __shared__ unsigned int temp[SIZE];
    temp[threadIdx.x] = 0;
    __syncthreads();

    int i = threadIdx.x + blockIdx.x * blockDim.x;
    int offset = blockDim.x * gridDim.x;
    while (i < size) {
        atomicAdd(&temp[buffer[i]], 1);
        i += offset;
    }
    __syncthreads();
    atomicAdd(&(histo[threadIdx.x]), temp[threadIdx.x]);
}

// Any number of bins: they are dynamic shared memory.
extern "C" __global__ void histo_dynamic(const int* __restrict__ keys, int n, int* bins, int num_bins)
{
    extern __shared__ int local[];
    for (int b = threadIdx.x; b < num_bins; b += blockDim.x) local[b] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) {
        int bin = keys[i] % num_bins;
        if (bin < 0) bin += num_bins;
        atomicAdd(local + bin, 1);
    }
    __syncthreads();
    for (int b = threadIdx.x; b < num_bins; b += blockDim.x)
        if (local[b]) atomicAdd(bins + b, local[b]);
}

extern "C" __global__ void histo_weighted(const float* value, const float* weight, float* bins, int n,
                                          float low, float width, int num_bins)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        int b = __float2int_rd((value[i] - low) / width);
        b = min(max(b, 0), num_bins - 1);
        atomicAdd(&bins[b], weight[i]);
    }
}
