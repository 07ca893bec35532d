// gives: 3
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int s[8];
    int a = 1, *p = s, b = 2, *q = o;
    p[t] = a + b;
    q[t] = p[t];
}
