// refused: printf
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    printf("%n", o);
}
