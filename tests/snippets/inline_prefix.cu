// gives: 3
inline __device__ int f() {
    return 1;
}
__inline__ __device__ int g(void) {
    return 2;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = f() + g();
}
