// gives: 3
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int a = (1, 2), b = 0;
    b = a++, b += a;
    o[t] = b ? a : -1;
}
