// gives: 8
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    auto a = 3;
    auto p = o + t;
    auto *q = o;
    const auto f = 2.5f;
    auto &r = o[t];
    r = 0;
    *p += a;
    q[t] += (int)(f * 2);
}
