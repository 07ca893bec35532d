// gives: 18
// refused in C: operators of one
__device__ inline float3 operator+(float3 a, float3 b) {
    return make_float3(a.x + b.x, a.y + b.y, a.z + b.z);
}
__device__ float3 operator*(float s, float3 a) {
    return make_float3(s * a.x, s * a.y, s * a.z);
}
__device__ void operator+=(float3 &a, float3 b) {
    a = a + b;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    float3 a = make_float3(1, 2, 3);
    a += 2.f * a;
    o[t] = (int)(a.x + a.y + a.z);
}
