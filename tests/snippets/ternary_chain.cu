// gives: 1 1 2 2 3 3 4 4
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = t < 2 ? 1 : t < 4 ? 2 : t < 6 ? 3 : 4;
}
