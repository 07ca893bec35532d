// gives: 11 12 13 14 15 16 17 18
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = min(t, 3) + max(t, 3) + min(2u, 3u) + (int)max(1.5f, 2.f) + abs(-3) +
           (int)fminf(1.f, 2.f);
}
