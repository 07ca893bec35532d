/* A photograph: luminance, separable Gaussian blur, Sobel, histogram equalisation.
 *
 * Pictures are rows of bytes. Beyond their edges they are mirrored with the last pixel repeated
 * (d c b a | a b c d | d c b a), which SciPy calls "reflect". No size needs to be a multiple of a
 * block.
 */

#define LEVELS 256

typedef unsigned char byte;

__device__ int mirrored(int index, int size) {
    int period = 2 * size;
    int place = ((index % period) + period) % period;
    return place < size ? place : period - 1 - place;
}

/* Rounded to the nearest byte, halves to the even one. */
__device__ byte to_byte(float value) {
    return (byte)fminf(fmaxf(rintf(value), 0.0f), 255.0f);
}

/* Rec. 709 luminance in whole numbers: 0.2126, 0.7152 and 0.0722 of 65536. */
extern "C" __global__ void luminance(const byte *rgb, byte *grey, int pixels) {
    int pixel = blockIdx.x * blockDim.x + threadIdx.x;
    if (pixel >= pixels)
        return;
    const byte *color = rgb + 3 * pixel;
    unsigned sum = 13933u * color[0] + 46871u * color[1] + 4732u * color[2];
    grey[pixel] = (byte)((sum + 32768u) >> 16);
}

/* Blur along rows of `row` values, `channels` of them a pixel. A block first loads what it reads,
 * its own values and `radius` pixels on either side, into `tile`: height of the block times
 * (its width + 2 * radius * channels). weights[radius] belongs to the pixel itself. */
extern "C" __global__ void blur_rows(const byte *source, float *target, int row, int height,
                                     int channels, const float *weights, int radius) {
    extern __shared__ float tile[];
    int apron = radius * channels;
    int span = (int)blockDim.x + 2 * apron;
    int first = (int)(blockIdx.x * blockDim.x) - apron;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    float *line = tile + threadIdx.y * span;
    int width = row / channels;
    for (int i = threadIdx.x; i < span; i += blockDim.x) {
        /* Shifted by whole pixels, so that what is divided is never negative. */
        int place = first + i + apron * channels;
        int x = mirrored(place / channels - apron, width);
        line[i] = y < height ? (float)source[(size_t)y * row + x * channels + place % channels] : 0;
    }
    __syncthreads();
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    if (x >= row || y >= height)
        return;
    float sum = 0;
    for (int k = 0; k <= 2 * radius; k++)
        sum = fmaf(weights[k], line[threadIdx.x + k * channels], sum);
    target[(size_t)y * row + x] = sum;
}

/* Blur along columns and round to bytes.
 * `tile`: width of the block times (its height + 2 * radius). */
extern "C" __global__ void blur_columns(const float *source, byte *target, int row, int height,
                                        const float *weights, int radius) {
    extern __shared__ float tile[];
    int wide = blockDim.x;
    int span = (int)blockDim.y + 2 * radius;
    int first = (int)(blockIdx.y * blockDim.y) - radius;
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    for (int i = threadIdx.y; i < span; i += blockDim.y)
        tile[i * wide + threadIdx.x] =
            x < row ? source[(size_t)mirrored(first + i, height) * row + x] : 0;
    __syncthreads();
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= row || y >= height)
        return;
    float sum = 0;
    for (int k = 0; k <= 2 * radius; k++)
        sum = fmaf(weights[k], tile[(threadIdx.y + k) * wide + threadIdx.x], sum);
    target[(size_t)y * row + x] = to_byte(sum);
}

/* A quarter of the gradient's length, at most 255. */
extern "C" __global__ void sobel(const byte *grey, byte *edges, int width, int height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height)
        return;
    int left = mirrored(x - 1, width);
    int right = mirrored(x + 1, width);
    const byte *above = grey + (size_t)mirrored(y - 1, height) * width;
    const byte *here = grey + (size_t)y * width;
    const byte *below = grey + (size_t)mirrored(y + 1, height) * width;
    int across = above[right] + 2 * here[right] + below[right]
               - above[left] - 2 * here[left] - below[left];
    int down = below[left] + 2 * below[x] + below[right]
             - above[left] - 2 * above[x] - above[right];
    edges[(size_t)y * width + x] = to_byte(0.25f * sqrtf((float)(across * across + down * down)));
}

/* Count how often each level occurs: each block counts in shared memory, then adds to `bins`, which
 * starts as zeros. */
extern "C" __global__ void histogram(const byte *grey, int pixels, unsigned *bins) {
    __shared__ unsigned counts[LEVELS];
    for (int level = threadIdx.x; level < LEVELS; level += blockDim.x)
        counts[level] = 0;
    __syncthreads();
    int threads = gridDim.x * blockDim.x;
    for (int pixel = blockIdx.x * blockDim.x + threadIdx.x; pixel < pixels; pixel += threads)
        atomicAdd(&counts[grey[pixel]], 1u);
    __syncthreads();
    for (int level = threadIdx.x; level < LEVELS; level += blockDim.x)
        if (counts[level])
            atomicAdd(&bins[level], counts[level]);
}

/* Turn counts into the level that each level becomes: one block of LEVELS threads adds them up in
 * shared memory. A picture of a single level stays as it is. */
extern "C" __global__ void equalising_levels(const unsigned *bins, int pixels, byte *levels) {
    __shared__ unsigned below[LEVELS];
    __shared__ unsigned lowest;
    int level = threadIdx.x;
    below[level] = bins[level];
    __syncthreads();
    for (int step = 1; step < LEVELS; step *= 2) {
        unsigned more = level >= step ? below[level - step] : 0;
        __syncthreads();
        below[level] += more;
        __syncthreads();
    }
    /* The first level that occurs becomes 0. */
    if (below[level] != 0 && (level == 0 || below[level - 1] == 0))
        lowest = below[level];
    __syncthreads();
    unsigned long long span = (unsigned long long)pixels - lowest;
    unsigned long long rank = below[level] > lowest ? below[level] - lowest : 0;
    levels[level] = span ? (byte)((2 * 255 * rank + span) / (2 * span)) : (byte)level;
}

extern "C" __global__ void apply_levels(const byte *grey, int pixels, const byte *levels,
                                        byte *target) {
    int pixel = blockIdx.x * blockDim.x + threadIdx.x;
    if (pixel < pixels)
        target[pixel] = levels[grey[pixel]];
}
