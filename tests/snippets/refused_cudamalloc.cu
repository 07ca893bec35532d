// refused: cudaMalloc
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    cudaMalloc(0, 1);
}
