// refused: operators
__constant__ int w = 4;
struct S {
    int a;
    __device__ int operator()(int b) const {
        return a * w;
    }
};
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    S s = {2};
    o[t] = s(1);
}
