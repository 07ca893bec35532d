// gives: 12
// refused in C: range-based
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int a[3] = {1, 2, 3};
    int s = 0;
    for (int v : a)
        s += v;
    for (auto &v : a)
        v *= 2;
    o[t] = s + a[2];
}
