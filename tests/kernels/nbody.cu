// Gravitation of all pairs, tiles of bodies in shared memory (GPU Gems 3, chapter 31), and the
// leapfrog step.
#include <vector_types.h>

#define EPS2 0.01f

__device__ float3 bodyBodyInteraction(float4 bi, float4 bj, float3 ai)
{
    float3 r;
    // r_ij  [3 FLOPS]
    r.x = bj.x - bi.x;
    r.y = bj.y - bi.y;
    r.z = bj.z - bi.z;
    // distSqr = dot(r_ij, r_ij) + EPS^2  [6 FLOPS]
    float distSqr = r.x * r.x + r.y * r.y + r.z * r.z + EPS2;
    // invDistCube = 1/distSqr^(3/2)
    float distSixth = distSqr * distSqr * distSqr;
    float invDistCube = 1.0f / sqrtf(distSixth);
    // s = m_j * invDistCube [1 FLOP]
    float s = bj.w * invDistCube;
    // a_i =  a_i + s * r_ij [6 FLOPS]
    ai.x += r.x * s;
    ai.y += r.y * s;
    ai.z += r.z * s;
    return ai;
}

__device__ float3 tile_calculation(float4 myPosition, float3 accel, const float4 *shPosition, int count)
{
    for (int i = 0; i < count; i++) {
        accel = bodyBodyInteraction(myPosition, shPosition[i], accel);
    }
    return accel;
}

extern "C" __global__ void calculate_forces(const float4 *X, float4 *A, int N)
{
    extern __shared__ float4 shPosition[];
    int p = blockDim.x;
    float3 acc = {0.0f, 0.0f, 0.0f};
    int gtid = blockIdx.x * blockDim.x + threadIdx.x;
    float4 myPosition = gtid < N ? X[gtid] : make_float4(0.0f, 0.0f, 0.0f, 0.0f);

    for (int i = 0, tile = 0; i < N; i += p, tile++) {
        int idx = tile * blockDim.x + threadIdx.x;
        if (idx < N) shPosition[threadIdx.x] = X[idx];
        __syncthreads();
        acc = tile_calculation(myPosition, acc, shPosition, min(p, N - i));
        __syncthreads();
    }
    // Save the result in global memory for the integration step.
    if (gtid < N) {
        float4 acc4 = {acc.x, acc.y, acc.z, 0.0f};
        A[gtid] = acc4;
    }
}

extern "C" __global__ void leapfrog(float4* position, float4* velocity, const float4* acceleration,
                                    float dt, float damping, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float4 p = position[i], v = velocity[i];
    const float4 a = acceleration[i];
    v.x = (v.x + a.x * dt) * damping;
    v.y = (v.y + a.y * dt) * damping;
    v.z = (v.z + a.z * dt) * damping;
    p.x += v.x * dt;
    p.y += v.y * dt;
    p.z += v.z * dt;
    position[i] = p;
    velocity[i] = v;
}

// Potential energy of all pairs by a triangular loop; each thread leaves one partial sum.
extern "C" __global__ void potential_energy(const float4* __restrict__ bodies, float* __restrict__ energy,
                                            int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        const float4 me = bodies[i];
        float sum = 0;
        for (int j = 0; j < i; ++j) {
            float4 it = bodies[j];
            float dx = it.x - me.x, dy = it.y - me.y, dz = it.z - me.z;
            sum -= me.w * it.w * rsqrtf(dx * dx + dy * dy + dz * dz + EPS2);
        }
        energy[i] = sum;
    }
}
