// gives: 38
// args: [np.array([(1,2,3,4,5,6,7,(8,9,10))],dtype=np.dtype([('a','?'),('b','i1'),('c','i2'),('d','i4'),('e','u8'),('f','f4'),('g','f8'),('v','f4',3)],align=True))[0]]
struct P {
    bool a;
    char b;
    short c;
    int d;
    size_t e;
    float f;
    double g;
    float v[3];
};
extern "C" __global__ void k(int *o, P p) {
    o[threadIdx.x] = p.a + p.b + p.c + p.d + (int)p.e + (int)p.f + (int)p.g + (int)p.v[2];
}
