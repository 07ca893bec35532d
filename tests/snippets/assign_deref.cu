// gives: 54
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int a[2] = {1, 2};
    int *p = a;
    *p++ = 5;
    *p += 3;
    (*p)--;
    o[t] = a[0] * 10 + a[1];
}
