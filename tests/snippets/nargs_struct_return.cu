// gives: 3
__device__ float3 cross(float3 a, float3 b) {
    return make_float3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}
__device__ float length(float3 v) {
    return sqrtf(v.x * v.x + v.y * v.y + v.z * v.z);
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = (int)length(cross(make_float3(1, 0, 0), make_float3(0, 3, 0)));
}
