// refused in C++: a string
// gives: 101
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    const char *s = "hello";
    o[t] = s[1];
}
