// refused: volatile
__device__ void wr(volatile int *s, int t) {
    s[t] += s[t + 4];
    s[t] += s[t + 2];
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int s[16];
    s[t] = 1;
    s[t + 8] = 0;
    __syncthreads();
    wr(s, t);
    o[t] = s[0];
}
