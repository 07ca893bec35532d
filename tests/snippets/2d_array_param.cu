// gives: 13
__device__ int tr(const int m[2][2]) {
    return m[0][0] + m[1][1];
}
__device__ void fill(int (*m)[2], int v) {
    m[1][1] = v;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int m[2][2] = {{1, 2}, {3, 4}};
    __shared__ int s[2][2];
    if (t == 0)
        fill(s, 7);
    fill(m, 5);
    __syncthreads();
    o[t] = tr(m) + s[1][1];
}
