// gives: -1 1 2 3 4 5 6 7
// refused in C: in a condition
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    if (int a = t)
        o[t] = a;
    else
        o[t] = -1;
    while (int b = 0) {
    }
}
