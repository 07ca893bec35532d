// gives: 6
static __device__ __forceinline__ int f(int a) {
    return a;
}
__host__ __device__ inline int g(int a) {
    return a + 1;
}
__noinline__ __device__ int h(int a) {
    return a + 2;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = f(1) + g(1) + h(1);
}
