// gives: 10
__device__ int *pick(int *a, int i) {
    return a + i;
}
__device__ int &at(int *a, int i) {
    return a[i];
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int s[8];
    *pick(s, t) = 4;
    at(o, t) = s[t];
    at(s, t) += 2;
    o[t] += *pick(s, t);
}
