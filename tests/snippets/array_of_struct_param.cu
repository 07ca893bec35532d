// gives: 43
// args: [device(np.frombuffer(np.array([(1,(1,2,3),(4,5)),(20,(1,2,3),(7,8))],dtype=np.dtype([('a','i4'),('c','i1',3),('d','i2',2)],align=True)).tobytes(),'u1')),np.array((1,(1,2,3),(4,5)),dtype=np.dtype([('a','i4'),('c','i1',3),('d','i2',2)],align=True))]
struct P {
    int a;
    char c[3];
    short d[2];
};
extern "C" __global__ void k(int *o, const P *p, P q) {
    int i = threadIdx.x;
    o[i] = p[1].a + p[1].d[1] + q.c[2] + sizeof(P);
}
