// refused: not understood
struct B {
    int a;
    __device__ operator int() const {
        return a;
    }
};
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
}
