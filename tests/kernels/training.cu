// What a training step is made of besides products: activations, optimisers, dropout, embeddings.
#include <math_constants.h>
#include "philox.cuh"

#define GELU_SCALING_FACTOR 0.7978845608028654f // sqrt(2 / pi)

__device__ float relu(float x) { return x > 0 ? x : 0; }
__device__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

extern "C" __global__ void gelu_forward(float* out, const float* inp, int N)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < N) {
        float xi = inp[i];
        float cube = 0.044715f * xi * xi * xi;
        out[i] = 0.5f * xi * (1.0f + tanhf(GELU_SCALING_FACTOR * (xi + cube)));
    }
}

// which: 0 relu, 1 sigmoid, 2 tanh, 3 swish, 4 exact GELU
extern "C" __global__ void activate(const float* in, float* out, int n, int which)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) {
        float x = in[i], y;
        if (which == 0) y = relu(x);
        else if (which == 1) y = sigmoid(x);
        else if (which == 2) y = tanhf(x);
        else if (which == 3) y = x * sigmoid(x);
        else y = 0.5f * x * (1.0f + erff(x * 0.70710678f));
        out[i] = y;
    }
}

struct AdamParams {
    float lr, beta1, beta2, eps, weight_decay;
    int step;
};

extern "C" __global__ void adam_step(float* __restrict__ w, const float* __restrict__ g, float* __restrict__ m,
                                     float* __restrict__ v, int n, AdamParams p)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float grad = g[i];
    float mi = p.beta1 * m[i] + (1.0f - p.beta1) * grad;
    float vi = p.beta2 * v[i] + (1.0f - p.beta2) * grad * grad;
    m[i] = mi;
    v[i] = vi;
    float m_hat = mi / (1.0f - powf(p.beta1, (float)p.step));
    float v_hat = vi / (1.0f - powf(p.beta2, (float)p.step));
    w[i] -= p.lr * (m_hat / (sqrtf(v_hat) + p.eps) + p.weight_decay * w[i]);
}

// Inverted dropout: four elements a draw, the mask kept a bit an element.
extern "C" __global__ void dropout(const float* __restrict__ in, float* __restrict__ out,
                                   unsigned char* __restrict__ mask, int n, float keep,
                                   unsigned long long seed)
{
    int quad = blockIdx.x * blockDim.x + threadIdx.x;
    if (4 * quad >= n) return;
    uint4 bits = philox4x32_10(make_uint4(quad, 0, 0, 0),
                               make_uint2((unsigned)seed, (unsigned)(seed >> 32)));
    unsigned r[4] = {bits.x, bits.y, bits.z, bits.w};
    unsigned char kept = 0;
    for (int j = 0; j < 4; j++) {
        int i = 4 * quad + j;
        if (i >= n) break;
        bool keep_it = uniform01(r[j]) < keep;
        kept |= keep_it << j;
        out[i] = keep_it ? in[i] / keep : 0.0f;
    }
    mask[quad] = kept;
}

extern "C" __global__ void embedding_gather(const float* __restrict__ table, const int* __restrict__ ids,
                                            float* __restrict__ out, int dim)
{
    const float* row = table + (size_t)ids[blockIdx.x] * dim;
    for (int d = threadIdx.x; d < dim; d += blockDim.x)
        out[blockIdx.x * dim + d] = row[d];
}

extern "C" __global__ void embedding_scatter_add(float* grad, const int* ids, const float* out_grad, int dim)
{
    int token = blockIdx.x;
    for (int d = threadIdx.x; d < dim; d += blockDim.x)
        atomicAdd(grad + ids[token] * dim + d, out_grad[token * dim + d]);
}

// The largest k of a row, by k rounds of a block-wide maximum.
extern "C" __global__ void top_k(const float* __restrict__ in, float* __restrict__ values,
                                 int* __restrict__ indices, int cols, int k)
{
    extern __shared__ unsigned char raw[];
    float *row = (float *)raw;
    float *best = row + cols;
    int *where = (int *)(best + blockDim.x);
    for (int i = threadIdx.x; i < cols; i += blockDim.x) row[i] = in[blockIdx.x * cols + i];
    for (int round = 0; round < k; round++) {
        __syncthreads();
        float v = -CUDART_INF_F;
        int at = 0x7fffffff;
        for (int i = threadIdx.x; i < cols; i += blockDim.x)
            if (row[i] > v) { v = row[i]; at = i; }
        best[threadIdx.x] = v;
        where[threadIdx.x] = at;
        __syncthreads();
        for (int s = blockDim.x / 2; s > 0; s >>= 1) {
            if (threadIdx.x < s) {
                float other = best[threadIdx.x + s];
                int there = where[threadIdx.x + s];
                if (other > best[threadIdx.x]
                    || (other == best[threadIdx.x] && there < where[threadIdx.x])) {
                    best[threadIdx.x] = other;
                    where[threadIdx.x] = there;
                }
            }
            __syncthreads();
        }
        if (threadIdx.x == 0) {
            values[blockIdx.x * k + round] = best[0];
            indices[blockIdx.x * k + round] = where[0];
            row[where[0]] = -CUDART_INF_F;
        }
    }
}
