// refused: bit
struct B {
    int a : 3;
};
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
}
