// Double precision: tiled product, series, root finding, conjugate gradients' steps.
#define TILE 8

extern "C" __global__ void dgemm_tiled(const double* __restrict__ A, const double* __restrict__ B,
                                       double* __restrict__ C, int m, int n, int k, double alpha, double beta)
{
    __shared__ double As[TILE][TILE], Bs[TILE][TILE];
    int row = blockIdx.y * TILE + threadIdx.y, col = blockIdx.x * TILE + threadIdx.x;
    double acc = 0.0;
    for (int t = 0; t < k; t += TILE) {
        As[threadIdx.y][threadIdx.x] = row < m && t + threadIdx.x < k ? A[row * k + t + threadIdx.x] : 0.0;
        Bs[threadIdx.y][threadIdx.x] = t + threadIdx.y < k && col < n ? B[(t + threadIdx.y) * n + col] : 0.0;
        __syncthreads();
        for (int i = 0; i < TILE; i++) acc = fma(As[threadIdx.y][i], Bs[i][threadIdx.x], acc);
        __syncthreads();
    }
    if (row < m && col < n) C[row * n + col] = alpha * acc + beta * C[row * n + col];
}

// pi by the midpoint rule over 4 / (1 + x^2): a partial sum a thread.
extern "C" __global__ void pi_midpoints(double* partial, long long intervals)
{
    const int threads = gridDim.x * blockDim.x, id = blockIdx.x * blockDim.x + threadIdx.x;
    const double step = 1.0 / intervals;
    double sum = 0;
    for (long long i = id; i < intervals; i += threads) {
        double x = (i + 0.5) * step;
        sum += 4.0 / (1.0 + x * x);
    }
    partial[id] = sum * step;
}

// Kepler's equation by Newton's method.
extern "C" __global__ void kepler(const double* mean_anomaly, double eccentricity, double* eccentric, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    double M = mean_anomaly[i], E = M;
    for (int it = 0; it < 50; ++it) {
        double delta = (E - eccentricity * sin(E) - M) / (1 - eccentricity * cos(E));
        E -= delta;
        if (fabs(delta) < 1e-14) break;
    }
    eccentric[i] = E;
}

// The steps of conjugate gradients on a tridiagonal matrix (2, -1): y = A x, and x += alpha p.
extern "C" __global__ void tridiagonal_apply(const double* x, double* y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        double v = 2 * x[i];
        if (i > 0) v -= x[i - 1];
        if (i + 1 < n) v -= x[i + 1];
        y[i] = v;
    }
}

extern "C" __global__ void daxpy(int n, const double alpha, const double* __restrict__ x, double* __restrict__ y)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += alpha * x[i];
}

extern "C" __global__ void ddot(const double* a, const double* b, double* out, int n)
{
    __shared__ double cache[128];
    double sum = 0;
    for (int i = threadIdx.x; i < n; i += 128) sum += a[i] * b[i];
    cache[threadIdx.x] = sum;
    __syncthreads();
    for (int s = 64; s > 0; s >>= 1) {
        if (threadIdx.x < s) cache[threadIdx.x] += cache[threadIdx.x + s];
        __syncthreads();
    }
    if (threadIdx.x == 0) *out = cache[0];
}

// Compensated summation: the compiler must not simplify it away.
extern "C" __global__ void kahan_rows(const double* data, double* sums, int rows, int cols)
{
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    double sum = 0.0, c = 0.0;
    for (int j = 0; j < cols; j++) {
        double y = data[r * cols + j] - c;
        double t = sum + y;
        c = (t - sum) - y;
        sum = t;
    }
    sums[r] = sum;
}
