// gives: 2 2 2 2 1 1 1 1
__device__ int *sel(int *a, int *b, bool c) {
    return c ? a : b;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int s[8], u[8];
    s[t] = 1;
    u[t] = 2;
    o[t] = *sel(s + t, u + t, t > 3);
}
