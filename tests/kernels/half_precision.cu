// Half precision: conversions, arithmetic of one and of two.
#include <cuda_fp16.h>

extern "C" __global__ void float_to_half(const float* __restrict__ in, __half* __restrict__ out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = __float2half(in[i]);
}

extern "C" __global__ void half_to_float(const half* __restrict__ in, float* __restrict__ out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = __half2float(in[i]);
}

extern "C" __global__ void haxpy(int n, half a, const half *x, half *y)
{
    int start = threadIdx.x + blockDim.x * blockIdx.x;
    int stride = blockDim.x * gridDim.x;
    for (int i = start; i < n; i += stride)
        y[i] = __hadd(__hmul(a, x[i]), y[i]);
}

extern "C" __global__ void haxpy2(int n2, half2 a, const half2* x, half2* y)
{
    for (int i = threadIdx.x + blockDim.x * blockIdx.x; i < n2; i += blockDim.x * gridDim.x)
        y[i] = __hfma2(a, x[i], y[i]);
}

extern "C" __global__ void half_dot(const half* a, const half* b, float* out, int n)
{
    __shared__ float partial[64];
    float sum = 0.0f;
    for (int i = threadIdx.x; i < n; i += 64) sum += __half2float(a[i]) * __half2float(b[i]);
    partial[threadIdx.x] = sum;
    __syncthreads();
    for (int s = 32; s > 0; s >>= 1) {
        if (threadIdx.x < s) partial[threadIdx.x] += partial[threadIdx.x + s];
        __syncthreads();
    }
    if (threadIdx.x == 0) *out = partial[0];
}

extern "C" __global__ void half_operators(const __half* a, const __half* b, __half* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const __half zero = __float2half(0.0f);
    __half x = a[i], y = b[i];
    out[0 * n + i] = x + y;
    out[1 * n + i] = x * y;
    out[2 * n + i] = x - y;
    out[3 * n + i] = __hgt(x, y) ? x : y;
    out[4 * n + i] = x < zero ? -x : x;
    out[5 * n + i] = __low2half(__halves2half2(x, y));
}
