// gives: 7 6 5 4 3 2 1 0
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    volatile int a = t;
    __shared__ volatile int s[8];
    s[t] = a;
    __syncthreads();
    o[t] = s[7 - t];
}
