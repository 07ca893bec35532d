// gives: 28
const int N = 4;
constexpr float H = 0.5f;
const float tab[3] = {1.f, 2.f, N};
enum { K1 = N * 2 };
static const int M = N * 2;
__device__ constexpr int D = 6;
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int s[M];
    s[t] = K1;
    o[t] = s[t] + (int)(H * 4) + (int)tab[2] + M + D;
}
