// gives: 126
struct C {
    int a;
    float b[2];
};
__constant__ int one = 1;
__constant__ int m[2][3] = {{1, 2, 3}, {4, 5, 6}};
__device__ C c = {7, {1.5f, 2.5f}};
__constant__ char text[] = "abc";
__device__ bool yes = true;
__constant__ float4 f4 = {1, 2, 3, 4};
__device__ unsigned long long big = 1ull << 40;
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = one + m[1][2] + c.a + (int)(c.b[1] * 2) + text[1] + yes + (int)f4.w + (int)(big >> 38);
}
