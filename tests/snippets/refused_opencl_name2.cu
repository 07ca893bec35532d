// refused: mad24
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    float4 a;
    o[t] = (int)mad24(1, 2, 3);
}
