// gives: 30
__device__ void add(int *p, int v) {
    atomicAdd(p, v);
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int c;
    __shared__ unsigned h[4];
    if (t < 4)
        h[t] = 0;
    if (t == 0)
        c = 0;
    __syncthreads();
    add(&c, t);
    atomicAdd(&h[t % 4], 1u);
    atomicMax(&o[0], 0);
    __syncthreads();
    o[t] = c + h[t % 4];
}
