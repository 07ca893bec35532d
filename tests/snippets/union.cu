// gives: 64
union U {
    float f;
    unsigned u;
    unsigned char b[4];
};
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    U u;
    u.f = 1.0f;
    o[t] = (u.u == 0x3f800000u) + u.b[3];
}
