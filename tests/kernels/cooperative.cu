// Cooperative groups: the block as a group, tiles of it, their shuffles and votes.
#include <cooperative_groups.h>

namespace cg = cooperative_groups;
using namespace cooperative_groups;

__device__ int reduce_sum(thread_group g, int *temp, int val)
{
    int lane = g.thread_rank();
    // Each iteration halves the number of active threads
    for (int i = g.size() / 2; i > 0; i /= 2) {
        temp[lane] = val;
        g.sync(); // wait for all threads to store
        if (lane < i) val += temp[lane + i];
        g.sync(); // wait for all threads to load
    }
    return val; // note: only thread 0 will return full sum
}

extern "C" __global__ void sum_kernel_block(int *sum, const int *input, int n)
{
    int my_sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x)
        my_sum += input[i];

    extern __shared__ int temp[];
    auto g = this_thread_block();
    int block_sum = reduce_sum(g, temp, my_sum);

    if (g.thread_rank() == 0) atomicAdd(sum, block_sum);
}

template <int tile_sz>
__device__ int reduce_sum_tile_shfl(thread_block_tile<tile_sz> g, int val)
{
    // Each iteration halves the number of active threads
    for (int i = g.size() / 2; i > 0; i /= 2) {
        val += g.shfl_down(val, i);
    }
    return val; // note: only thread 0 will return full sum
}

template <int tile_sz>
__global__ void sum_kernel_tile_shfl(int *sum, const int *input, int n)
{
    int my_sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x)
        my_sum += input[i];
    auto tile = tiled_partition<tile_sz>(this_thread_block());
    int tile_sum = reduce_sum_tile_shfl<tile_sz>(tile, my_sum);
    if (tile.thread_rank() == 0) atomicAdd(sum, tile_sum);
}

// Which thread of which tile a thread is, and the votes of its tile.
extern "C" __global__ void tile_facts(const int* in, int* out, int n)
{
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<16> tile = cg::tiled_partition<16>(block);
    int i = block.group_index().x * block.group_dim().x + block.thread_index().x;
    int v = i < n ? in[i] : 0;
    unsigned int ballot = tile.ballot(v & 1);
    int any = tile.any(v > 60), all = tile.all(v >= 0);
    int neighbour = tile.shfl_xor(v, 1);
    int first = tile.shfl(v, 0);
    int previous = tile.shfl_up(v, 1);
    cg::sync(tile);
    if (i < n) {
        out[0 * n + i] = tile.thread_rank();
        out[1 * n + i] = tile.meta_group_rank();
        out[2 * n + i] = ballot;
        out[3 * n + i] = any * 2 + all;
        out[4 * n + i] = neighbour;
        out[5 * n + i] = first;
        out[6 * n + i] = previous;
        out[7 * n + i] = block.size() * 1000 + tile.size();
    }
}

// A layer norm whose rows are tiles of a warp.
extern "C" __global__ void layer_norm_warp(const float* __restrict__ x, float* __restrict__ y, int rows, int cols)
{
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
    int row = blockIdx.x * warp.meta_group_size() + warp.meta_group_rank();
    if (row >= rows) return;
    x += row * cols;
    y += row * cols;
    float sum = 0.0f;
    for (int i = warp.thread_rank(); i < cols; i += warp.size()) sum += x[i];
    for (int d = warp.size() / 2; d > 0; d /= 2) sum += warp.shfl_xor(sum, d);
    float mean = sum / cols;
    float squares = 0.0f;
    for (int i = warp.thread_rank(); i < cols; i += warp.size()) {
        float diff = x[i] - mean;
        squares += diff * diff;
    }
    for (int d = warp.size() / 2; d > 0; d /= 2) squares += warp.shfl_xor(squares, d);
    float scale = rsqrtf(squares / cols + 1e-5f);
    for (int c = warp.thread_rank(); c < cols; c += warp.size()) y[c] = (x[c] - mean) * scale;
}
