// gives: 4
// names: g<float, 8>; g<int,16>
// kernel: g<float, 8>
// args: [np.float32(2)]
template <typename T, int N> __global__ void g(int *o, T a) {
    __shared__ T s[N];
    T loc[N];
    for (int i = 0; i < N; i++)
        loc[i] = a;
    s[threadIdx.x] = a;
    __syncthreads();
    o[threadIdx.x] = (int)(s[0] + loc[N - 1]);
}
