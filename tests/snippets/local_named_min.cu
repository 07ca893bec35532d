// gives: 7
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int min = 3;
    int max = 4;
    o[t] = min + max;
}
