// gives: 3
// options: --use_fast_math
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = (int)(__expf(0.f) + 4.f / 2.f);
}
