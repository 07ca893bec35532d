// Plain C as people write it: macros, conditional compilation, static tables, goto-free loops,
// printf for trouble, several return points, integer arithmetic with its promotions.
#ifndef SIDE
#define SIDE 4
#endif

#if SIDE > 8
#error "SIDE is too large"
#endif

#define CEIL_DIV(a, b) (((a) + (b) - 1) / (b))
#define FOR_EACH(i, n) for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += blockDim.x * gridDim.x)
#define CHECK(cond)                                                          \
    do {                                                                     \
        if (!(cond)) {                                                       \
            printf("check failed in block %d, thread %d\n", blockIdx.x, threadIdx.x); \
            return;                                                          \
        }                                                                    \
    } while (0)
#define PASTE(a, b) a##b
#define NAME(suffix) PASTE(blocked_sum_, suffix)

extern "C" __global__ void NAME(int)(const int* in, int* out, int n)
{
    CHECK(n >= 0);
    FOR_EACH(i, CEIL_DIV(n, SIDE))
    {
        int sum = 0;
        for (int k = 0, j = i * SIDE; k < SIDE && j < n; k++, j++)
            sum += in[j];
        out[i] = sum;
    }
}

// How C promotes: chars are ints, shifts of negatives, division truncates, unsigned wraps.
extern "C" __global__ void promotions(const signed char* a, const unsigned char* b, int* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    signed char x = a[i];
    unsigned char y = b[i];
    out[0 * n + i] = x + y;
    out[1 * n + i] = x * y;
    out[2 * n + i] = y ? x / y : 0;
    out[3 * n + i] = y ? x % y : 0;
    out[4 * n + i] = x >> 1;
    out[5 * n + i] = (unsigned char)(y + 200);
    out[6 * n + i] = (signed char)(x - y);
    out[7 * n + i] = x < y;
    out[8 * n + i] = (unsigned int)x > y;
    out[9 * n + i] = ~y;
    out[10 * n + i] = !x + -y;
    out[11 * n + i] = (x & 0x0f) | y << 4 ^ 1;
    out[12 * n + i] = 'a' + (y & 7) == 'c' ? -1 : (int)(sizeof(x) + sizeof y);
    short s = x * 300;
    out[13 * n + i] = s;
    unsigned short us = s;
    out[14 * n + i] = us >> 3;
    out[15 * n + i] = (x++, x + y);
}

static __device__ const int knight_moves[8][2] = {
    {1, 2}, {2, 1}, {2, -1}, {1, -2}, {-1, -2}, {-2, -1}, {-2, 1}, {-1, 2}};

extern "C" __global__ void knight_counts(int* reachable, int width, int height)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int count = 0;
    for (int m = 0; m < 8; ++m) {
        const int *move = knight_moves[m];
        int nx = x + move[0], ny = y + move[1];
        if (nx < 0 || ny < 0) continue;
        if (nx < width && ny < height) ++count;
    }
    reachable[y * width + x] = count;
}

// Roman numerals: a table, a while in a for, pointers that walk.
__device__ int write_roman(char *to, int value)
{
    const int worth[] = {1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1};
    const char letters[13][3] = {"M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"};
    char *p = to;
    for (int w = 0; w < 13; w++)
        while (value >= worth[w]) {
            value -= worth[w];
            const char *s = letters[w];
            while (*s) *p++ = *s++;
        }
    *p = '\0';
    return (int)(p - to);
}

extern "C" __global__ void roman_numerals(const int* values, char* text, int* lengths, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) lengths[i] = write_roman(text + 16 * i, values[i]);
}

// Where a thread is, in all three dimensions.
extern "C" __global__ void thread_coordinates(unsigned int* out)
{
    unsigned int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    unsigned int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    unsigned int per_block = blockDim.x * blockDim.y * blockDim.z;
    unsigned int id = block * per_block + thread;
    out[id] = threadIdx.x + 10 * threadIdx.y + 100 * threadIdx.z
            + 1000 * blockIdx.x + 10000 * blockIdx.y + 100000 * blockIdx.z;
}

// Binary search of a sorted table, as interpolation needs it.
extern "C" __global__ void interpolate(const float* __restrict__ xs, const float* __restrict__ ys, int m,
                                       const float* __restrict__ at, float* __restrict__ out, int n)
{
    FOR_EACH(i, n)
    {
        float x = at[i];
        if (x <= xs[0]) { out[i] = ys[0]; continue; }
        if (x >= xs[m - 1]) { out[i] = ys[m - 1]; continue; }
        int lo = 0, hi = m - 1;
        while (hi - lo > 1) {
            int mid = lo + ((hi - lo) >> 1);
            if (xs[mid] <= x) lo = mid;
            else hi = mid;
        }
        float t = (x - xs[lo]) / (xs[hi] - xs[lo]);
        out[i] = ys[lo] + t * (ys[hi] - ys[lo]);
    }
}
