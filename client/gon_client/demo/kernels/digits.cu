/* Classification by the k nearest neighbours, brute force, tiled through shared memory.
 *
 * FEATURES, NEIGHBOURS and CLASSES come as compiler options. Of equally near samples the one with
 * the lower index counts as nearer; of equally frequent classes the lower one wins.
 */

#include <limits.h>

typedef unsigned char byte;

/* One thread classifies one query. The block goes through the samples tile by tile: each thread
 * loads one sample of the tile, then all compare with all of them. `tile` has room for as many
 * samples as the block has threads. `distances` receives the squared distances of the neighbours,
 * nearest first. sample_count is at least NEIGHBOURS. */
extern "C" __global__ void nearest(const byte *samples, const byte *labels, int sample_count,
                                   const byte *queries, int query_count, byte *classes,
                                   int *distances) {
    extern __shared__ byte tile[];
    int query = blockIdx.x * blockDim.x + threadIdx.x;
    int tile_size = blockDim.x;
    int own[FEATURES];
    int best[NEIGHBOURS];
    int best_class[NEIGHBOURS];
    int votes[CLASSES];
    for (int f = 0; f < FEATURES; f++)
        own[f] = query < query_count ? queries[(size_t)query * FEATURES + f] : 0;
    for (int k = 0; k < NEIGHBOURS; k++) {
        best[k] = INT_MAX;
        best_class[k] = 0;
    }

    for (int first = 0; first < sample_count; first += tile_size) {
        int mine = first + (int)threadIdx.x;
        if (mine < sample_count)
            for (int f = 0; f < FEATURES; f++)
                tile[threadIdx.x * FEATURES + f] = samples[(size_t)mine * FEATURES + f];
        __syncthreads();
        int here = min(tile_size, sample_count - first);
        for (int s = 0; s < here; s++) {
            int distance = 0;
            for (int f = 0; f < FEATURES; f++) {
                int apart = own[f] - tile[s * FEATURES + f];
                distance += apart * apart;
            }
            if (distance < best[NEIGHBOURS - 1]) {
                int label = labels[first + s];
                int k = NEIGHBOURS - 1;
                for (; k > 0 && distance < best[k - 1]; k--) {
                    best[k] = best[k - 1];
                    best_class[k] = best_class[k - 1];
                }
                best[k] = distance;
                best_class[k] = label;
            }
        }
        __syncthreads();
    }

    if (query >= query_count)
        return;
    for (int c = 0; c < CLASSES; c++)
        votes[c] = 0;
    for (int k = 0; k < NEIGHBOURS; k++) {
        votes[best_class[k]]++;
        distances[(size_t)query * NEIGHBOURS + k] = best[k];
    }
    int winner = 0;
    for (int c = 1; c < CLASSES; c++)
        if (votes[c] > votes[winner])
            winner = c;
    classes[query] = (byte)winner;
}
