// gives: 3
// refused in C: declared together
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int s = 0;
    for (int i = 0, *p = o; i < 3; ++i) {
        s += i;
        p[t] = s;
    }
}
