// gives: 10
__device__ int sum(const int (&a)[4]) {
    int s = 0;
    for (int i = 0; i < 4; i++)
        s += a[i];
    return s;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int a[4] = {1, 2, 3, 4};
    o[t] = sum(a);
}
