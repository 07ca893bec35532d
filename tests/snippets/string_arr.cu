// gives: 117
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    const char s[] = "hello";
    char u[8] = "a\n";
    o[t] = s[1] + u[1] + sizeof(s);
}
