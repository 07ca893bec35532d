// gives: 11 10 9 8 7 6 5 4
struct Q {
    int a;
    float b;
};
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    if (t >= 0) {
        __shared__ Q q;
        __shared__ Q arr[8];
        if (t == 0)
            q.a = 4;
        arr[t].a = t;
        __syncthreads();
        o[t] = q.a + arr[7 - t].a;
    }
}
