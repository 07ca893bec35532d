// gives: 510
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int c = __syncthreads_count(t > 2);
    int a = __syncthreads_and(t >= 0);
    int b = __syncthreads_or(t == 99);
    o[t] = c * 100 + (a != 0) * 10 + (b != 0);
}
