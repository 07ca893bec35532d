// Bitonic networks: one step a launch over the whole array, a block's share in shared memory, and
// odd-even transposition.

extern "C" __global__ void bitonic_sort_step(float *dev_values, int j, int k)
{
    unsigned int i, ixj; /* Sorting partners: i and ixj */
    i = threadIdx.x + blockDim.x * blockIdx.x;
    ixj = i ^ j;

    /* The threads with the lowest ids sort the array. */
    if ((ixj) > i) {
        if ((i & k) == 0) {
            /* Sort ascending */
            if (dev_values[i] > dev_values[ixj]) {
                /* exchange(i,ixj); */
                float temp = dev_values[i];
                dev_values[i] = dev_values[ixj];
                dev_values[ixj] = temp;
            }
        }
        if ((i & k) != 0) {
            /* Sort descending */
            if (dev_values[i] < dev_values[ixj]) {
                /* exchange(i,ixj); */
                float temp = dev_values[i];
                dev_values[i] = dev_values[ixj];
                dev_values[ixj] = temp;
            }
        }
    }
}

#define SHARED_SIZE_LIMIT 256U

__device__ inline void Comparator(unsigned int *keyA, unsigned int *valA, unsigned int *keyB,
                                  unsigned int *valB, unsigned int dir)
{
    unsigned int t;
    if ((*keyA > *keyB) == dir) {
        t = *keyA; *keyA = *keyB; *keyB = t;
        t = *valA; *valA = *valB; *valB = t;
    }
}

extern "C" __global__ void bitonic_sort_shared(unsigned int *d_DstKey, unsigned int *d_DstVal,
                                               const unsigned int *d_SrcKey,
                                               const unsigned int *d_SrcVal,
                                               unsigned int arrayLength, unsigned int dir)
{
    // Shared memory storage for one or more short vectors
    __shared__ unsigned int s_key[SHARED_SIZE_LIMIT];
    __shared__ unsigned int s_val[SHARED_SIZE_LIMIT];

    // Offset to the beginning of subbatch and load data
    unsigned int base = blockIdx.x * arrayLength + threadIdx.x;
    s_key[threadIdx.x] = d_SrcKey[base];
    s_val[threadIdx.x] = d_SrcVal[base];
    s_key[threadIdx.x + arrayLength / 2] = d_SrcKey[base + arrayLength / 2];
    s_val[threadIdx.x + arrayLength / 2] = d_SrcVal[base + arrayLength / 2];

    for (unsigned int size = 2; size < arrayLength; size <<= 1) {
        // Bitonic merge
        unsigned int ddd = dir ^ ((threadIdx.x & (size / 2)) != 0);
        for (unsigned int stride = size / 2; stride > 0; stride >>= 1) {
            __syncthreads();
            unsigned int pos = 2 * threadIdx.x - (threadIdx.x & (stride - 1));
            Comparator(&s_key[pos], &s_val[pos], &s_key[pos + stride], &s_val[pos + stride], ddd);
        }
    }
    // ddd == dir for the last bitonic merge step
    for (unsigned int stride = arrayLength / 2; stride > 0; stride >>= 1) {
        __syncthreads();
        unsigned int pos = 2 * threadIdx.x - (threadIdx.x & (stride - 1));
        Comparator(&s_key[pos + 0], &s_val[pos + 0], &s_key[pos + stride], &s_val[pos + stride], dir);
    }
    __syncthreads();
    d_DstKey[base] = s_key[threadIdx.x];
    d_DstVal[base] = s_val[threadIdx.x];
    d_DstKey[base + arrayLength / 2] = s_key[threadIdx.x + arrayLength / 2];
    d_DstVal[base + arrayLength / 2] = s_val[threadIdx.x + arrayLength / 2];
}

extern "C" __global__ void odd_even_transposition(short *data, int n, int phase)
{
    int i = 2 * (blockIdx.x * blockDim.x + threadIdx.x) + (phase & 1);
    if (i + 1 < n && data[i] > data[i + 1]) {
        short swap = data[i];
        data[i] = data[i + 1];
        data[i + 1] = swap;
    }
}

// Rank sort: where an element belongs is how many are before it.
extern "C" __global__ void rank_sort(const long long* keys, long long* sorted, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int rank = 0;
    for (int j = 0; j < n; j++)
        rank += keys[j] < keys[i] || (keys[j] == keys[i] && j < i);
    sorted[rank] = keys[i];
}
