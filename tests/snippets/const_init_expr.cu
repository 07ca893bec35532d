// gives: 29
__device__ const float PI2 = 3.0f * 2;
__constant__ int N = sizeof(int) * 4 + (1 << 3);
__device__ int a[4] = {1, 2};
__constant__ float x = -1.5f;
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = (int)PI2 + N + a[1] + a[3] + (int)(x * 2);
}
