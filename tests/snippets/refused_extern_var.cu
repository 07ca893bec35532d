// refused: extern
extern __device__ int a;
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
}
