// Warp intrinsics: shuffles, votes, and what is built of them.
#define WARP_SIZE 32
#define FULL_MASK 0xffffffff

__inline__ __device__ int warpReduceSum(int val)
{
    for (int offset = warpSize / 2; offset > 0; offset /= 2)
        val += __shfl_down_sync(FULL_MASK, val, offset);
    return val;
}

__inline__ __device__ float warpAllReduceMax(float val)
{
    for (int mask = WARP_SIZE / 2; mask > 0; mask /= 2)
        val = fmaxf(val, __shfl_xor_sync(FULL_MASK, val, mask));
    return val;
}

__inline__ __device__ int blockReduceSum(int val)
{
    static __shared__ int shared[32]; // Shared mem for 32 partial sums
    int lane = threadIdx.x % warpSize;
    int wid = threadIdx.x / warpSize;

    val = warpReduceSum(val); // Each warp performs partial reduction

    if (lane == 0)
        shared[wid] = val; // Write reduced value to shared memory

    __syncthreads(); // Wait for all partial reductions

    // read from shared memory only if that warp existed
    val = (threadIdx.x < blockDim.x / warpSize) ? shared[lane] : 0;

    if (wid == 0)
        val = warpReduceSum(val); // Final reduce within first warp

    return val;
}

extern "C" __global__ void device_reduce(const int *in, int *out, int N)
{
    int sum = 0;
    // reduce multiple elements per thread
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < N; i += blockDim.x * gridDim.x) {
        sum += in[i];
    }
    sum = blockReduceSum(sum);
    if (threadIdx.x == 0)
        atomicAdd(out, sum);
}

// Inclusive scan within each warp by shfl_up.
extern "C" __global__ void warp_scan(const int* __restrict__ in, int* __restrict__ out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int lane = threadIdx.x & (WARP_SIZE - 1);
    int value = i < n ? in[i] : 0;
#pragma unroll
    for (int d = 1; d < WARP_SIZE; d <<= 1) {
        int other = __shfl_up_sync(FULL_MASK, value, d);
        if (lane >= d) value += other;
    }
    if (i < n) out[i] = value;
}

// Scan of a whole block: warps, then the sums of warps.
extern "C" __global__ void block_scan_shuffle(const int* in, int* out, int n)
{
    __shared__ int sums[WARP_SIZE];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int lane = threadIdx.x % WARP_SIZE, warp_id = threadIdx.x / WARP_SIZE;
    int value = i < n ? in[i] : 0;
    for (int d = 1; d < WARP_SIZE; d *= 2) {
        int t = __shfl_up_sync(FULL_MASK, value, d, WARP_SIZE);
        if (lane >= d) value += t;
    }
    if (lane == WARP_SIZE - 1) sums[warp_id] = value;
    __syncthreads();
    if (warp_id == 0) {
        int warp_sum = lane < blockDim.x / WARP_SIZE ? sums[lane] : 0;
        for (int d = 1; d < WARP_SIZE; d *= 2) {
            int t = __shfl_up_sync(FULL_MASK, warp_sum, d);
            if (lane >= d) warp_sum += t;
        }
        sums[lane] = warp_sum;
    }
    __syncthreads();
    if (warp_id > 0) value += sums[warp_id - 1];
    if (i < n) out[i] = value;
}

// Compaction in order within a block: positions from ballots.
extern "C" __global__ void ballot_compact(const int* __restrict__ in, int* __restrict__ out,
                                          int* __restrict__ counts, int n)
{
    __shared__ int warp_offset[WARP_SIZE];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int lane = threadIdx.x & 31, wid = threadIdx.x >> 5;
    int keep = i < n && (in[i] & 1);
    unsigned int votes = __ballot_sync(FULL_MASK, keep);
    if (lane == 0) warp_offset[wid] = __popc(votes);
    __syncthreads();
    if (threadIdx.x == 0) {
        int sum = 0;
        for (int w = 0; w < blockDim.x / WARP_SIZE; w++) {
            int c = warp_offset[w];
            warp_offset[w] = sum;
            sum += c;
        }
        counts[blockIdx.x] = sum;
    }
    __syncthreads();
    if (keep) {
        int before = __popc(votes & ((1u << lane) - 1));
        out[blockIdx.x * blockDim.x + warp_offset[wid] + before] = in[i];
    }
}

