// gives: 14 13 12 11 10 9 8 7
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int a[8], b, c[2][8];
    a[t] = t;
    if (t == 0)
        b = 5;
    c[1][t] = 2;
    __syncthreads();
    o[t] = a[7 - t] + b + c[1][7 - t];
}
