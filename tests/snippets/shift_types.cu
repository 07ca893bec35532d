// gives: 34
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    long long a = 1ll << 40;
    unsigned long b = ~0ul;
    o[t] = (int)(a >> 38) + (int)(b >> 60) + (int)((unsigned)-1 >> 28);
}
