// gives: 15 13 11 9 7 5 3 1
// shared: 64
__device__ void put(int v) {
    extern __shared__ int dyn[];
    dyn[threadIdx.x] = v;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    extern __shared__ int dyn[];
    put(t * 2);
    __syncthreads();
    float *f = (float *)dyn;
    f[8 + t] = 0.5f;
    o[t] = dyn[7 - t] + (int)(f[8 + t] * 2);
}
