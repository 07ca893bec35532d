// gives: 5
typedef unsigned int uint;
typedef unsigned char uchar;
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    uint a = 4000000000u;
    uchar b = 250;
    b += 10;
    o[t] = (a > 0) + b;
}
