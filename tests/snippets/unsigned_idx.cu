// gives: 18 0 2 4 6 8 10 12
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    unsigned left = (unsigned)t - 1;
    unsigned u = t;
    __shared__ int s[10];
    s[u + 1] = t;
    if (t == 0)
        s[0] = 9;
    __syncthreads();
    o[t] = s[left + 1] + s[threadIdx.x - 1 + 2 - 1];
}
