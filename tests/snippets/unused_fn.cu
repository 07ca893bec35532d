// gives: 2
__device__ float unused(float *p) {
    return *p;
}
__device__ int used(int a) {
    return a;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = used(2);
}
