// gives: 1234
__device__ int f(int a) {
    return 1;
}
__device__ int f(float a) {
    return 2;
}
__device__ int f(int a, int b) {
    return 3;
}
__device__ int f(const int *p) {
    return 4;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = f(1) * 1000 + f(1.f) * 100 + f(1, 2) * 10 + f(o);
}
