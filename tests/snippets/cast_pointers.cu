// gives: 6
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    float f = 1.5f;
    int bits = *(int *)&f;
    unsigned char *b = reinterpret_cast<unsigned char *>(o);
    const int *c = const_cast<int *>(o);
    float4 v;
    float *p = (float *)&v;
    p[3] = 2.f;
    o[t] = (bits == 0x3fc00000) + (int)v.w + (int)*reinterpret_cast<float *>(&bits) +
           (b == (unsigned char *)o) + (c == o);
}
