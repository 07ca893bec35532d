// gives: 1 1 1 0 0 0 0 0
// args: [np.int32(3),device(np.ones(8,'i4'))]
extern "C" __global__ void k(int *const o, const int n, const int *const __restrict__ p) {
    int i = threadIdx.x;
    if (i < n)
        o[i] = p[i];
}
