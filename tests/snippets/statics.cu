// gives: 14
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    static const int tab[4] = {1, 2, 3, 4};
    constexpr int N = 3;
    const int M = N + 1;
    int a[M] = {};
    a[1] = 5;
    const float w[] = {1.f, 2.f, 3.f};
    o[t] = tab[2] + a[1] + a[0] + (int)w[2] + (int)(sizeof(w) / sizeof(float));
}
