// gives: 4
__device__ int later(int a);
__global__ void k2(int *o);
__global__ void k(int *o) {
    o[threadIdx.x] = later(3);
}
__device__ int later(int a) {
    return a + 1;
}
__global__ void k2(int *o) {
    *o = 1;
}
