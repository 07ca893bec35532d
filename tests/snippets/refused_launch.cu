// refused: launches kernels
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    k<<<1, 1>>>(o);
}
