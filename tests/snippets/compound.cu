// gives: 9 10 11 12 13 14 15 16
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int a = 5;
    a <<= 2;
    a |= 1;
    a ^= 3;
    a %= 13;
    a -= -t;
    o[t] = a;
}
