// gives: 3 4 5 6 7 8 9 10
// refused in C: lambda
// shared: 32
__device__ int v = 3;
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    extern __shared__ int s[];
    __shared__ int q[8];
    auto f = [&](int a) {
        s[a] = v;
        q[a] = a;
        return s[a] + q[a];
    };
    o[t] = f(t);
}
