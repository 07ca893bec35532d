// gives: 11
struct V {
    int a, b;
};
__device__ V max(V x, V y) {
    return x.a > y.a ? x : y;
}
__device__ inline float2 fminf(float2 a, float2 b) {
    return make_float2(fminf(a.x, b.x), fminf(a.y, b.y));
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    V p = {1, 2}, q = {3, 4};
    float2 f = fminf(make_float2(1, 2), make_float2(0, 5));
    o[t] = max(p, q).b + max(1, 2) + (int)(f.x + f.y + max(1.5f, 0.f) * 2);
}
