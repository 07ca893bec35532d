// gives: 11
// refused in C: templates of functions
// names: g<float>
// kernel: g<float>
// args: [np.float32(2)]
template <typename T> __device__ T sq(T a) {
    return a * a;
}
template <int N, typename T> __device__ T times(T a) {
    return a * N;
}
template <typename T, int N = 3, bool B = true> __global__ void g(int *o, T a) {
    o[threadIdx.x] = (int)(sq(a) + times<N>(a)) + B;
}
