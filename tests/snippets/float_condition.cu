// gives: 6
__device__ float half_of(float a) {
    return a / 2;
}
extern "C" __global__ void k(int *o) {
    float f = 0.5f, zero = 0.f;
    double d = 0.25;
    int *p = o;
    o[threadIdx.x] = (f ? 1 : 10) + (zero ? 10 : 2) + (d ? 1 : 10) + (half_of(f) ? 1 : 10) + (p ? 1 : 0);
}
