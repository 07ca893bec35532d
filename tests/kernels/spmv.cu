// Sparse matrix times dense vector, one kernel a format.

extern "C" __global__ void spmv_csr_scalar(const int num_rows, const int *ptr, const int *indices,
                                           const float *data, const float *x, float *y)
{
    int row = blockDim.x * blockIdx.x + threadIdx.x;
    if (row < num_rows) {
        float dot = 0;
        int row_start = ptr[row];
        int row_end = ptr[row + 1];
        for (int jj = row_start; jj < row_end; jj++)
            dot += data[jj] * x[indices[jj]];
        y[row] += dot;
    }
}

// 32 threads a row: partial sums in shared memory.
extern "C" __global__ void spmv_csr_vector(const int num_rows, const int *ptr, const int *indices,
                                           const float *data, const float *x, float *y)
{
    __shared__ float vals[128];
    int thread_id = blockDim.x * blockIdx.x + threadIdx.x; // global thread index
    int warp_id = thread_id / 32;                          // global warp index
    int lane = thread_id & (32 - 1);                       // thread index within the warp

    // one warp per row
    int row = warp_id;
    vals[threadIdx.x] = 0;
    if (row < num_rows) {
        int row_start = ptr[row];
        int row_end = ptr[row + 1];
        // compute running sum per thread
        for (int jj = row_start + lane; jj < row_end; jj += 32)
            vals[threadIdx.x] += data[jj] * x[indices[jj]];
    }
    // parallel reduction in shared memory
    for (int d = 16; d > 0; d >>= 1) {
        __syncthreads();
        if (lane < d) vals[threadIdx.x] += vals[threadIdx.x + d];
    }
    // first thread writes the result
    if (lane == 0 && row < num_rows)
        y[row] += vals[threadIdx.x];
}

extern "C" __global__ void spmv_ell(const int num_rows, const int num_cols_per_row, const int *indices,
                                    const float *data, const float *x, float *y)
{
    int row = blockDim.x * blockIdx.x + threadIdx.x;
    if (row < num_rows) {
        float dot = 0;
        for (int n = 0; n < num_cols_per_row; n++) {
            int col = indices[num_rows * n + row];
            float val = data[num_rows * n + row];
            if (val != 0) dot += val * x[col];
        }
        y[row] += dot;
    }
}

extern "C" __global__ void spmv_coo(const int* __restrict__ rows, const int* __restrict__ cols,
                                    const float* __restrict__ vals, const float* __restrict__ x,
                                    float* __restrict__ y, int nnz)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < nnz) atomicAdd(&y[rows[i]], vals[i] * __ldg(x + cols[i]));
}
