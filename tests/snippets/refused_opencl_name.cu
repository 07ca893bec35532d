// refused: get_global_id
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = get_global_id(0);
}
