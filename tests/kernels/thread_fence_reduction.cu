// A sum in one launch: the last block to finish adds up what all blocks have left.

__device__ unsigned int retirementCount = 0;

__device__ float reduce_block(float *sdata, float mySum, const unsigned int tid)
{
    sdata[tid] = mySum;
    __syncthreads();
    for (unsigned int s = blockDim.x / 2; s > 0; s >>= 1) {
        if (tid < s) sdata[tid] += sdata[tid + s];
        __syncthreads();
    }
    float total = sdata[0];
    __syncthreads();
    return total;
}

extern "C" __global__ void reduce_single_pass(const float *g_idata, volatile float *g_odata, unsigned int n)
{
    extern __shared__ float smem[];
    __shared__ bool amLast;

    float sum = 0.0f;
    for (unsigned int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x)
        sum += g_idata[i];
    sum = reduce_block(smem, sum, threadIdx.x);

    if (gridDim.x > 1) {
        if (threadIdx.x == 0) {
            g_odata[blockIdx.x] = sum;
            // wait until all outstanding memory instructions in this thread are finished
            __threadfence();
            unsigned int ticket = atomicInc(&retirementCount, gridDim.x);
            amLast = (ticket == gridDim.x - 1);
        }
        __syncthreads();

        if (amLast) {
            float total = 0.0f;
            for (unsigned int i = threadIdx.x; i < gridDim.x; i += blockDim.x)
                total += g_odata[i];
            total = reduce_block(smem, total, threadIdx.x);
            if (threadIdx.x == 0) {
                g_odata[0] = total;
                // reset retirement count so that the next run succeeds
                retirementCount = 0;
            }
        }
    } else if (threadIdx.x == 0) {
        g_odata[0] = sum;
    }
}
