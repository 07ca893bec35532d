// gives: 1 2 3 4 5 6 7 8
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int *p = o + 4;
    int i = t - 4;
    p[i] = t;
    p[threadIdx.x - 4] += 1;
}
