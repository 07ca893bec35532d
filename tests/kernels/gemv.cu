// Matrix times vector: a thread a row, a block a row, and by columns with atomics.

extern "C" __global__ void gemv_row_per_thread(const float* __restrict__ A, const float* __restrict__ x,
                                               float* __restrict__ y, int m, int n)
{
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= m) return;
    const float *a = A + row * n;
    float s = 0.0f;
    for (int j = 0; j < n; j++)
        s += a[j] * x[j];
    y[row] = s;
}

extern "C" __global__ void gemv_row_per_block(const float* __restrict__ A, const float* __restrict__ x,
                                              float* __restrict__ y, int m, int n)
{
    __shared__ float partial[64];
    const float* row = &A[(size_t)blockIdx.x * n];
    float s = 0.0f;
    for (int j = threadIdx.x; j < n; j += 64)
        s += __fmul_rn(row[j], x[j]);
    partial[threadIdx.x] = s;
    for (int half = 32; half >= 1; half >>= 1) {
        __syncthreads();
        if (threadIdx.x < half)
            partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    if (threadIdx.x == 0) y[blockIdx.x] = partial[0];
}

// y += A^T x, column sums gathered by atomics.
extern "C" __global__ void gemv_transposed(const float* A, const float* x, float* y, int m, int n)
{
    int col = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (col < n && row < m)
        atomicAdd(y + col, A[row * n + col] * x[row]);
}

extern "C" __global__ void outer_product(const float* x, const float* y, float* A, int m, int n)
{
    for (int i = blockIdx.y * blockDim.y + threadIdx.y; i < m; i += gridDim.y * blockDim.y)
        for (int j = blockIdx.x * blockDim.x + threadIdx.x; j < n; j += gridDim.x * blockDim.x)
            A[i * n + j] = x[i] * y[j];
}
