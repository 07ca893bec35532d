/* A photograph: luminance, separable Gaussian blur, Sobel, histogram equalisation.
 *
 * Pictures are rows of bytes. Beyond their edges they are mirrored with the last pixel repeated
 * (d c b a | a b c d | d c b a), which SciPy calls "reflect". No size needs to be a multiple of a
 * block.
 */

#define LEVELS 256

static int mirrored(int index, int size) {
    int period = 2 * size;
    int place = ((index % period) + period) % period;
    return place < size ? place : period - 1 - place;
}

/* Rec. 709 luminance in whole numbers: 0.2126, 0.7152 and 0.0722 of 65536. */
kernel void luminance(global const uchar *rgb, global uchar *grey, int pixels) {
    int pixel = get_global_id(0);
    if (pixel >= pixels)
        return;
    uint sum = 13933u * rgb[3 * pixel] + 46871u * rgb[3 * pixel + 1] + 4732u * rgb[3 * pixel + 2];
    grey[pixel] = (uchar)((sum + 32768u) >> 16);
}

/* Blur along rows of `row` values, `channels` of them a pixel. A block first loads what it reads,
 * its own values and `radius` pixels on either side, into `tile`: height of the block times
 * (its width + 2 * radius * channels). weights[radius] belongs to the pixel itself. */
kernel void blur_rows(global const uchar *source, global float *target, int row, int height,
                      int channels, constant float *weights, int radius, local float *tile) {
    int apron = radius * channels;
    int span = (int)get_local_size(0) + 2 * apron;
    int first = (int)(get_group_id(0) * get_local_size(0)) - apron;
    int y = get_global_id(1);
    local float *line = tile + get_local_id(1) * span;
    int width = row / channels;
    for (int i = get_local_id(0); i < span; i += get_local_size(0)) {
        /* Shifted by whole pixels, so that what is divided is never negative. */
        int place = first + i + apron * channels;
        int x = mirrored(place / channels - apron, width);
        line[i] = y < height ? (float)source[(size_t)y * row + x * channels + place % channels] : 0;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    int x = get_global_id(0);
    if (x >= row || y >= height)
        return;
    float sum = 0;
    for (int k = 0; k <= 2 * radius; k++)
        sum = fma(weights[k], line[get_local_id(0) + k * channels], sum);
    target[(size_t)y * row + x] = sum;
}

/* Blur along columns and round to bytes.
 * `tile`: width of the block times (its height + 2 * radius). */
kernel void blur_columns(global const float *source, global uchar *target, int row, int height,
                         constant float *weights, int radius, local float *tile) {
    int wide = get_local_size(0);
    int span = (int)get_local_size(1) + 2 * radius;
    int first = (int)(get_group_id(1) * get_local_size(1)) - radius;
    int x = get_global_id(0);
    for (int i = get_local_id(1); i < span; i += get_local_size(1))
        tile[i * wide + get_local_id(0)] =
            x < row ? source[(size_t)mirrored(first + i, height) * row + x] : 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    int y = get_global_id(1);
    if (x >= row || y >= height)
        return;
    float sum = 0;
    for (int k = 0; k <= 2 * radius; k++)
        sum = fma(weights[k], tile[(get_local_id(1) + k) * wide + get_local_id(0)], sum);
    target[(size_t)y * row + x] = convert_uchar_sat_rte(sum);
}

/* A quarter of the gradient's length, at most 255. */
kernel void sobel(global const uchar *grey, global uchar *edges, int width, int height) {
    int x = get_global_id(0);
    int y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    int left = mirrored(x - 1, width);
    int right = mirrored(x + 1, width);
    global const uchar *above = grey + (size_t)mirrored(y - 1, height) * width;
    global const uchar *here = grey + (size_t)y * width;
    global const uchar *below = grey + (size_t)mirrored(y + 1, height) * width;
    int across = above[right] + 2 * here[right] + below[right]
               - above[left] - 2 * here[left] - below[left];
    int down = below[left] + 2 * below[x] + below[right]
             - above[left] - 2 * above[x] - above[right];
    edges[(size_t)y * width + x] =
        convert_uchar_sat_rte(0.25f * sqrt((float)(across * across + down * down)));
}

/* Count how often each level occurs: each block counts in local memory, then adds to `bins`, which
 * starts as zeros. */
kernel void histogram(global const uchar *grey, int pixels, global uint *bins) {
    local uint counts[LEVELS];
    for (int level = get_local_id(0); level < LEVELS; level += get_local_size(0))
        counts[level] = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int pixel = get_global_id(0); pixel < pixels; pixel += get_global_size(0))
        atomic_inc(&counts[grey[pixel]]);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int level = get_local_id(0); level < LEVELS; level += get_local_size(0))
        if (counts[level])
            atomic_add(&bins[level], counts[level]);
}

/* Turn counts into the level that each level becomes: one block of LEVELS threads adds them up in
 * local memory. A picture of a single level stays as it is. */
kernel void equalising_levels(global const uint *bins, int pixels, global uchar *levels) {
    local uint below[LEVELS];
    local uint lowest;
    int level = get_local_id(0);
    below[level] = bins[level];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int step = 1; step < LEVELS; step *= 2) {
        uint more = level >= step ? below[level - step] : 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        below[level] += more;
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    /* The first level that occurs becomes 0. */
    if (below[level] != 0 && (level == 0 || below[level - 1] == 0))
        lowest = below[level];
    barrier(CLK_LOCAL_MEM_FENCE);
    ulong span = (ulong)pixels - lowest;
    ulong rank = below[level] > lowest ? below[level] - lowest : 0;
    levels[level] = span ? (uchar)((2 * 255 * rank + span) / (2 * span)) : (uchar)level;
}

kernel void apply_levels(global const uchar *grey, int pixels, global const uchar *levels,
                         global uchar *target) {
    int pixel = get_global_id(0);
    if (pixel < pixels)
        target[pixel] = levels[grey[pixel]];
}
