// Variables of a module: constant tables that the host sets, device variables that kernels change,
// initial values in the source.

#define DEGREE 5

__constant__ float coefficients[DEGREE + 1];
__constant__ int offset = 7;
__constant__ const unsigned char digits[10] = {0x3f, 0x06, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f};
__device__ unsigned int total_calls = 0;
__device__ float running_sum;
__device__ int table[4][8];

struct Camera {
    float4 origin;
    float zoom;
    int mode;
};
__constant__ Camera camera;

extern "C" __global__ void polynomial(const float* __restrict__ x, float* __restrict__ y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float acc = coefficients[DEGREE];
#pragma unroll
    for (int d = DEGREE - 1; d >= 0; --d)
        acc = acc * x[i] + coefficients[d];
    y[i] = acc;
}

extern "C" __global__ void seven_segments(const int* values, unsigned char* segments, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) segments[i] = digits[(values[i] + offset) % 10];
    if (i == 0) atomicAdd(&total_calls, 1u);
}

extern "C" __global__ void accumulate_global(const float* values, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        atomicAdd(&running_sum, values[i]);
        atomicAdd(&table[i & 3][i % 8], i);
    }
}

extern "C" __global__ void project(const float4* points, float2* screen, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float4 p = points[i];
    float depth = camera.mode == 0 ? 1.0f : p.z - camera.origin.z;
    screen[i] = make_float2(camera.zoom * (p.x - camera.origin.x) / depth,
                            camera.zoom * (p.y - camera.origin.y) / depth);
}
