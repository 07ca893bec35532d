// gives: 5 15 22 33 54 55 56 57
struct V {
    int x;
};
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ V s[8];
    s[t].x = t;
    V a = {5};
    V b = t < 4 ? s[t] : a;
    V c;
    c = t < 2 ? a : s[t];
    o[t] = b.x * 10 + c.x;
}
