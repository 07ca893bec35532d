// refused: virtual
struct A {
    __device__ virtual int f() {
        return 1;
    }
};
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
}
