// Prefix sums: Hillis-Steele within a block, work-efficient Blelloch with padding against bank
// conflicts, and a scan of any length over three launches.

#define LOG_NUM_BANKS 5
#define CONFLICT_FREE_OFFSET(n) ((n) >> LOG_NUM_BANKS)

extern "C" __global__ void scan_hillis_steele(float *g_odata, const float *g_idata, int n)
{
    extern __shared__ float temp[]; // allocated on invocation
    int thid = threadIdx.x;
    int pout = 0, pin = 1;
    // exclusive scan: shift right by one and set first elt to 0
    temp[pout * n + thid] = (thid > 0) ? g_idata[thid - 1] : 0;
    __syncthreads();
    for (int offset = 1; offset < n; offset *= 2) {
        pout = 1 - pout; // swap double buffer indices
        pin = 1 - pout;
        if (thid >= offset)
            temp[pout * n + thid] = temp[pin * n + thid] + temp[pin * n + thid - offset];
        else
            temp[pout * n + thid] = temp[pin * n + thid];
        __syncthreads();
    }
    g_odata[thid] = temp[pout * n + thid];
}

// Exclusive scan of 2 * blockDim.x elements a block; the sum of each block goes to block_sums.
extern "C" __global__ void scan_blocks(const int* __restrict__ in, int* __restrict__ out,
                                       int* __restrict__ block_sums, int n)
{
    extern __shared__ int tree[];
    const int thid = threadIdx.x;
    const int size = 2 * blockDim.x;
    const int base = blockIdx.x * size;
    int offset = 1;

    int ai = thid;
    int bi = thid + size / 2;
    int bankOffsetA = CONFLICT_FREE_OFFSET(ai);
    int bankOffsetB = CONFLICT_FREE_OFFSET(bi);
    tree[ai + bankOffsetA] = base + ai < n ? in[base + ai] : 0;
    tree[bi + bankOffsetB] = base + bi < n ? in[base + bi] : 0;

    for (int d = size >> 1; d > 0; d >>= 1) { // build sum in place up the tree
        __syncthreads();
        if (thid < d) {
            int ai = offset * (2 * thid + 1) - 1;
            int bi = offset * (2 * thid + 2) - 1;
            ai += CONFLICT_FREE_OFFSET(ai);
            bi += CONFLICT_FREE_OFFSET(bi);
            tree[bi] += tree[ai];
        }
        offset *= 2;
    }
    if (thid == 0) { // keep the total, clear the last element
        int last = size - 1 + CONFLICT_FREE_OFFSET(size - 1);
        block_sums[blockIdx.x] = tree[last];
        tree[last] = 0;
    }
    for (int d = 1; d < size; d *= 2) { // traverse down tree & build scan
        offset >>= 1;
        __syncthreads();
        if (thid < d) {
            int ai = offset * (2 * thid + 1) - 1;
            int bi = offset * (2 * thid + 2) - 1;
            ai += CONFLICT_FREE_OFFSET(ai);
            bi += CONFLICT_FREE_OFFSET(bi);
            int t = tree[ai];
            tree[ai] = tree[bi];
            tree[bi] += t;
        }
    }
    __syncthreads();
    if (base + ai < n) out[base + ai] = tree[ai + bankOffsetA];
    if (base + bi < n) out[base + bi] = tree[bi + bankOffsetB];
}

extern "C" __global__ void scan_add_sums(int *data, const int *sums, int n)
{
    __shared__ int sum;
    if (threadIdx.x == 0) sum = sums[blockIdx.x];
    __syncthreads();
    int i = blockIdx.x * 2 * blockDim.x + threadIdx.x;
    if (i < n) data[i] += sum;
    i += blockDim.x;
    if (i < n) data[i] += sum;
}

// Stream compaction by the scan of predicates.
extern "C" __global__ void flag_positive(const int *in, int *flags, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) flags[i] = in[i] > 0;
}

extern "C" __global__ void compact_scatter(const int *in, const int *flags, const int *positions,
                                           int *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    if (flags[i]) out[positions[i]] = in[i];
}

// Running sums of segments that a flag begins: one block, an operator on pairs.
struct Segment { float value; int head; };

__device__ Segment join(Segment left, Segment right)
{
    Segment both;
    both.value = right.head ? right.value : left.value + right.value;
    both.head = left.head | right.head;
    return both;
}

extern "C" __global__ void segmented_scan(const float* values, const int* heads, float* out, int n)
{
    __shared__ Segment part[2][256];
    int t = threadIdx.x, from = 0;
    part[0][t].value = t < n ? values[t] : 0.0f;
    part[0][t].head = t < n ? heads[t] : 0;
    __syncthreads();
    for (int d = 1; d < blockDim.x; d <<= 1) {
        part[1 - from][t] = t >= d ? join(part[from][t - d], part[from][t]) : part[from][t];
        from = 1 - from;
        __syncthreads();
    }
    if (t < n) out[t] = part[from][t].value;
}
