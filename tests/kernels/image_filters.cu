// Image filters: grey, blur, Sobel, median, bilateral, equalisation, scaling, morphology.
#include <vector_types.h>
#include <vector_functions.h>

typedef unsigned char uchar;

#define CLAMP(v, lo, hi) ((v) < (lo) ? (lo) : ((v) > (hi) ? (hi) : (v)))

__device__ int clamp(int v, int lo, int hi) { return max(lo, min(v, hi)); }

// BT.601 in fixed point, so that any machine gives the same.
extern "C" __global__ void rgba_to_grey(const uchar4* __restrict__ rgba, uchar* __restrict__ grey,
                                        int rows, int cols)
{
    int r = blockIdx.y * blockDim.y + threadIdx.y;
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (r < rows && c < cols) {
        uchar4 p = rgba[r * cols + c];
        grey[r * cols + c] = (299 * p.x + 587 * p.y + 114 * p.z + 500) / 1000;
    }
}

// Mean of a square that is cut at the rim.
extern "C" __global__ void box_blur(const uchar *in, uchar *out, int w, int h, int blurSize)
{
    int Col = blockIdx.x * blockDim.x + threadIdx.x;
    int Row = blockIdx.y * blockDim.y + threadIdx.y;
    if (Col < w && Row < h) {
        int pixVal = 0;
        int pixels = 0;
        // Get the average of the surrounding 2xBLUR_SIZE x 2xBLUR_SIZE box
        for (int blurRow = -blurSize; blurRow < blurSize + 1; ++blurRow) {
            for (int blurCol = -blurSize; blurCol < blurSize + 1; ++blurCol) {
                int curRow = Row + blurRow;
                int curCol = Col + blurCol;
                // Verify we have a valid image pixel
                if (curRow > -1 && curRow < h && curCol > -1 && curCol < w) {
                    pixVal += in[curRow * w + curCol];
                    pixels++; // Keep track of number of pixels in the accumulated total
                }
            }
        }
        // Write our new pixel value out
        out[Row * w + Col] = (uchar)(pixVal / pixels);
    }
}

extern "C" __global__ void gaussian_blur(const float* __restrict__ in, float* __restrict__ out, int w, int h,
                                         const float* __restrict__ filter, int filterWidth)
{
    const int2 p = make_int2(blockIdx.x * blockDim.x + threadIdx.x, blockIdx.y * blockDim.y + threadIdx.y);
    if (p.x >= w || p.y >= h) return;
    float sum = 0.0f;
    for (int fy = 0; fy < filterWidth; fy++)
        for (int fx = 0; fx < filterWidth; fx++) {
            int y = clamp(p.y + fy - filterWidth / 2, 0, h - 1);
            int x = clamp(p.x + fx - filterWidth / 2, 0, w - 1);
            sum += filter[fy * filterWidth + fx] * in[y * w + x];
        }
    out[p.y * w + p.x] = sum;
}

#define AT(y, x) (int)in[CLAMP(y, 0, h - 1) * w + CLAMP(x, 0, w - 1)]

extern "C" __global__ void sobel(const uchar* __restrict__ in, uchar* __restrict__ out, int w, int h)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= w || y >= h) return;
    int gx = AT(y - 1, x + 1) + 2 * AT(y, x + 1) + AT(y + 1, x + 1)
           - AT(y - 1, x - 1) - 2 * AT(y, x - 1) - AT(y + 1, x - 1);
    int gy = AT(y + 1, x - 1) + 2 * AT(y + 1, x) + AT(y + 1, x + 1)
           - AT(y - 1, x - 1) - 2 * AT(y - 1, x) - AT(y - 1, x + 1);
    int magnitude = abs(gx) + abs(gy);
    out[y * w + x] = magnitude > 255 ? 255 : magnitude;
}

__device__ void sort2(uchar *a, uchar *b)
{
    uchar lo = min(*a, *b);
    uchar hi = max(*a, *b);
    *a = lo;
    *b = hi;
}

