// gives: 36
__device__ int sum(int v) {
    __shared__ int s[8];
    __shared__ int total;
    s[threadIdx.x] = v;
    __syncthreads();
    if (threadIdx.x == 0) {
        total = 0;
        for (int i = 0; i < sizeof(s) / sizeof(s[0]); i++)
            total += s[i];
    }
    __syncthreads();
    int r = total;
    __syncthreads();
    return r;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = sum(t) + sum(1);
}
