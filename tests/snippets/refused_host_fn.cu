// refused: neither __global__ nor __device__
int f(int a) {
    return a;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
}
