// refused: variadic
template <typename... T> __device__ int f(T... a) {
    return 1;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
}
