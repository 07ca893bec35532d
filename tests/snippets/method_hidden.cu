// gives: 9
// refused in C: member functions
__constant__ int w = 4;
struct S {
    int a;
    __device__ int get() const {
        return a * w;
    }
    __device__ int two(int b) {
        return get() + b;
    }
};
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    S s = {2};
    o[t] = s.two(1);
}
