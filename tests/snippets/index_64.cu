// gives: 0 2 4 6 8 10 12 14
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    size_t n = 8;
    unsigned u = t;
    long long l = -1;
    __shared__ int s[32];
    s[t] = t;
    __syncthreads();
    o[t] = s[n + u - 8] + s[u + l + 1];
}
