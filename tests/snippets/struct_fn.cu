// gives: 16 26 36 46 56 66 76 86
struct V {
    float x, y;
};
__device__ V mk(float a, float b) {
    V v;
    v.x = a;
    v.y = b;
    return v;
}
__device__ V add(V a, V b) {
    V r = {a.x + b.x, a.y + b.y};
    return r;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    V a = add(mk(1, 2), mk(t, 4));
    V *p = &a;
    o[t] = (int)p->x * 10 + (int)a.y;
}
