// Templates, instantiated by name expressions: types, values, functors, default arguments.

template <typename T>
__global__ void scale(const T* __restrict__ in, T* __restrict__ out, T factor, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = in[i] * factor;
}

template <typename T, int N>
__global__ void sliding_sum(const T *in, T *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    T sum = T(0);
#pragma unroll
    for (int k = 0; k < N; ++k)
        if (i + k < n) sum += in[i + k];
    out[i] = sum;
}

struct Saxpy {
    float a;
    __device__ float operator()(float x, float y) const { return a * x + y; }
};

template <typename A, typename B>
struct Pair {
    A first;
    B second;
};

template <typename A, typename B>
__device__ Pair<A, B> make_pair(A a, B b)
{
    Pair<A, B> p = {a, b};
    return p;
}

template <typename F>
__global__ void transform(const float* x, const float* y, float* out, F f, int n)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        out[i] = f(x[i], y[i]);
}

namespace detail {
template <typename To, typename From>
__device__ To saturate(From v, From lo, From hi)
{
    return static_cast<To>(v < lo ? lo : v > hi ? hi : v);
}
} // namespace detail

template <typename To>
__global__ void convert_saturated(const int* in, To* out, int n, int lo, int hi)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = detail::saturate<To>(in[i], lo, hi);
}

// Partial specialisation by a trait, and a reference argument.
template <typename T> struct Accumulator { using type = T; };
template <> struct Accumulator<unsigned char> { using type = unsigned int; };

template <typename T>
__device__ void minmax_into(const T& v, T& lo, T& hi)
{
    if (v < lo) lo = v;
    if (v > hi) hi = v;
}

template <typename T>
__global__ void row_statistics(const T* data, typename Accumulator<T>::type* sums, T* lows, T* highs, int rows,
                               int cols)
{
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    typename Accumulator<T>::type sum = 0;
    T lo = data[r * cols], hi = lo;
    for (int c = 0; c < cols; c++) {
        const T v = data[r * cols + c];
        sum += v;
        minmax_into(v, lo, hi);
    }
    auto found = make_pair(lo, hi);
    sums[r] = sum;
    lows[r] = found.first;
    highs[r] = found.second;
}

// Tiles whose size is a template's value, with a lambda inside.
template <int TILE>
__global__ void tiled_rotate_90(const float* in, float* out, int width, int height)
{
    __shared__ float tile[TILE][TILE + 1];
    auto inside = [](int v, int limit) { return v >= 0 && v < limit; };
    int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
    if (inside(x, width) && inside(y, height)) tile[threadIdx.y][threadIdx.x] = in[y * width + x];
    __syncthreads();
    // thread (i, j) writes the element of column j of the tile
    int row = blockIdx.x * TILE + threadIdx.y, col = blockIdx.y * TILE + threadIdx.x;
    if (inside(row, width) && inside(col, height))
        out[row * height + (height - 1 - col)] = tile[threadIdx.x][threadIdx.y];
}
