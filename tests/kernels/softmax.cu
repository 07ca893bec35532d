// Softmax of rows: three passes with shared memory, and one pass that rescales as it goes.
#include <math_constants.h>

extern "C" __global__ void softmax_rows(const float* __restrict__ in, float* __restrict__ out, int cols)
{
    extern __shared__ float scratch[];
    const float *x = in + blockIdx.x * cols;
    float *y = out + blockIdx.x * cols;
    int tid = threadIdx.x;

    float largest = -CUDART_INF_F;
    for (int i = tid; i < cols; i += blockDim.x) largest = fmaxf(largest, x[i]);
    scratch[tid] = largest;
    __syncthreads();
    for (int s = blockDim.x / 2; s > 0; s >>= 1) {
        if (tid < s) scratch[tid] = fmaxf(scratch[tid], scratch[tid + s]);
        __syncthreads();
    }
    largest = scratch[0];
    __syncthreads();

    float sum = 0.0f;
    for (int i = tid; i < cols; i += blockDim.x) sum += expf(x[i] - largest);
    scratch[tid] = sum;
    __syncthreads();
    for (int s = blockDim.x / 2; s > 0; s >>= 1) {
        if (tid < s) scratch[tid] += scratch[tid + s];
        __syncthreads();
    }
    sum = scratch[0];

    for (int i = tid; i < cols; i += blockDim.x) y[i] = expf(x[i] - largest) / sum;
}

// Milakov and Gimelshein: maximum and normaliser together.
struct __align__(8) MD
{
    float m;
    float d;
};

__device__ __forceinline__ MD reduce_md_op(MD a, MD b)
{
    bool a_bigger = (a.m > b.m);
    MD bigger_m = a_bigger ? a : b;
    MD smaller_m = a_bigger ? b : a;
    MD res;
    res.d = bigger_m.d + smaller_m.d * __expf(smaller_m.m - bigger_m.m);
    res.m = bigger_m.m;
    return res;
}

#define THREADBLOCK_SIZE 64
extern "C" __global__ void __launch_bounds__(THREADBLOCK_SIZE) online_softmax(const float * __restrict x, float * __restrict y, int V)
{
    int thread_id = threadIdx.x;
    int vector_id = blockIdx.x;

    // reposition x and y to data for the current vector
    x += vector_id * V;
    y += vector_id * V;

    __shared__ MD partial[THREADBLOCK_SIZE];
    MD md_partial;
    md_partial.m = -3.402823466e+38F;
    md_partial.d = 0.0F;
    for (int elem_id = thread_id; elem_id < V; elem_id += THREADBLOCK_SIZE) {
        MD new_elem;
        new_elem.m = x[elem_id];
        new_elem.d = 1.0F;
        md_partial = reduce_md_op(md_partial, new_elem);
    }
    partial[thread_id] = md_partial;
    for (int s = THREADBLOCK_SIZE / 2; s > 0; s >>= 1) {
        __syncthreads();
        if (thread_id < s) partial[thread_id] = reduce_md_op(partial[thread_id], partial[thread_id + s]);
    }
    __syncthreads();
    const MD md_total = partial[0];

    float d_total_inverse = __fdividef(1.0F, md_total.d);
    for (int elem_id = thread_id; elem_id < V; elem_id += THREADBLOCK_SIZE)
        y[elem_id] = __expf(x[elem_id] - md_total.m) * d_total_inverse;
}

// Loss of a classifier a row: log-sum-exp minus the logit of the label.
extern "C" __global__ void cross_entropy(const float* logits, const int* labels, float* loss, int rows, int cols)
{
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    const float* z = logits + (long)r * cols;
    float top = z[0];
    for (int c = 1; c < cols; c++) top = fmaxf(top, z[c]);
    float sum = 0;
    for (int c = 0; c < cols; c++) sum += expf(z[c] - top);
    loss[r] = logf(sum) + top - z[labels[r]];
}
