// Monte Carlo with a counter-based generator: any draw is a function of seed and index alone, so the
// result does not depend on how threads are laid out.
#include "philox.cuh"

extern "C" __global__ void philox_fill(uint4 *out, unsigned long long seed, unsigned int stream, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        uint2 key = make_uint2((unsigned int)seed, (unsigned int)(seed >> 32));
        out[i] = philox4x32_10(make_uint4(i, 0u, stream, 0u), key);
    }
}

extern "C" __global__ void monte_carlo_pi(unsigned int *inside, unsigned long long seed, int samples)
{
    __shared__ unsigned int hits;
    if (threadIdx.x == 0) hits = 0u;
    __syncthreads();

    const uint2 key = {(unsigned int)seed, (unsigned int)(seed >> 32)};
    unsigned int mine = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < samples; i += blockDim.x * gridDim.x) {
        uint4 r = philox4x32_10(make_uint4(i, 0, 0, 0), key);
        // 16 bits each, so that the sum of squares is exact
        unsigned int x = r.x >> 17, y = r.y >> 17;
        if (x * x + y * y < (1u << 30)) ++mine;
    }
    atomicAdd(&hits, mine);
    __syncthreads();
    if (threadIdx.x == 0) atomicAdd(inside, hits);
}

// An arithmetic Asian call: a path a thread, normals by Box-Muller.
extern "C" __global__ void asian_option(float* payoff, unsigned int seed, float S0, float K, float r,
                                        float sigma, float T, int steps, int paths)
{
    int path = blockIdx.x * blockDim.x + threadIdx.x;
    if (path >= paths) return;
    const float dt = T / steps;
    const float drift = (r - 0.5f * sigma * sigma) * dt, vol = sigma * sqrtf(dt);
    float s = S0, sum = 0.0f;
    for (int t = 0; t < steps; t += 2) {
        uint4 bits = philox4x32_10(make_uint4(path, t, 0, 0), make_uint2(seed, 0));
        float radius = sqrtf(-2.0f * logf(1.0f - uniform01(bits.x)));
        float s1, c1;
        sincospif(2.0f * uniform01(bits.y), &s1, &c1);
        s *= expf(drift + vol * radius * c1);
        sum += s;
        if (t + 1 < steps) {
            s *= expf(drift + vol * radius * s1);
            sum += s;
        }
    }
    payoff[path] = expf(-r * T) * fmaxf(sum / steps - K, 0.0f);
}

// An unbiased estimate of an integral over [0, 1)^3 by stratified draws.
__device__ float integrand(float3 p) { return sinf(p.x) * expf(-p.y) + p.z * p.z; }

extern "C" __global__ void stratified_integral(float* values, unsigned int seed, int side)
{
    int ix = threadIdx.x + blockIdx.x * blockDim.x;
    int iy = threadIdx.y + blockIdx.y * blockDim.y;
    int iz = threadIdx.z + blockIdx.z * blockDim.z;
    if (ix >= side || iy >= side || iz >= side) return;
    int cell = (iz * side + iy) * side + ix;
    uint4 u = philox4x32_10(make_uint4(cell, 7, 0, 0), make_uint2(seed, seed ^ 0xdeadbeef));
    float3 p = make_float3((ix + uniform01(u.x)) / side, (iy + uniform01(u.y)) / side,
                           (iz + uniform01(u.z)) / side);
    values[cell] = integrand(p);
}
