// Attention: one head a block row, keys and values in tiles, softmax rescaled as the tiles come
// (Dao et al., 2022).
#include <math_constants.h>

#define HEAD_DIM 32
#define BLOCK_M 16
#define BLOCK_N 16

extern "C" __global__ void flash_attention(const float* __restrict__ Q, const float* __restrict__ K,
                                           const float* __restrict__ V, float* __restrict__ O,
                                           int seq_len, float scale, int causal)
{
    __shared__ float Ks[BLOCK_N][HEAD_DIM + 1];
    __shared__ float Vs[BLOCK_N][HEAD_DIM + 1];

    const int head = blockIdx.y;
    const int row = blockIdx.x * BLOCK_M + threadIdx.x;
    const size_t base = (size_t)head * seq_len * HEAD_DIM;

    float q[HEAD_DIM], acc[HEAD_DIM];
    for (int d = 0; d < HEAD_DIM; ++d) {
        q[d] = row < seq_len ? Q[base + row * HEAD_DIM + d] * scale : 0.0f;
        acc[d] = 0.0f;
    }
    float m = -CUDART_INF_F, l = 0.0f;

    for (int start = 0; start < seq_len; start += BLOCK_N) {
        for (int e = threadIdx.x; e < BLOCK_N * HEAD_DIM; e += BLOCK_M) {
            int r = e / HEAD_DIM, d = e % HEAD_DIM;
            bool in = start + r < seq_len;
            Ks[r][d] = in ? K[base + (start + r) * HEAD_DIM + d] : 0.0f;
            Vs[r][d] = in ? V[base + (start + r) * HEAD_DIM + d] : 0.0f;
        }
        __syncthreads();

        float s[BLOCK_N];
        float m_new = m;
        for (int j = 0; j < BLOCK_N; ++j) {
            bool seen = start + j < seq_len && (!causal || start + j <= row);
            float dot = 0.0f;
            if (seen) {
                #pragma unroll
                for (int d = 0; d < HEAD_DIM; ++d) dot += q[d] * Ks[j][d];
            }
            s[j] = seen ? dot : -CUDART_INF_F;
            m_new = fmaxf(m_new, s[j]);
        }
        if (m_new > -CUDART_INF_F) {
            float correction = expf(m - m_new);
            l *= correction;
            for (int d = 0; d < HEAD_DIM; ++d) acc[d] *= correction;
            for (int j = 0; j < BLOCK_N; ++j) {
                float p = expf(s[j] - m_new);
                l += p;
                for (int d = 0; d < HEAD_DIM; ++d) acc[d] += p * Vs[j][d];
            }
            m = m_new;
        }
        __syncthreads();
    }
    if (row < seq_len)
        for (int d = 0; d < HEAD_DIM; ++d) O[base + row * HEAD_DIM + d] = acc[d] / l;
}

// Rotary position embedding of pairs of neighbours, in place; y is the head, x the pair.
extern "C" __global__ void rotary_embedding(float2* vec, int pairs, int heads, float theta_base)
{
    int pair = blockIdx.x * blockDim.x + threadIdx.x;
    int head = blockIdx.y;
    int pos = blockIdx.z;
    if (pair >= pairs) return;
    float freq = powf(theta_base, -(float)pair / pairs);
    float fcr, fci;
    sincosf(pos * freq, &fci, &fcr);
    float2 *at = vec + ((size_t)pos * heads + head) * pairs + pair;
    float2 v = *at;
    at->x = v.x * fcr - v.y * fci;
    at->y = v.x * fci + v.y * fcr;
}

extern "C" __global__ void scaled_masked_scores(const float* __restrict__ q, const float* __restrict__ k,
                                                float* __restrict__ scores, int n, int dim)
{
    int j = blockIdx.x * blockDim.x + threadIdx.x;
    int i = blockIdx.y * blockDim.y + threadIdx.y;
    if (i >= n || j >= n) return;
    if (j > i) {
        scores[i * n + j] = -CUDART_INF_F;
        return;
    }
    float s = 0.0f;
    for (int d = 0; d < dim; d++) s += q[i * dim + d] * k[j * dim + d];
    scores[i * n + j] = s * rsqrtf((float)dim);
}
