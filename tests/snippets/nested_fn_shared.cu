// gives: 18 17 16 15 14 13 12 11
__device__ int leaf() {
    __shared__ int s[8];
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    return s[7 - threadIdx.x];
}
__device__ int mid() {
    return leaf() + 1;
}
__device__ int top(int a) {
    return mid() + a;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = top(10);
}
