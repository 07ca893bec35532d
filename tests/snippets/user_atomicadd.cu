// gives: 8
// args: [device(np.zeros(1))]
__device__ double atomicAdd2(double *a, double v) {
    unsigned long long *p = (unsigned long long *)a;
    unsigned long long old = *p, assumed;
    do {
        assumed = old;
        old = atomicCAS(p, assumed, __double_as_longlong(v + __longlong_as_double(assumed)));
    } while (assumed != old);
    return __longlong_as_double(old);
}
extern "C" __global__ void k(int *o, double *d) {
    atomicAdd2(d, 1.0);
    __syncthreads();
    o[threadIdx.x] = (int)*d;
}
