// gives: 19 18 17 16 15 14 13 12
// refused in C: templates of functions
// names: g<int>
// kernel: g<int>
template <typename T, int N> __device__ T inner(T v) {
    __shared__ T s[N + 1];
    s[threadIdx.x] = v;
    __syncthreads();
    T r = s[N - 1 - threadIdx.x];
    __syncthreads();
    return r;
}
template <typename U> __device__ U outer(U v) {
    return inner<U, 8>(v) + inner<int, 8>(1);
}
template <typename T> __device__ T ded(T v) {
    __shared__ T q;
    if (threadIdx.x == 0)
        q = v;
    __syncthreads();
    T r = q;
    __syncthreads();
    return r;
}
template <typename T> __global__ void g(T *o) {
    float x = 2.5f;
    o[threadIdx.x] = outer(threadIdx.x * 1) + (T)outer(x) + (T)ded(x * 2) + ded<T>(o[0] * 0 + 3);
}