extern "C" __global__ void warp_votes(const int* in, int4* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int v = i < n ? in[i] : 0;
    int any = __any_sync(FULL_MASK, v > 90);
    int all = __all_sync(FULL_MASK, v < 95);
    unsigned ballot = __ballot_sync(FULL_MASK, v % 2 == 0);
    int leader = __shfl_sync(FULL_MASK, v, 0);
    __syncwarp();
    if (i < n) out[i] = make_int4(any, all, (int)ballot, leader);
}

// Segments of eight lanes: broadcast, rotation and sums by the width argument.
extern "C" __global__ void shuffle_widths(const int* in, int* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int v = i < n ? in[i] : 0;
    int first = __shfl_sync(FULL_MASK, v, 0, 8);
    int rotated = __shfl_sync(FULL_MASK, v, threadIdx.x + 1, 8);
    int up = __shfl_up_sync(FULL_MASK, v, 2, 8);
    int down = __shfl_down_sync(FULL_MASK, v, 3, 16);
    int swapped = __shfl_xor_sync(FULL_MASK, v, 5, 16);
    if (i < n) {
        out[0 * n + i] = first;
        out[1 * n + i] = rotated;
        out[2 * n + i] = up;
        out[3 * n + i] = down;
        out[4 * n + i] = swapped;
    }
}

// Softmax of short rows, one a warp: block (32, rows).
extern "C" __global__ void warp_softmax(const float* __restrict__ in, float* __restrict__ out, int rows, int cols)
{
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    bool real = row < rows;
    const float* x = in + (real ? row : 0) * cols;
    float top = __int_as_float(0xff800000);
    for (int c = threadIdx.x; c < cols; c += WARP_SIZE) top = fmaxf(top, x[c]);
    top = warpAllReduceMax(top);
    float sum = 0.0f;
    for (int c = threadIdx.x; c < cols; c += WARP_SIZE) sum += expf(x[c] - top);
    for (int mask = 16; mask > 0; mask >>= 1) sum += __shfl_xor_sync(FULL_MASK, sum, mask);
    if (real)
        for (int c = threadIdx.x; c < cols; c += WARP_SIZE) out[row * cols + c] = expf(x[c] - top) / sum;
}

// A bitonic sort of 32 keys in registers.
extern "C" __global__ void warp_bitonic_sort(int* keys)
{
    int lane = threadIdx.x & 31;
    int v = keys[blockIdx.x * blockDim.x + threadIdx.x];
    for (int k = 2; k <= 32; k <<= 1) {
        for (int j = k >> 1; j > 0; j >>= 1) {
            int other = __shfl_xor_sync(FULL_MASK, v, j);
            bool ascending = (lane & k) == 0;
            bool lower = (lane & j) == 0;
            v = (lower == ascending) ? min(v, other) : max(v, other);
        }
    }
    keys[blockIdx.x * blockDim.x + threadIdx.x] = v;
}

// Matrix-vector product, a warp a row, with four elements a lane at once.
extern "C" __global__ void gemv_warp(const float4* __restrict__ A, const float4* __restrict__ x,
                                     float* __restrict__ y, int m, int n4)
{
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    int lane = threadIdx.x % 32;
    float sum = 0.f;
    if (row < m)
        for (int j = lane; j < n4; j += 32) {
            float4 a = A[row * n4 + j], b = x[j];
            sum += a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
        }
    for (int d = 16; d; d /= 2) sum += __shfl_down_sync(0xffffffffu, sum, d);
    if (row < m && lane == 0) y[row] = sum;
}
