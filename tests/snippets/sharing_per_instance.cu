// gives: 12
// refused in C: templates of functions
template <typename T> __device__ T *buf() {
    __shared__ T s[8];
    return s;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int *a = buf<int>();
    unsigned *b = buf<unsigned>();
    a[t] = 1;
    b[t] = 2;
    __syncthreads();
    o[t] = a[7 - t] * 10 + b[7 - t];
}
