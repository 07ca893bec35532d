// gives: 1169
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = 0x10 + 010 + 0b11 + (0x80000000 > 0) + 'a' + '\n' + (int)1e1f + (int)0x1p3f +
           (int)(1.5 + .5) + 10u + (int)3ll + (5ULL > 4) + 1'000;
}
