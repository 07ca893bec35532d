// gives: 32 34 36 38 40 42 44 46
struct V {
    float x, y, z;
};
__device__ float dot(const V &a, const V &b) {
    return a.x * b.x + a.y * b.y + a.z * b.z;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ V s[8];
    s[t].x = t;
    s[t].y = 1;
    s[t].z = 0;
    V l = {2, 3, 4};
    __syncthreads();
    o[t] = (int)(dot(s[t], l) + dot(l, l));
}
