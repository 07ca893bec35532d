// gives: 0 1 2 3 4 5 6 7
// args: [device(np.arange(8,dtype='i4'))]
extern "C" __global__ void k(int o[], const int p[4]) {
    o[threadIdx.x] = p[threadIdx.x];
}
