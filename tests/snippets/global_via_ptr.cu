// gives: 0 2 4 6 8 10 12 14
__device__ int arr[8];
__device__ int *get() {
    return arr;
}
__device__ void set(int *p, int v) {
    *p = v;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    set(&arr[t], t);
    int *p = get();
    o[t] = p[t] + arr[t];
}
