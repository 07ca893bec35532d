// gives: 7
// options: -DN=7
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = N;
}
