// gives: 6
// refused in C: member functions
template <typename T, int N> struct Arr {
    T d[N];
    __device__ T &operator[](int i) {
        return d[i];
    }
    __device__ const T &get(int i) const {
        return d[i];
    }
};
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    Arr<int, 4> a;
    a[1] = 3;
    o[t] = a[1] + a.get(1);
}
