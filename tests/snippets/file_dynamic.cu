// gives: 8 7 6 5 4 3 2 1
// shared: 64
extern __shared__ float dyn[];
__shared__ int tile[8];
__device__ int get(int i) {
    return tile[i] + (int)dyn[i];
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    tile[t] = t;
    dyn[t] = 1.f;
    __syncthreads();
    o[t] = get(7 - t);
}
