// gives: 3 4 5 6 7 8 9 10
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    struct L {
        int a;
        float b;
    };
    L l = {1, 2.f};
    L *p = &l;
    p->a += t;
    typedef int I;
    I q = l.a;
    o[t] = q + (int)l.b;
}
