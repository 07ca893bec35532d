// Steps of dense factorisations; the host loops over the columns.

// LU without pivoting: column k below the diagonal is divided, then the rest is updated.
extern "C" __global__ void lu_scale(float *a, int n, int k)
{
    int i = k + 1 + blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        a[i * n + k] /= a[k * n + k];
}

extern "C" __global__ void lu_update(float *a, int n, int k)
{
    int j = k + 1 + blockIdx.x * blockDim.x + threadIdx.x;
    int i = k + 1 + blockIdx.y * blockDim.y + threadIdx.y;
    if (i < n && j < n)
        a[i * n + j] -= a[i * n + k] * a[k * n + j];
}

// Cholesky in one block: the whole (small) matrix lies in shared memory.
#define N_MAX 24
extern "C" __global__ void cholesky_small(const float* __restrict__ in, float* __restrict__ out, int n)
{
    __shared__ float a[N_MAX][N_MAX];
    const float *mine = in + blockIdx.x * n * n;
    float *theirs = out + blockIdx.x * n * n;
    int r = threadIdx.x;
    if (r < n)
        for (int c = 0; c < n; c++) a[r][c] = mine[r * n + c];
    __syncthreads();
    for (int k = 0; k < n; k++) {
        if (r == k) a[k][k] = sqrtf(a[k][k]);
        __syncthreads();
        if (r > k && r < n) a[r][k] = __fdividef(a[r][k], a[k][k]);
        __syncthreads();
        if (r > k && r < n)
            for (int c = k + 1; c <= r; c++)
                a[r][c] -= a[r][k] * a[c][k];
        __syncthreads();
    }
    if (r < n)
        for (int c = 0; c < n; c++) theirs[r * n + c] = c <= r ? a[r][c] : 0.0f;
}

// Solves L x = b for many right-hand sides, one a thread; L has a unit diagonal.
extern "C" __global__ void forward_substitution(const float* __restrict__ L, const float* __restrict__ b,
                                                float* __restrict__ x, int n, int count)
{
    int rhs = threadIdx.x + blockIdx.x * blockDim.x;
    if (rhs < count) {
        for (int i = 0; i < n; ++i) {
            float s = b[i * count + rhs];
            for (int j = 0; j < i; ++j)
                s -= L[i * n + j] * x[j * count + rhs];
            x[i * count + rhs] = s;
        }
    }
}

// One sweep of Jacobi's method for A x = b.
extern "C" __global__ void jacobi_sweep(const float* A, const float* b, const float* x_old, float* x_new,
                                        int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float sigma = 0.f;
    for (int j = 0; j < n; j++) {
        if (j == i) continue;
        sigma += A[i * n + j] * x_old[j];
    }
    x_new[i] = (b[i] - sigma) / A[i * n + i];
}
