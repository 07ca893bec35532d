// refused: static
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    static int a = 0;
    o[t] = a++;
}
