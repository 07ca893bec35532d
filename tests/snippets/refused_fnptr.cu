// refused: pointers to functions
__device__ int f(int n) {
    return n;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int (*p)(int) = f;
    o[t] = p(1);
}
