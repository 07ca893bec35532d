// refused: pointers in shared
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int *p;
    p = o;
}
