// gives: 5 6 7 8 9 10 11 12
struct B {
    int x[4];
    int n;
};
__device__ void push(B *b, int v) {
    b->x[b->n++] = v;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    B b;
    b.n = 0;
    push(&b, 3);
    push(&b, t);
    o[t] = b.x[0] + b.x[1] + b.n;
}
