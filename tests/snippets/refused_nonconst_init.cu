// refused: outside of functions
__device__ int f() {
    return 1;
}
__device__ int a = f();
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
}
