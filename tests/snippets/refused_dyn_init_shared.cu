// refused: first value
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int a = 3;
    o[t] = a;
}
