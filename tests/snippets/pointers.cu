// gives: 20
__device__ int sum(const int *p, int n) {
    int s = 0;
    const int *e = p + n;
    for (; p != e; ++p)
        s += *p;
    return s;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int s[8];
    int loc[4] = {1, 2, 3, 4};
    s[t] = 1;
    o[t] = 2;
    __syncthreads();
    int a = sum(s, 8) + sum(loc, 4) + sum(o + t, 1);
    __syncthreads();
    o[t] = a;
}
