// refused: exceptions
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    try {
    } catch (...) {
    }
}
