// gives: 422
__device__ int f(int a, int b = 2, int c = 3) {
    return a * 100 + b * 10 + c;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = f(1) + f(1, 4) + f(1, 5, 6);
}
