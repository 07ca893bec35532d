// gives: 1 2 3 4 5 6 7 8
__device__ void f(const int *__restrict__ a, int *__restrict__ b, int i) {
    b[i] = a[i] + 1;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int s[8];
    s[t] = t;
    f(s, o, t);
}
