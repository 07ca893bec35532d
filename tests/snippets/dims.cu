// gives: 48 49 50 51 52 53 54 55
// refused in C: constructors
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    dim3 b = blockDim;
    uint3 i = threadIdx;
    dim3 g(2, 3);
    int3 v = make_int3(1, 2, 3);
    o[t] = b.x + i.x + g.y + g.z + v.z + gridDim.x + (int)warpSize;
}