extern "C" __global__ void median_3x3(const uchar* __restrict__ in, uchar* __restrict__ out, int w, int h)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= w || y >= h) return;
    uchar v[9];
    int k = 0;
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++)
            v[k++] = AT(y + dy, x + dx);
    // five passes of a bubble sort bring the median to the middle
    for (int i = 0; i < 5; i++)
        for (int j = 8; j > i; j--)
            sort2(&v[j - 1], &v[j]);
    out[y * w + x] = v[4];
}

extern "C" __global__ void bilateral(const float* __restrict__ in, float* __restrict__ out, int w, int h,
                                     int radius, float sigma_space, float sigma_range)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= w || y >= h) return;
    const float centre = in[y * w + x];
    float sum = 0.f, norm = 0.f;
    for (int dy = -radius; dy <= radius; dy++) {
        int yy = y + dy;
        if (yy < 0 || yy >= h) continue;
        for (int dx = -radius; dx <= radius; dx++) {
            int xx = x + dx;
            if (xx < 0 || xx >= w) continue;
            float v = in[yy * w + xx];
            float weight = expf(-(dx * dx + dy * dy) / (2.f * sigma_space * sigma_space)
                                - (v - centre) * (v - centre) / (2.f * sigma_range * sigma_range));
            sum += weight * v;
            norm += weight;
        }
    }
    out[y * w + x] = sum / norm;
}

// Histogram equalisation: the cumulative histogram as a table, by one block of 256 threads.
extern "C" __global__ void equalise_table(const unsigned int* __restrict__ histogram, uchar* __restrict__ table,
                                          int pixels)
{
    __shared__ unsigned int cdf[256];
    __shared__ unsigned int lowest;
    const unsigned int t = threadIdx.x;
    cdf[t] = histogram[t];
    if (t == 0) lowest = 0xffffffffu;
    __syncthreads();
    if (cdf[t] != 0) atomicMin(&lowest, t);
    __syncthreads();
    for (unsigned int d = 1; d < 256; d *= 2) {
        unsigned int add = 0;
        if (t >= d) add = cdf[t - d];
        __syncthreads();
        cdf[t] += add;
        __syncthreads();
    }
    const unsigned int first = cdf[lowest];
    const unsigned int range = pixels - first;
    table[t] = range && cdf[t] >= first ? (255u * (cdf[t] - first) + range / 2) / range : 0;
}

extern "C" __global__ void apply_table(const uchar* in, const uchar* table, uchar* out, int n)
{
    __shared__ uchar lut[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) lut[i] = table[i];
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        out[i] = lut[in[i]];
}

__device__ __forceinline__ float lerp(float a, float b, float t) { return a + t * (b - a); }

extern "C" __global__ void resize_bilinear(const float* __restrict__ in, int w, int h, float* __restrict__ out,
                                           int ow, int oh)
{
    int ox = blockIdx.x * blockDim.x + threadIdx.x, oy = blockIdx.y * blockDim.y + threadIdx.y;
    if (ox >= ow || oy >= oh) return;
    float fx = ow > 1 ? ox * (float)(w - 1) / (ow - 1) : 0.0f;
    float fy = oh > 1 ? oy * (float)(h - 1) / (oh - 1) : 0.0f;
    int x = min((int)floorf(fx), w - 1), y = min((int)floorf(fy), h - 1);
    int x1 = min(x + 1, w - 1), y1 = min(y + 1, h - 1);
    float top = lerp(in[y * w + x], in[y * w + x1], fx - x);
    float bottom = lerp(in[y1 * w + x], in[y1 * w + x1], fx - x);
    out[oy * ow + ox] = lerp(top, bottom, fy - y);
}

extern "C" __global__ void dilate(const bool* __restrict__ in, bool* __restrict__ out, int w, int h)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= w || y >= h) return;
    bool any = false;
    for (int dy = -1; dy <= 1 && !any; dy++)
        for (int dx = -1; dx <= 1; dx++) {
            if (x + dx < 0 || x + dx >= w || y + dy < 0 || y + dy >= h) continue;
            if (in[(y + dy) * w + x + dx]) {
                any = true;
                break;
            }
        }
    out[y * w + x] = any;
}
