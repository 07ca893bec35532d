// refused: pointer
__device__ int *p;
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
}
