// The first kernels of every tutorial: one element a thread, then a grid-stride loop.
#include <cuda_runtime.h>

extern "C" __global__ void vector_add(const float *A, const float *B, float *C, int numElements)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;

    if (i < numElements) {
        C[i] = A[i] + B[i] + 0.0f;
    }
}

extern "C" __global__ void saxpy(int n, float a, const float* __restrict__ x, float* __restrict__ y)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}

extern "C" __global__ void saxpy_grid_stride(int n, float a, const float* __restrict__ x,
                                             float* __restrict__ y)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x;
         i < n;
         i += blockDim.x * gridDim.x)
    {
        y[i] = fmaf(a, x[i], y[i]);
    }
}

// 64-bit index arithmetic, as for arrays of more than 2^31 elements.
extern "C" __global__ void axpby(size_t n, float alpha, const float* x, float beta, float* y)
{
    const size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += stride)
        y[i] = alpha * __ldg(&x[i]) + beta * y[i];
}
