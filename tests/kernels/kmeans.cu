// Lloyd's algorithm: assign, gather sums by atomics, move the centroids; and nearest neighbours.
#include <math_constants.h>

__device__ float distance(const float *a, const float *b, int dim)
{
    float sum = 0.0f;
    for (int d = 0; d < dim; ++d) {
        float diff = a[d] - b[d];
        sum += diff * diff;
    }
    return sum;
}

extern "C" __global__ void kmeans_assign(const float* __restrict__ points, const float* __restrict__ centroids,
                                         int* __restrict__ labels, int n, int k, int dim)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float best = CUDART_INF_F;
    int label = -1;
    for (int c = 0; c < k; ++c) {
        float d = distance(points + i * dim, centroids + c * dim, dim);
        if (d < best) {
            best = d;
            label = c;
        }
    }
    labels[i] = label;
}

extern "C" __global__ void kmeans_accumulate(const float* points, const int* labels, float* sums, int* counts,
                                             int n, int dim)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int c = labels[i];
    atomicAdd(&counts[c], 1);
    for (int d = 0; d < dim; ++d)
        atomicAdd(&sums[c * dim + d], points[i * dim + d]);
}

extern "C" __global__ void kmeans_update(float* centroids, const float* sums, const int* counts, int dim)
{
    int c = blockIdx.x, d = threadIdx.x;
    if (d < dim && counts[c] > 0)
        centroids[c * dim + d] = sums[c * dim + d] / counts[c];
}

// The k nearest of one query a thread, kept sorted by insertion.
#define K_MAX 8
extern "C" __global__ void nearest_neighbours(const float2* __restrict__ refs, int num_refs,
                                              const float2* __restrict__ queries, int num_queries,
                                              int* __restrict__ index, int k)
{
    int q = blockIdx.x * blockDim.x + threadIdx.x;
    if (q >= num_queries) return;
    float dist[K_MAX];
    int ids[K_MAX];
    int found = 0;
    float2 me = queries[q];
    for (int r = 0; r < num_refs; r++) {
        float dx = refs[r].x - me.x, dy = refs[r].y - me.y;
        float d = dx * dx + dy * dy;
        if (found == k && d >= dist[k - 1]) continue;
        int at = found < k ? found++ : k - 1;
        while (at > 0 && dist[at - 1] > d) {
            dist[at] = dist[at - 1];
            ids[at] = ids[at - 1];
            --at;
        }
        dist[at] = d;
        ids[at] = r;
    }
    for (int i = 0; i < k; i++) index[q * k + i] = i < found ? ids[i] : -1;
}
