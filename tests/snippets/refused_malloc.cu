// refused: malloc
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int *p = (int *)malloc(4);
}
