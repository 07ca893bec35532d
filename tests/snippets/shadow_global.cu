// gives: 14
__device__ int v = 5;
__device__ int f(int v) {
    return v + 1;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int a = v;
    {
        int v = 7;
        a += v;
    }
    o[t] = a + f(1);
}
