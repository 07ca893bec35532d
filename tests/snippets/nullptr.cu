// gives: 2 1 1 1 1 1 1 1
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int *p = nullptr;
    const int *q = NULL;
    int *r = 0;
    if (t == 0)
        p = o;
    q = o;
    o[t] = (p != nullptr) + (q == NULL) + !r;
}
