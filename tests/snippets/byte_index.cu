// gives: 254 256 258 260 262 264 10 12
__device__ int at(const unsigned char *p, unsigned char i) {
    return p[i];
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    unsigned char b[256];
    for (int i = 0; i < 256; i++)
        b[i] = i;
    unsigned char i = 250 + t;
    o[t] = at(b, i) + b[(unsigned char)(i + 10)];
}
