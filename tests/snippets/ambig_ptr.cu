// gives: 1 1 1 1 2 2 2 2
// refused in C: ambiguous
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int s[8];
    s[t] = 1;
    o[t] = 2;
    int *p = s;
    if (t > 3)
        p = o;
    int r = p[t];
    o[t] = r;
}
