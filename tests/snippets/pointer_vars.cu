// gives: 3
// refused in C: pointer to pointers
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int s[8];
    int *p, *q = o;
    p = s;
    int **unused = 0;
    p[t] = 3;
    q[t] = p[t];
}
