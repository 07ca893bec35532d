// refused: no heap
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int *p = new int;
}
